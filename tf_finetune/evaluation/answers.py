"""`checked_answers`: true classes and predicted probabilities that fit together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tf_finetune.errors import DataError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["checked_answers"]

# Softmax in half precision over many classes strays by a few thousandths; logits stray by far more.
SUM_TOLERANCE = 1e-2


def checked_answers(
    labels: np.ndarray, probabilities: np.ndarray, label_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The labels, and the probabilities as float64 `[n, labels]`, each row of which sums to one as float64 can.

    Args:
        labels: integers `[n]`, index into `label_names`.
        probabilities: float `[n, labels]`; each row sums to one.
        label_names: class names in index order; two or more, all different.

    Raises:
        DataError: The arguments do not fit together, or `probabilities` holds something else (logits, NaN).
    """
    import numpy as np

    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    count = len(label_names)
    if count < 2 or len(set(label_names)) < count:
        raise DataError(f"`label_names` must hold two or more different names. Received: {list(label_names)}.")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(f"`labels` must be integers [n]. Received: {labels.dtype} {list(labels.shape)}.")
    if not len(labels):
        raise DataError("There is nothing to score: `labels` is empty. Give data with at least one labelled row.")
    if probabilities.shape != (len(labels), count) or probabilities.dtype.kind != "f":
        raise DataError(
            f"`probabilities` must be floats [{len(labels)}, {count}]: a row a label, a column a class. "
            f"Received: {probabilities.dtype} {list(probabilities.shape)}."
        )
    outside = np.flatnonzero((labels < 0) | (labels >= count))
    if len(outside):
        raise DataError(
            f"`labels` must lie in 0..{count - 1}. Received {labels[outside[0]]} at index {outside[0]} "
            f"({len(outside)} of {len(labels)} are outside)."
        )
    exact = probabilities.astype(np.float64)
    broken = np.flatnonzero(~np.isfinite(exact).all(axis=1))
    if len(broken):
        raise DataError(
            f"`probabilities` holds NaN or infinity in {len(broken)} of {len(exact)} rows, first at index {broken[0]}: "
            "the model has diverged. Train it again with a lower learning rate, or with precision float32."
        )
    sums = exact.sum(axis=1, keepdims=True)
    wrong = np.flatnonzero((exact < 0).any(axis=1) | (np.abs(sums[:, 0] - 1) > SUM_TOLERANCE))
    if len(wrong):
        raise DataError(
            f"`probabilities` must be non-negative and sum to one in each row. Received {exact[wrong[0]].tolist()} "
            f"at index {wrong[0]}: these look like logits; apply softmax first."
        )
    return labels, exact / sums
