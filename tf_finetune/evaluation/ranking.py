"""`Ranking`: AUROC and average precision of one class, for the rows as they are and for any weights of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["Ranking", "mean_scores", "rankings"]


class Ranking:
    """Rows sorted by the probability of one class, ties together: sorted once, weighed as often as wanted.

    Both scores only ask, at each probability that a row of the class has, how many rows lie below it. So they are
    computed there alone; over all classes that is one step a row, beside one cumulative sum a class.

    Args:
        is_class: bool `[n]`, whether the row has the class.
        probabilities: float `[n]`, its probability of the class.
    """

    def __init__(self, is_class: np.ndarray, probabilities: np.ndarray) -> None:
        order = np.argsort(probabilities, kind="stable")
        ordered = probabilities[order]
        members = np.flatnonzero(is_class[order])
        levels, self._first = np.unique(ordered[members], return_index=True)  # where each tie of members begins
        self._order = order.astype(np.int32 if len(order) < 1 << 31 else np.int64)
        self._members = self._order[members]
        self._below = np.searchsorted(ordered, levels, side="left")
        self._up_to = np.searchsorted(ordered, levels, side="right")

    def scores(self, weights: np.ndarray) -> tuple[float, float]:
        """AUROC and average precision, as scikit-learn defines them; NaN where no row, or every row, has the class.

        Args:
            weights: float64 `[n]`, how often each row occurs.
        """
        cumulative = np.empty(len(weights) + 1)
        cumulative[0] = 0.0
        np.cumsum(weights[self._order], out=cumulative[1:])
        total = cumulative[-1]
        members = np.add.reduceat(weights[self._members], self._first) if len(self._first) else np.zeros(0)
        positives = members.sum()
        negatives = total - positives
        if not positives or not negatives:
            return np.nan, np.nan
        up_to_here = np.cumsum(members)
        below, up_to = cumulative[self._below], cumulative[self._up_to]
        negatives_below = below - (up_to_here - members)
        negatives_beside = up_to - below - members
        auroc = members @ (negatives_below + negatives_beside / 2) / (positives * negatives)
        # the threshold that takes this level in: hits and rows at or above it
        hits, rows = positives - up_to_here + members, total - below
        precision = np.divide(hits, rows, out=np.zeros(len(hits)), where=rows > 0)
        return float(auroc), float(members @ precision / positives)


def rankings(labels: np.ndarray, probabilities: np.ndarray) -> list[Ranking]:
    """What AUROC and average precision are the mean of: the second class of two, else each class against the rest.

    Args:
        labels: integers `[n]`.
        probabilities: float `[n, classes]`.
    """
    classes = probabilities.shape[1]
    return [Ranking(labels == i, probabilities[:, i]) for i in ([1] if classes == 2 else range(classes))]


def mean_scores(ranked: Sequence[Ranking], weights: np.ndarray) -> tuple[float, float]:
    """Mean AUROC and average precision; NaN where those of one class are undefined.

    Args:
        ranked: From `rankings`.
        weights: float64 `[n]`, how often each row occurs.
    """
    total_auroc = total_precision = 0.0
    for ranking in ranked:
        auroc, average_precision = ranking.scores(weights)
        if np.isnan(auroc):  # so is the mean: the other classes need no look
            return np.nan, np.nan
        total_auroc, total_precision = total_auroc + auroc, total_precision + average_precision
    return total_auroc / len(ranked), total_precision / len(ranked)
