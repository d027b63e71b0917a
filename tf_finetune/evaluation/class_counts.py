"""`ClassCounts`: hits, rows and answers of each class; all scores that need no probabilities follow from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["ClassCounts", "confusion_matrix", "count_kinds", "of_confusion"]


@dataclass(frozen=True)
class ClassCounts:
    """How often each class is right, true and predicted; of one data set, or of many resamples of it.

    Every score is defined as scikit-learn defines it; 0 where its quotient is undefined.

    Attributes:
        hits: float64 `[..., classes]`, rows of the class that were predicted as it.
        rows: float64 `[..., classes]`, rows of the class.
        answers: float64 `[..., classes]`, rows that were predicted as the class.
    """

    hits: np.ndarray
    rows: np.ndarray
    answers: np.ndarray

    @property
    def accuracy(self) -> np.ndarray:
        """Share of right rows, float64 `[...]`."""
        return _share(self.hits.sum(-1), self.rows.sum(-1))

    @property
    def precision(self) -> np.ndarray:
        """Of each class, float64 `[..., classes]`."""
        return _share(self.hits, self.answers)

    @property
    def recall(self) -> np.ndarray:
        """Of each class, float64 `[..., classes]`."""
        return _share(self.hits, self.rows)

    @property
    def f1(self) -> np.ndarray:
        """Of each class, float64 `[..., classes]`."""
        return _share(2 * self.hits, self.rows + self.answers)

    @property
    def macro_f1(self) -> np.ndarray:
        """Mean F1 of all classes, absent ones counted as 0; float64 `[...]`."""
        mean: np.ndarray = self.f1.mean(-1)
        return mean

    @property
    def weighted_f1(self) -> np.ndarray:
        """Mean F1 weighted by the rows of each class, float64 `[...]`."""
        return _share((self.f1 * self.rows).sum(-1), self.rows.sum(-1))

    @property
    def mcc(self) -> np.ndarray:
        """Matthews' correlation coefficient in Gorodkin's form for any number of classes (2004), float64 `[...]`."""
        rows = self.rows.sum(-1)
        covariance = self.hits.sum(-1) * rows - (self.rows * self.answers).sum(-1)
        spread_of_rows = rows**2 - (self.rows**2).sum(-1)
        spread_of_answers = rows**2 - (self.answers**2).sum(-1)
        return _share(covariance, np.sqrt(spread_of_rows * spread_of_answers))


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Rows of each pair of true class and answer, int64 `[true, predicted]`.

    Args:
        labels: integers `[n]`, the true classes.
        predicted: integers `[n]`, the answers.
        classes: How many classes there are.
    """
    pairs = labels.astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def of_confusion(confusion: np.ndarray) -> ClassCounts:
    """Counts of one data set, from its confusion matrix, numbers `[true, predicted]`."""
    rows = confusion.astype(np.float64)
    return ClassCounts(rows.diagonal(), rows.sum(axis=1), rows.sum(axis=0))


def count_kinds(counts: np.ndarray, true: np.ndarray, predicted: np.ndarray, classes: int) -> ClassCounts:
    """Counts of each class, from rows gathered by kind: those of one true class and one answer.

    Args:
        counts: integers `[..., kinds]`, rows of each kind.
        true: integers `[kinds]`, true class of each kind.
        predicted: integers `[kinds]`, the answer.
        classes: How many classes there are.
    """
    right = true == predicted
    return ClassCounts(
        hits=_by_class(counts[..., right], true[right], classes),
        rows=_by_class(counts, true, classes),
        answers=_by_class(counts, predicted, classes),
    )


def _by_class(counts: np.ndarray, of_class: np.ndarray, classes: int) -> np.ndarray:
    """Sums the kinds of rows `[..., kinds]` that belong to each class: `[..., classes]`."""
    from scipy.sparse import csr_array

    kinds = np.arange(len(of_class))
    sums: np.ndarray = counts @ csr_array((np.ones(len(kinds)), (kinds, of_class)), shape=(len(kinds), classes))
    return sums


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    quotient: np.ndarray = np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole != 0)
    return quotient
