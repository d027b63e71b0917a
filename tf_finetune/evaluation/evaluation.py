"""`Evaluation`: scores with their intervals, and slices."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tf_finetune.evaluation.intervals import ScoreIntervals, score_intervals
from tf_finetune.evaluation.metrics import Scores, compute_scores
from tf_finetune.evaluation.resampling import RESAMPLES
from tf_finetune.evaluation.slices import Slicing, slice_by_class, slice_by_column, slice_by_length

if TYPE_CHECKING:
    import numpy as np

    from tf_finetune.evaluation.slice_columns import ColumnValues

__all__ = ["Evaluation", "score_answers"]


@dataclass(frozen=True)
class Evaluation(Scores):
    """Scores over the rows of one data set, how sure they are, and where the model is good or bad.

    Attributes:
        intervals: 95 % intervals of all scores.
        slicings: By length, by class, then by each column asked for.
    """

    intervals: ScoreIntervals
    slicings: tuple[Slicing, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: the scores, with ``intervals`` and ``slices``."""
        return {
            **super().to_dict(),
            "intervals": self.intervals.to_dict(self.label_names),
            "slices": [slicing.to_dict() for slicing in self.slicings],
        }


def score_answers(
    labels: np.ndarray,
    probabilities: np.ndarray,
    label_names: Sequence[str],
    *,
    lengths: np.ndarray | None = None,
    columns: Sequence[ColumnValues] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Scores predicted probabilities against the true classes, with intervals and in slices.

    Args:
        labels: integers `[n]`, index into `label_names`.
        probabilities: float `[n, labels]`; each row sums to one.
        label_names: class names in index order; two or more, all different.
        lengths: integers `[n]`, characters of each row; None for no slices by length.
        columns: Further columns to slice by, of `n` rows each.
        resamples: How often the rows are drawn anew, at least 100.
        seed: Seed of the draws; equal arguments give equal intervals.

    Raises:
        DataError: The arguments do not fit together, or `probabilities` holds something else (logits, NaN).
    """
    scores = compute_scores(labels, probabilities, label_names)
    intervals = score_intervals(labels, probabilities, label_names, resamples=resamples, seed=seed)
    predicted = probabilities.argmax(axis=1)
    draws = {"resamples": resamples, "seed": seed}
    slicings = [] if lengths is None else [slice_by_length(labels, predicted, lengths, **draws)]
    slicings.append(slice_by_class(labels, predicted, label_names, **draws))
    slicings += [slice_by_column(labels, predicted, column, **draws) for column in columns]
    values = {field.name: getattr(scores, field.name) for field in dataclasses.fields(scores)}
    return Evaluation(**values, intervals=intervals, slicings=tuple(slicings))
