"""Log loss, Brier score and expected calibration error, row by row: each is a mean over rows, or over bins of rows."""

from __future__ import annotations

import numpy as np

__all__ = ["CALIBRATION_BINS", "brier_rows", "calibration_bins", "calibration_error", "log_loss_rows"]

CALIBRATION_BINS = 15
"""Of equal width, as Guo et al. (2017) use them, "On Calibration of Modern Neural Networks"."""


def log_loss_rows(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Negative natural logarithm of the true class's probability, clipped at the float64 epsilon; float64 `[n]`.

    Args:
        labels: integers `[n]`.
        probabilities: float64 `[n, classes]`.
    """
    epsilon = np.finfo(np.float64).eps
    true = probabilities[np.arange(len(labels)), labels]
    losses: np.ndarray = -np.log(true.clip(epsilon, 1 - epsilon))
    return losses


def brier_rows(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Squared distance between the probabilities and the truth, float64 `[n]`.

    Of two classes, of the second class's probability alone (0 to 1); of more, summed over the classes (0 to 2): as
    scikit-learn's `brier_score_loss`.

    Args:
        labels: integers `[n]`.
        probabilities: float64 `[n, classes]`.
    """
    if probabilities.shape[1] == 2:
        distances: np.ndarray = (probabilities[:, 1] - labels) ** 2
        return distances
    true = probabilities[np.arange(len(labels)), labels]
    # |p - e_y|^2 without a second array of this size
    distances = np.einsum("ij,ij->i", probabilities, probabilities) - 2 * true + 1
    return distances


def calibration_bins(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row the bin of its top probability, int64 `[n]`, and that probability less its hit, float64 `[n]`.

    Bin `b` of `CALIBRATION_BINS` holds probabilities above `b / 15` and up to `(b + 1) / 15`.

    Args:
        labels: integers `[n]`.
        probabilities: float64 `[n, classes]`.
    """
    top = probabilities.max(axis=1)
    bins = (np.ceil(top * CALIBRATION_BINS).astype(np.int64) - 1).clip(0, CALIBRATION_BINS - 1)
    return bins, top - (probabilities.argmax(axis=1) == labels)


def calibration_error(bins: np.ndarray, gaps: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Expected calibration error: mean distance of confidence and accuracy, over the bins by their rows.

    Args:
        bins: From `calibration_bins`.
        gaps: From `calibration_bins`.
        weights: float64 `[n]`, how often each row occurs; once by default.
    """
    sums = np.bincount(bins, weights=gaps if weights is None else gaps * weights, minlength=CALIBRATION_BINS)
    rows = len(bins) if weights is None else weights.sum()
    return float(np.abs(sums).sum() / rows)
