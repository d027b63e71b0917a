"""`Answers`: labelled rows, and what a run says to them: its validation rows, or any other data."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tf_finetune.data import Examples
from tf_finetune.evaluation.found_model import find_model
from tf_finetune.evaluation.kept_answers import read_kept_answers
from tf_finetune.evaluation.labelled import answer, characters, read_labelled
from tf_finetune.evaluation.logits import softmax
from tf_finetune.reporting.run_data import RunData
from tf_finetune.run import Manifest, ModelFolder

__all__ = ["Answers", "given_answers", "validation_answers"]

VALIDATION = "validation"
GIVEN = "given"


@dataclass(frozen=True, eq=False)
class Answers:
    """What a run says to labelled rows.

    Attributes:
        name: Which rows they are: ``validation``, or of other data ``given``; ``train`` or ``test`` if it is theirs.
        label_names: Class names in index order.
        labels: integers `[n]`, the true classes.
        probabilities: float32 `[n, labels]`, as `predict` gives them: after calibration if there is one.
        temperature: What the logits were divided by; 1 without calibration.
        examples: The rows themselves; None if there are none.
        reason: Why there are none.
    """

    name: str
    label_names: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    temperature: float
    examples: Examples | None
    reason: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_validation(self) -> bool:
        """Whether these rows have chosen the epoch."""
        return self.name == VALIDATION

    @property
    def predicted(self) -> np.ndarray:
        """int64 `[n]`, the most probable class of each row."""
        found: np.ndarray = self.probabilities.argmax(axis=1)
        return found

    @property
    def uncalibrated(self) -> np.ndarray:
        """float32 `[n, labels]`, the probabilities at temperature 1."""
        with np.errstate(divide="ignore"):  # log of 0: stays 0
            return softmax(np.log(self.probabilities), temperature=1 / self.temperature)

    def lengths(self) -> np.ndarray | None:
        """int64 `[n]`, characters of each text, with those of its second sentence; None without texts."""
        if self.examples is None:
            return None
        lengths: list[int] = []
        for texts, pairs in self.examples.batches():
            lengths += characters(texts, pairs)
        return np.array(lengths, np.int64)


def validation_answers(model: ModelFolder, manifest: Manifest, data: RunData) -> Answers:
    """What the weights kept said to the validation rows.

    Args:
        model: The model folder.
        manifest: Its manifest.
        data: The data of the run, as far as it can be read again.

    Raises:
        RunError: The run has not kept its answers, or they are damaged, or of another run.
    """
    path = shlex.quote(str(model.path))
    instead = f", or report on labelled data instead (tf-finetune report {path} --data FILE)."
    labels, logits = read_kept_answers(model, manifest, otherwise=instead)
    examples, reason = data.splits.get(VALIDATION), data.reason
    if examples is not None and not np.array_equal(examples.labels, labels):
        examples, reason = None, f"The rows of {model.validation_logits} are others than those of the data."
    return Answers(
        VALIDATION,
        manifest.label_names,
        labels,
        softmax(logits, temperature=manifest.temperature),
        manifest.temperature,
        examples,
        reason,
    )


def given_answers(
    model: ModelFolder,
    manifest: Manifest,
    data: Sequence[str],
    *,
    recorded: Mapping[str, Any],
    batch_size: int,
    **options: Any,
) -> Answers:
    """Reads labelled data and has the model answer.

    Args:
        model: The model folder.
        manifest: Its manifest.
        data: Paths, globs or a ``tfds:`` name.
        recorded: Name of a split of the run to its ``sha256``, by which its rows are recognized.
        batch_size: Rows a batch.
        options: Further arguments of `read_labelled`.

    Raises:
        DataError: The data cannot be read, holds a label that the model does not know, or lacks the second sentence.
        ConfigError: A second sentence for a model of single texts, or an option without effect.
        ModelError: The run is unsafe or damaged.
    """
    found = find_model(model.path)
    examples = read_labelled(found, data, **options)
    probabilities, _ = answer(found, examples, batch_size=batch_size)
    known = {part.get("sha256"): name for name, part in recorded.items() if isinstance(part, dict)}
    name = known.get(examples.fingerprint, GIVEN)
    return Answers(name, manifest.label_names, examples.labels, probabilities, manifest.temperature, examples)
