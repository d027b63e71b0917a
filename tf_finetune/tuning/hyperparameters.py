"""A `Space` and its values as keras-tuner takes them, and back."""

from __future__ import annotations

import math
from typing import Any

from tf_finetune.config.yaml_file import dump_value
from tf_finetune.tuning.keras_tuner import load_keras_tuner
from tf_finetune.tuning.space import Dimension, Space

__all__ = ["decoded", "encoded", "rounded", "to_hyperparameters", "within"]

kt: Any = load_keras_tuner()

DIGITS = 4
"""Significant digits of numbers that are drawn from a range: enough to search, and to be read."""


def to_hyperparameters(space: Space) -> Any:
    """A space as keras-tuner takes it."""
    found = kt.HyperParameters()
    for dimension in space.dimensions:
        sampling = "log" if dimension.log else "linear"
        if dimension.values:
            found.Choice(dimension.name, [encoded(dimension, value) for value in dimension.values])
        else:
            add = found.Int if dimension.option.kind is int else found.Float
            add(dimension.name, dimension.low, _last(dimension), step=dimension.step, sampling=sampling)
    return found


def _last(dimension: Dimension) -> float:
    """Upper end as keras-tuner takes it: with steps half of one further, or rounding may cost it the last value."""
    low, high, step = dimension.low, dimension.high, dimension.step
    if step is None or dimension.option.kind is int:
        return high
    return low + (math.floor((high - low) / step + 1e-9) + 0.5) * step


def encoded(dimension: Dimension, value: Any) -> Any:
    """A value as keras-tuner takes it: a number or text; of one that is not in the space, the nearest or the first."""
    if not dimension.values:
        return dimension.low if value is None else min(max(value, dimension.low), dimension.high)
    if dimension.is_ordered:
        kind = dimension.option.kind
        return kind(value if value in dimension.values else dimension.values[0])
    return dump_value(value if value in dimension.values else dimension.values[0])


def decoded(dimension: Dimension, value: Any) -> Any:
    """A value as the configuration takes it."""
    if not dimension.values:
        return dimension.option.kind(value)
    return next(own for own in dimension.values if encoded(dimension, own) == value)


def within(dimension: Dimension | None, value: Any) -> Any:
    """A value that was drawn; one of a range with the digits that count, and not beyond its ends for that."""
    return value if dimension is None else min(max(rounded(value), dimension.low), dimension.high)


def rounded(value: Any) -> Any:
    """A number with the digits that count."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) and math.isfinite(value) else value
