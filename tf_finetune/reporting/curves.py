"""The points of ROC and precision-recall curves."""

from __future__ import annotations

import numpy as np

__all__ = ["precision_recall_points", "roc_points"]

POINTS = 300
"""Most points of a curve: nearer ones fall on the same pixel."""


def roc_points(is_class: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rate at each threshold, float64 `[points]`, from (0, 0) to (1, 1).

    Args:
        is_class: bool `[n]`, whether the row has the class; some rows do, some do not.
        probabilities: float `[n]`, its probability of the class.
    """
    hits, rows = _counts(is_class, probabilities)
    false, true = (rows - hits) / (rows[-1] - hits[-1]), hits / hits[-1]
    kept = _thinned(false + true)
    return np.concatenate([[0.0], false[kept]]), np.concatenate([[0.0], true[kept]])


def precision_recall_points(is_class: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision at each threshold, float64 `[points]`, from the highest threshold to the lowest.

    Args:
        is_class: bool `[n]`, whether the row has the class; some rows do.
        probabilities: float `[n]`, its probability of the class.
    """
    hits, rows = _counts(is_class, probabilities)
    recall, precision = hits / hits[-1], hits / rows
    kept = _thinned(recall)
    return recall[kept], precision[kept]


def _counts(is_class: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the class, and all rows, at or above each different probability, from the highest down."""
    order = np.argsort(-probabilities, kind="stable")
    ordered = probabilities[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)  # of each tie
    return np.cumsum(is_class[order])[last].astype(np.float64), last + 1.0


def _thinned(progress: np.ndarray) -> np.ndarray:
    """Indices of at most `POINTS` of some points, about equally far apart; the first and the last among them."""
    if len(progress) <= POINTS:
        return np.arange(len(progress))
    wanted = np.linspace(progress[0], progress[-1], POINTS - 1)
    found = np.searchsorted(progress, wanted, side="right") - 1
    return np.unique(np.append(np.maximum(found, 0), [0, len(progress) - 1]))
