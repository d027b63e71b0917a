"""`ScoreColumn`: the scores of one data set, with their intervals as far as they are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tf_finetune.errors import DataError, RunError
from tf_finetune.evaluation.bootstrap import Interval
from tf_finetune.evaluation.evaluation import Evaluation
from tf_finetune.evaluation.intervals import OF_COUNTS, count_intervals
from tf_finetune.evaluation.metrics import Scores

__all__ = ["ScoreColumn", "evaluated_column", "recorded_columns"]

CALIBRATED = ("log_loss", "brier_score", "ece")
"""Scores that calibration.json has after calibration."""

OF_RANKS = ("auroc", "average_precision")


@dataclass(frozen=True)
class ScoreColumn:
    """Scores of one data set.

    Attributes:
        name: ``given``, ``validation`` or ``test``.
        rows: Rows scored.
        values: Name of a field of `Scores` to its value; None where it is undefined, or not known.
        intervals: The same to its interval; missing where it is not known.
    """

    name: str
    rows: int
    values: Mapping[str, float | None]
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def evaluated_column(name: str, found: Evaluation) -> ScoreColumn:
    """Of rows whose answers are at hand."""
    values = {field: getattr(found, field) for field in (*OF_COUNTS, *OF_RANKS, *CALIBRATED)}
    return ScoreColumn(name, found.rows, values, found.intervals.scores)


def recorded_columns(
    metrics: Mapping[str, Any], calibration: Mapping[str, Any] | None, *, without: str, resamples: int, seed: int
) -> list[ScoreColumn]:
    """Of the data sets in metrics.json, whose answers are not at hand: intervals follow from the confusion matrix.

    Args:
        metrics: What metrics.json says.
        calibration: What calibration.json says; None without one. Scores that it has not are left out then, since
            metrics.json has those from before.
        without: A data set to leave out.
        resamples: How often the rows are drawn anew.
        seed: Seed of the draws.

    Raises:
        RunError: metrics.json is damaged.
    """
    columns = []
    for name in ("validation", "test"):
        if name in metrics and name != without:
            try:
                scores = Scores.from_dict(metrics[name])
                intervals, _ = count_intervals(scores.confusion, resamples=resamples, seed=seed)
                values = _numbers(_values(scores, name, calibration))
                columns.append(ScoreColumn(name, int(scores.rows), values, intervals))
            except (DataError, ValueError, TypeError, AttributeError, OverflowError) as error:
                raise RunError(f"calibration.json or metrics.json is damaged ({name}): {error}") from error
    return columns


def _values(scores: Scores, name: str, calibration: Mapping[str, Any] | None) -> dict[str, float | None]:
    values = {field: getattr(scores, field) for field in (*OF_COUNTS, *OF_RANKS, *CALIBRATED)}
    if calibration is None:
        return values
    after = (calibration.get(name) or {}).get("after") or {}
    values |= {field: after.get(field) for field in CALIBRATED}
    if len(scores.label_names) > 2:  # of two classes, calibration keeps the order of the rows
        values |= dict.fromkeys(OF_RANKS)
    return values


def _numbers(values: Mapping[str, Any]) -> dict[str, float | None]:
    """The values as numbers, which a file may not have; those that are undefined stay None."""
    return {name: None if value is None else float(value) for name, value in values.items()}
