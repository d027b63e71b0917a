"""`integrate`: integrated gradients along the straight line between two inputs, until they add up.

Sundararajan, Taly and Yan 2017, "Axiomatic Attribution for Deep Networks". Completeness (their Proposition 1): the
attributions sum to the difference of the function at both ends, which tells how good the numerical integral is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tf_finetune.backend import tf
from tf_finetune.errors import ModelError
from tf_finetune.explain.explanation import MOST_STEPS, allowed_error

__all__ = ["Integral", "integrate"]

POSITIONS = 2048
"""Positions a batch: memory does not grow with the length."""


@dataclass(frozen=True)
class Integral:
    """Attributions, and how far they add up.

    Attributes:
        attributions: float64 `[length]`.
        start: The function at the start.
        end: The function at the end.
        steps: Points of the integral.
    """

    attributions: np.ndarray
    start: float
    end: float
    steps: int


def integrate(function: Callable[[Any], Any], start: np.ndarray, end: np.ndarray, *, steps: int) -> Integral:
    """Integrates the gradient of `function` from `start` to `end`, by the Gauss-Legendre rule.

    For smooth functions the rule needs fewer points than equal steps. The number of points is doubled until the
    attributions sum to the difference within `allowed_error`, or there are `MOST_STEPS`.

    Args:
        function: From float32 `[batch, length, size]` to float32 `[batch]`.
        start: float32 `[length, size]`.
        end: float32 `[length, size]`.
        steps: Points at first.

    Raises:
        ModelError: The function or its gradient is not finite.
    """
    low, high = (float(value) for value in function(tf.constant(np.stack([start, end]))))
    difference = high - low
    while True:
        gradient = _mean_gradient(function, start, end, steps)  # [length, size]
        attributions = (gradient * (end - start)).sum(axis=1)
        if not (np.isfinite(difference) and np.isfinite(attributions).all()):
            raise ModelError("The model's logits or gradients are not finite on this text: training has diverged.")
        if abs(attributions.sum() - difference) <= allowed_error(difference) or 2 * steps > MOST_STEPS:
            return Integral(attributions, low, high, steps)
        steps *= 2


def _mean_gradient(function: Callable[[Any], Any], start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """The gradient's mean along the line, float64 `[length, size]`."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)  # between -1 and 1
    shares, weights = ((nodes + 1) / 2).astype(np.float32)[:, None, None], weights / 2
    rows = max(1, POSITIONS // len(start))
    mean = np.zeros(start.shape)
    for first in range(0, steps, rows):
        points = tf.constant(start + shares[first : first + rows] * (end - start))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            values = function(points)
        gradients = tape.gradient(values, points).numpy()
        mean += np.tensordot(weights[first : first + rows], gradients, axes=1)
    return mean
