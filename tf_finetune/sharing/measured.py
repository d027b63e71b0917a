"""`Measured`: how good a model is on one split, as it answers now, and how sure that is; from the files of its run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tf_finetune.evaluation.bootstrap import Interval
from tf_finetune.evaluation.intervals import count_intervals, score_intervals
from tf_finetune.evaluation.kept_answers import read_kept_answers
from tf_finetune.evaluation.logits import softmax
from tf_finetune.evaluation.metrics import ClassScores, Scores, compute_scores
from tf_finetune.evaluation.recorded_values import recorded_values
from tf_finetune.files import read_json
from tf_finetune.run import Manifest, ModelFolder

__all__ = ["Measured", "measure"]

MOST_ROWS, MOST_CLASSES = 10_000, 10
"""Most rows and classes of which all intervals are computed, which takes a second or two. Of more, there are those that
follow from the confusion matrix."""


@dataclass(frozen=True)
class Measured:
    """Scores on the rows of one split.

    Attributes:
        split: ``test`` or ``validation``.
        rows: How many rows there are.
        values: Field of `Scores` to its value; what is not known of the model as it is now is missing.
        intervals: The same names to their 95 % intervals, where the run has kept what they take, and not too much.
        classes: One a class, in index order.
        class_intervals: Intervals of ``precision``, ``recall`` and ``f1``, one mapping a class.
        confusion: Rows of each `[true][predicted]` pair of classes.
    """

    split: str
    rows: int
    values: Mapping[str, float]
    intervals: Mapping[str, Interval]
    classes: tuple[ClassScores, ...]
    class_intervals: tuple[Mapping[str, Interval], ...]
    confusion: tuple[tuple[int, ...], ...]


def measure(folder: ModelFolder, manifest: Manifest, calibration: Mapping[str, Any] | None) -> tuple[Measured, ...]:
    """What is known of a finished run: of its test rows first, if there were any, then of its validation rows.

    Labels do not change with a calibration, and neither do the scores that follow from them; their intervals are those
    of `score_intervals`, drawn from the confusion matrix. Log loss, Brier score and calibration error are those
    of the calibrated model. Of more than two classes, a temperature can change AUROC and average precision as well.

    Args:
        folder: The model folder.
        manifest: Of the run.
        calibration: What calibration.json says; None if there is none.

    Raises:
        RunError: A file is missing or damaged.
        DataError: The scores are damaged.
    """
    recorded = read_json(folder.metrics)
    found = {name: Scores.from_dict(recorded[name]) for name in ("test", "validation") if name in recorded}
    return tuple(_measured(folder, manifest, calibration, name, scores) for name, scores in found.items())


def _measured(
    folder: ModelFolder, manifest: Manifest, calibration: Mapping[str, Any] | None, split: str, scores: Scores
) -> Measured:
    intervals, of_classes = count_intervals(scores.confusion)
    if split == "validation" and folder.validation_logits.is_file():
        labels, logits = read_kept_answers(folder, manifest, otherwise=".")
        probabilities = softmax(logits, temperature=manifest.temperature)
        values = recorded_values(compute_scores(labels, probabilities, manifest.label_names), None, split)
        if len(labels) <= MOST_ROWS and len(manifest.label_names) <= MOST_CLASSES:
            intervals = dict(score_intervals(labels, probabilities, manifest.label_names).scores)
    else:
        values = recorded_values(scores, calibration, split)
    return Measured(split, scores.rows, values, intervals, scores.classes, of_classes, scores.confusion)
