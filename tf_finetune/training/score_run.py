"""`save_and_score`: the weights kept, what they answer to the rows held out, and their scores."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tf_finetune.config import Config
from tf_finetune.config.threshold_for import parse_threshold_for
from tf_finetune.data import Splits
from tf_finetune.evaluation.calibration import calibrate_answers, write_calibration
from tf_finetune.evaluation.calibration_table import calibration_lines
from tf_finetune.evaluation.logits import softmax, write_logits
from tf_finetune.evaluation.metrics import Scores, compute_scores
from tf_finetune.evaluation.predictor import make_forward, table_logits
from tf_finetune.files import file_sha256, write_json
from tf_finetune.run import ModelFolder
from tf_finetune.training.prepared import Prepared

if TYPE_CHECKING:
    import numpy as np

__all__ = ["save_and_score", "save_model"]

logger = logging.getLogger(__name__)


def save_and_score(folder: ModelFolder, config: Config, splits: Splits, prepared: Prepared) -> dict[str, Scores]:
    """Saves the model, scores it on the validation and the test rows, and writes the scores.

    Args:
        folder: Where to.
        config: Says whether probabilities are calibrated, and thresholds chosen.
        splits: The data; its class names are those of the scores.
        prepared: The model with the weights that are kept, and the token tables.

    Returns:
        ``validation``, and ``test`` if there are test rows, to the scores.
    """
    save_model(folder, prepared)
    forward = make_forward(prepared.model, prepared.spec, unpadded=prepared.encoder.unpadded)
    scores: dict[str, Scores] = {}
    answers = {}
    for name, table in (("validation", prepared.validation), ("test", prepared.test)):
        if table is not None:
            logits = table_logits(forward, prepared.spec, table, batch_size=config.fit.batch_size)
            if name == "validation":
                write_logits(folder.validation_logits, table.labels, logits)
            scores[name] = compute_scores(table.labels, softmax(logits), splits.train.label_names)
            answers[name] = (table.labels, logits)
    write_json(folder.metrics, {name: found.to_dict() for name, found in scores.items()})
    folder.calibration.unlink(missing_ok=True)  # of a run that was killed here, and is gone on with
    if config.fit.calibrate:
        _calibrate(folder, config, splits.train.label_names, *answers["validation"], test=answers.get("test"))
    return scores


def _calibrate(
    folder: ModelFolder,
    config: Config,
    label_names: Sequence[str],
    labels: np.ndarray,
    logits: np.ndarray,
    *,
    test: tuple[np.ndarray, np.ndarray] | None,
) -> None:
    """Writes the calibration; the arguments but the first two are those of `calibrate_answers`."""
    wanted = config.fit.threshold_for
    target = None if wanted is None else parse_threshold_for(wanted)
    found = calibrate_answers(labels, logits, label_names, target=target, test=test)
    write_calibration(folder, found, weights_sha256=file_sha256(folder.model / "model.safetensors"))
    for line in calibration_lines(found):
        logger.info("%s", line)


def save_model(folder: ModelFolder, prepared: Prepared) -> None:
    """Writes the weights as one file, however large: the run folder is a format, and its weights have one hash."""
    prepared.model.save_pretrained(str(folder.model), safe_serialization=True, max_shard_size="1000GB")
