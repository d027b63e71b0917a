"""`Slicing`: the rows of a data set in parts, by length, class or column, and how well each part is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tf_finetune.evaluation.bootstrap import Interval
from tf_finetune.evaluation.intervals import interval_of
from tf_finetune.evaluation.resampling import RESAMPLES, draw_counts

if TYPE_CHECKING:
    import numpy as np

    from tf_finetune.evaluation.slice_columns import ColumnValues

__all__ = ["LENGTH_SLICES", "SMALL", "Slice", "Slicing", "slice_by_class", "slice_by_column", "slice_by_length"]

SMALL = 30
"""Rows below which a slice is marked: so few resample to few different scores, and intervals are rough."""

MOST_SLICES = 20
"""Values of a column that are slices of their own, the most frequent ones; the others make one together."""

LENGTH_SLICES = 4


@dataclass(frozen=True)
class Slice:
    """How well the rows of one part are answered.

    Attributes:
        name: What the rows have in common.
        rows: How many they are.
        accuracy: Share of right ones; of a class, its recall.
        macro_f1: Mean F1 of the classes that occur in the slice, as label or as answer; None in a slice by class.
    """

    name: str
    rows: int
    accuracy: Interval
    macro_f1: Interval | None

    @property
    def is_small(self) -> bool:
        """Whether the slice has fewer than 30 rows: too few to conclude much."""
        return self.rows < SMALL

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; intervals as their two ends."""
        values: dict[str, Any] = {"name": self.name, "rows": self.rows, "small": self.is_small}
        for score, interval in (("accuracy", self.accuracy), ("macro_f1", self.macro_f1)):
            values[score] = None if interval is None else interval.estimate
            values[f"{score}_interval"] = None if interval is None else [interval.low, interval.high]
        return values


@dataclass(frozen=True)
class Slicing:
    """All rows in parts.

    Attributes:
        kind: ``length``, ``class`` or ``column``.
        by: Name of the column; else the kind.
        slices: By length from the shortest, by class in index order, by column from the most frequent value.
    """

    kind: str
    by: str
    slices: tuple[Slice, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"kind": self.kind, "by": self.by, "slices": [one.to_dict() for one in self.slices]}


def slice_by_class(
    labels: np.ndarray,
    predicted: np.ndarray,
    label_names: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Slicing:
    """One slice for each class that has rows.

    Args:
        labels: integers `[n]`, the true classes.
        predicted: integers `[n]`, the answers.
        label_names: Class names in index order.
        resamples: How often the rows of a slice are drawn anew.
        seed: Seed of the draws.
    """
    scorer = _Scorer(labels, predicted, resamples, seed)
    named = ((name, labels == i) for i, name in enumerate(label_names))
    return Slicing(
        "class", "class", tuple(scorer.slice(name, rows, has_f1=False) for name, rows in named if rows.any())
    )


def slice_by_length(
    labels: np.ndarray,
    predicted: np.ndarray,
    lengths: np.ndarray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Slicing:
    """Quarters by length, cut at the quartiles; fewer where many rows have the same length.

    Args:
        labels: integers `[n]`, the true classes.
        predicted: integers `[n]`, the answers.
        lengths: integers `[n]`, characters of the text, with those of the second sentence: unlike tokens, they are the
            same for every model.
        resamples: How often the rows of a slice are drawn anew.
        seed: Seed of the draws.
    """
    import numpy as np

    inner = np.quantile(lengths, np.arange(1, LENGTH_SLICES) / LENGTH_SLICES, method="inverted_cdf")
    ends = np.unique([*inner, lengths.max()])  # inclusive
    of_row = np.searchsorted(ends, lengths)
    scorer = _Scorer(labels, predicted, resamples, seed)
    slices = []
    for i in range(len(ends)):
        rows = of_row == i
        shortest, longest = lengths[rows].min(), lengths[rows].max()
        span = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
        slices.append(scorer.slice(f"{span} characters", rows))
    return Slicing("length", "length", tuple(slices))


def slice_by_column(
    labels: np.ndarray,
    predicted: np.ndarray,
    column: ColumnValues,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Slicing:
    """One slice for each of the 20 most frequent values of a column, and one for all other values.

    Args:
        labels: integers `[n]`, the true classes.
        predicted: integers `[n]`, the answers.
        column: Values of the `n` rows.
        resamples: How often the rows of a slice are drawn anew.
        seed: Seed of the draws.
    """
    import numpy as np

    counts = np.bincount(column.codes, minlength=len(column.values))
    order = np.argsort(-counts, kind="stable")
    scorer = _Scorer(labels, predicted, resamples, seed)
    slices = [scorer.slice(column.values[code], column.codes == code) for code in order[:MOST_SLICES]]
    others = order[MOST_SLICES:]
    if len(others):
        slices.append(scorer.slice(f"({len(others)} other values)", np.isin(column.codes, others)))
    return Slicing("column", column.name, tuple(slices))


@dataclass(frozen=True)
class _Scorer:
    """Scores parts of one data set; the draws of each part follow from the seed and its rows alone."""

    labels: np.ndarray
    predicted: np.ndarray
    resamples: int
    seed: int

    def slice(self, name: str, rows: np.ndarray, *, has_f1: bool = True) -> Slice:
        """Scores the rows for which `rows`, bool `[n]`, is true; at least one."""
        import numpy as np

        from tf_finetune.evaluation.class_counts import confusion_matrix, of_confusion

        # of thousands of classes, few occur in a slice: those are numbered anew, in their order
        both = np.stack([self.labels[rows], self.predicted[rows]])
        occurring, (labels, predicted) = np.unique(both, return_inverse=True)
        exact = of_confusion(confusion_matrix(labels, predicted, len(occurring)))
        generator = np.random.default_rng(self.seed)
        drawn = draw_counts(labels, predicted, len(occurring), self.resamples, generator)
        macro_f1 = interval_of(float(exact.macro_f1), drawn.macro_f1, len(labels)) if has_f1 else None
        return Slice(name, len(labels), interval_of(float(exact.accuracy), drawn.accuracy, len(labels)), macro_f1)
