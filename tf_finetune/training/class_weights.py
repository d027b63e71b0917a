"""Weights of the classes in the loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf_finetune.errors import ConfigError

__all__ = ["parse_class_weights"]


def parse_class_weights(value: str | None, labels: np.ndarray, label_names: Sequence[str]) -> dict[int, float] | None:
    """Reads a value of ``--class-weights``.

    Args:
        value: ``balanced``, or ``name=weight,...`` (classes not named weigh 1), or None.
        labels: int32 `[n]`, labels of the training rows.
        label_names: Class names in index order.

    Returns:
        Class index to weight, as `fit` takes it. ``balanced`` is scikit-learn's `n / (classes * rows of the class)`.

    Raises:
        ConfigError: The value is malformed, or names a class that is not there.
    """
    if value is None:
        return None
    if value == "balanced":
        counts = np.bincount(labels, minlength=len(label_names))
        return {i: len(labels) / (len(label_names) * int(count)) for i, count in enumerate(counts)}
    weights = dict.fromkeys(range(len(label_names)), 1.0)
    for part in value.split(","):
        name, _, number = part.rpartition("=")
        if name.strip() not in label_names:
            raise ConfigError(
                f"--class-weights {value!r}: there is no class {name.strip()!r}. "
                f"Expected 'balanced' or 'name=weight,...' with names from {list(label_names)}."
            )
        weights[list(label_names).index(name.strip())] = _weight(number, value)
    return weights


def _weight(number: str, value: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = float("nan")
    if not 0.0 <= weight < float("inf"):
        raise ConfigError(f"--class-weights {value!r}: a weight is a number of at least 0. Received: {number!r}.")
    return weight
