"""`ScoreColumn`: the scores of one data set, with their intervals as far as they are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tf_finetune.errors import DataError, RunError
from tf_finetune.evaluation.bootstrap import Interval
from tf_finetune.evaluation.evaluation import Evaluation
from tf_finetune.evaluation.intervals import OF_COUNTS, OF_WEIGHTS, count_intervals
from tf_finetune.evaluation.metrics import Scores
from tf_finetune.evaluation.recorded_values import recorded_values

__all__ = ["ScoreColumn", "evaluated_column", "recorded_columns"]

SCORES = (*OF_COUNTS, *OF_WEIGHTS)


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
    values = {field: getattr(found, field) for field in SCORES}
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
                values = {**dict.fromkeys(SCORES), **recorded_values(scores, calibration, name)}
                columns.append(ScoreColumn(name, int(scores.rows), values, intervals))
            except (DataError, ValueError, TypeError, AttributeError, OverflowError) as error:
                raise RunError(f"calibration.json or metrics.json is damaged ({name}): {error}") from error
    return columns
