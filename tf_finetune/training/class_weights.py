"""Weights of the classes in the loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
        ConfigError: The value is malformed, names a class twice or one that is not there, or leaves no weight.
    """
    if value is None:
        return None
    if value == "balanced":
        counts = np.bincount(labels, minlength=len(label_names))
        return {i: len(labels) / (len(label_names) * int(count)) for i, count in enumerate(counts)}
    given = dict(_entries(value, list(label_names)))
    if not any(given.get(name, 1.0) for name in label_names):
        raise ConfigError(f"--class-weights {value!r}: all classes weigh 0, so nothing would be learned.")
    return {i: given.get(name, 1.0) for i, name in enumerate(label_names)}


def _entries(value: str, label_names: list[str]) -> Iterator[tuple[str, float]]:
    """Class and weight of each ``name=weight``; a name may hold commas and equals signs, as a weight does not."""
    seen: set[str] = set()
    rest: str | None = value
    while rest is not None:
        rest = rest.strip()
        name = max((name for name in label_names if rest.startswith(f"{name}=")), key=len, default=None)
        if name is None:
            raise ConfigError(
                f"--class-weights {value!r}: {rest!r} does not begin with a class and '='. "
                f"Expected 'balanced' or 'name=weight,...' with names from {label_names}."
            )
        if name in seen:
            raise ConfigError(f"--class-weights {value!r}: the class {name!r} occurs more than once.")
        seen.add(name)
        number, comma, after = rest[len(name) + 1 :].partition(",")
        rest = after if comma else None
        yield name, _weight(number, value)


def _weight(number: str, value: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = float("nan")
    if not 0.0 <= weight < float("inf"):
        raise ConfigError(f"--class-weights {value!r}: a weight is a number of at least 0. Received: {number!r}.")
    return weight
