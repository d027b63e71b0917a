"""`fit_temperature`: the one number that logits are divided by, so that their softmax can be believed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tf_finetune.errors import DataError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Temperature", "fit_temperature"]

LOWEST, HIGHEST = 1e-3, 1e3
"""Where the temperature is looked for; trained models have 0.5 to 5. What reads a run's calibration knows these too."""

Z = 1.959963984540054
"""97.5 % quantile of the normal distribution."""


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by before the softmax.

    Attributes:
        value: Above 1 for a model that is too sure of itself, below 1 for one that is not sure enough.
        low: Lower end of its 95 % interval; None if the rows tell no temperature.
        high: Upper end of the interval.
        rows: Rows that it was fitted on.
        loss_before: Their mean cross-entropy at temperature 1, in nats.
        loss_after: The same at `value`.
        reason: Why the rows tell no temperature and it was left at 1; None if it was fitted.
    """

    value: float
    low: float | None
    high: float | None
    rows: int
    loss_before: float
    loss_after: float
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dict(vars(self))


def fit_temperature(labels: np.ndarray, logits: np.ndarray) -> Temperature:
    """Fits the temperature with the lowest cross-entropy.

    Source: Guo et al. (2017), "On Calibration of Modern Neural Networks", section 4.2. The loss is convex in 1 / T, so
    it has one minimum over log T; there is none where every row is right (the loss falls as T goes to 0) and where the
    logits are no better than guessing (it falls as T grows without end). The temperature is then left at 1, and the
    reason is told: rows that are all right would make every answer a certain one. The interval covers the chance of the
    rows: it is that of 1 / T by the sandwich variance of an M-estimator (Huber, 1967), on the scale of log T.

    Args:
        labels: integers `[n]`, the true classes.
        logits: float `[n, classes]`.

    Raises:
        DataError: The arguments do not fit together, or logits are not finite.
    """
    import numpy as np
    from scipy.optimize import minimize_scalar

    labels, logits = np.asarray(labels), np.asarray(logits)
    _check(labels, logits)
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=1, keepdims=True)
    true = exact[np.arange(len(labels)), labels]  # 0 where the row is right

    def loss(log_temperature: float) -> float:
        sharpness = math.exp(-log_temperature)
        return float((np.log(np.exp(exact * sharpness).sum(axis=1)) - true * sharpness).mean())

    before, reason = loss(0.0), _no_minimum(exact, true)
    if reason is None:
        ends = (math.log(LOWEST), math.log(HIGHEST))
        found = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-6})
        if min(abs(found.x - end) for end in ends) < 1e-3:
            reason = (
                f"the loss is lowest beyond {LOWEST if found.x < 0 else HIGHEST:g}: the logits are of no usual size"
            )
    if reason is not None:
        return Temperature(1.0, None, None, len(labels), before, before, reason)
    value = math.exp(found.x)
    factor = math.exp(min(Z * _relative_error(exact, true, 1 / value), 100.0))
    return Temperature(value, value / factor, value * factor, len(labels), before, float(found.fun))


def _check(labels: np.ndarray, logits: np.ndarray) -> None:
    import numpy as np

    if logits.ndim != 2 or logits.dtype.kind != "f" or logits.shape[1] < 2 or not len(logits):
        raise DataError(
            f"`logits` must be floats [n, classes], of one row or more. Received: {logits.dtype} {list(logits.shape)}."
        )
    if labels.shape != (len(logits),) or labels.dtype.kind not in "iu":
        raise DataError(f"`labels` must be integers [{len(logits)}]. Received: {labels.dtype} {list(labels.shape)}.")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise DataError(f"`labels` must lie in 0..{logits.shape[1] - 1}. Received: {labels.min()} to {labels.max()}.")
    if not np.isfinite(logits).all():
        raise DataError("`logits` hold NaN or infinity: the model has diverged and cannot be calibrated.")


def _no_minimum(exact: np.ndarray, true: np.ndarray) -> str | None:
    """Why no temperature is best, if so: by the slope of the loss in 1 / T at its two ends."""
    if true.mean() <= exact.mean():  # first: of equal logits, all are the highest
        return "the true classes have no higher logits than the others: the model is no better than guessing"
    if not true.any():
        return f"all {len(true)} rows are right, and so none tells how sure is too sure"
    return None


def _relative_error(exact: np.ndarray, true: np.ndarray, sharpness: float) -> float:
    """Standard error of log T."""
    import numpy as np

    weights = np.exp(exact * sharpness)
    weights /= weights.sum(axis=1, keepdims=True)
    means = (weights * exact).sum(axis=1)
    curvature = ((weights * exact**2).sum(axis=1) - means**2).mean()
    spread = ((means - true) ** 2).mean()
    return float(np.sqrt(spread / len(true)) / curvature / sharpness)
