"""`read_kept_answers`: what the weights of a finished run said to its validation rows."""

from __future__ import annotations

import shlex

import numpy as np

from tf_finetune.errors import DataError, RunError
from tf_finetune.evaluation.class_counts import confusion_matrix
from tf_finetune.evaluation.logits import read_logits, softmax
from tf_finetune.evaluation.metrics import Scores
from tf_finetune.files import read_json
from tf_finetune.run import Manifest, ModelFolder

__all__ = ["read_kept_answers"]

VALIDATION = "validation"


def read_kept_answers(model: ModelFolder, manifest: Manifest, *, otherwise: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads validation_logits.npz, and sees that it is of the run whose scores metrics.json has.

    Args:
        model: The model folder.
        manifest: Its manifest.
        otherwise: What to do if the run has not kept its answers, beside making it again: the end of a sentence.

    Returns:
        Labels int32 `[n]` and logits float32 `[n, labels]`.

    Raises:
        RunError: The answers are not there, damaged, or of another run.
    """
    path = model.validation_logits
    if not path.is_file():
        again = f"tf-finetune reproduce {shlex.quote(str(model.path))}"
        raise RunError(
            f"There is no {path}, which runs of an older release have not kept. Make the run again ({again}){otherwise}"
        )
    labels, logits = read_logits(path)
    if logits.shape[1] != len(manifest.label_names):
        raise RunError(
            f"{path} is not of this run: it has {logits.shape[1]} classes, the run has {len(manifest.label_names)}."
        )
    try:
        confusion = Scores.from_dict(read_json(model.metrics)[VALIDATION]).confusion
        found = confusion_matrix(labels, softmax(logits).argmax(axis=1), logits.shape[1])
    except (KeyError, DataError) as error:
        raise RunError(f"{model.metrics} or {path} is damaged: {error}") from error
    if found.tolist() != [list(row) for row in confusion]:
        raise RunError(
            f"The run in {model.path} is damaged: {path.name} and {model.metrics.name} are not of the same run. "
            "Restore the right ones, or train again."
        )
    return labels, logits
