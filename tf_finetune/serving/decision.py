"""`decide`: the predicted label of a row, or `UNCERTAIN` where its probability is below the label's threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["UNCERTAIN", "accepted", "decide", "limits"]

UNCERTAIN = "uncertain"

NEVER = 2.0
"""No probability comes near: the limit of a class of which no row is accepted."""


def limits(thresholds: Sequence[float | None]) -> np.ndarray:
    """The lowest accepted probability of each class, float32 `[labels]`; out of reach where none is accepted.

    Args:
        thresholds: As `Manifest` has them.
    """
    return np.array([NEVER if threshold is None else threshold for threshold in thresholds], np.float32)


def accepted(probabilities: np.ndarray, thresholds: Sequence[float | None]) -> np.ndarray:
    """Whether the most probable class of each row is accepted, bool `[n]`.

    Args:
        probabilities: float32 `[n, labels]`.
        thresholds: One a label.
    """
    found: np.ndarray = probabilities.max(axis=-1) >= limits(thresholds)[probabilities.argmax(axis=-1)]
    return found


def decide(probabilities: np.ndarray, label_names: Sequence[str], thresholds: Sequence[float | None]) -> list[str]:
    """The decision on each row.

    Args:
        probabilities: float32 `[n, labels]`.
        label_names: Class names in index order.
        thresholds: One a label.
    """
    rows = zip(accepted(probabilities, thresholds), probabilities.argmax(axis=-1))
    return [label_names[best] if is_accepted else UNCERTAIN for is_accepted, best in rows]
