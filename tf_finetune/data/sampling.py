"""Stratified samples: fewer rows, with all classes in proportion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_finetune.data.examples import Examples
from tf_finetune.errors import DataError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["mix", "sample_examples"]


def sample_examples(examples: Examples, *, size: int, seed: int) -> Examples:
    """At most `size` rows, drawn at random with all classes in proportion, at least one of each; order is kept.

    Args:
        examples: the rows to draw from.
        size: rows wanted; with as many or fewer rows, `examples` is returned as it is.
        seed: the same seed and rows give the same sample, on every machine.

    Raises:
        DataError: `size` is smaller than the number of classes.
    """
    import numpy as np

    if size >= len(examples):
        return examples
    _, classes, counts = np.unique(examples.labels, return_inverse=True, return_counts=True)
    if size < len(counts):
        raise DataError(
            f"A sample of {size} rows (--max-train-samples) cannot hold a row of each of the {len(counts)} classes. "
            "Ask for more rows."
        )
    ranks = mix(np.arange(len(examples), dtype=np.uint64), seed=seed)
    kept = []
    for i, quota in enumerate(_quotas(counts, size)):
        rows = np.flatnonzero(classes == i)
        kept.append(rows[np.argsort(ranks[rows], kind="stable")[:quota]])
    return examples.take(np.sort(np.concatenate(kept)))


def mix(values: np.ndarray, *, seed: int) -> np.ndarray:
    """Random-looking uint64 `[n]` from uint64 `[n]` and a seed, one to one, the same for every version of NumPy.

    The finalizer of SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators").
    """
    import numpy as np

    # the increment of SplitMix64, times the seed, modulo 2^64
    z = values + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = z ^ (z >> np.uint64(31))
    return mixed


def _quotas(counts: np.ndarray, size: int) -> list[int]:
    """Rows of each class: proportional by largest remainder, at least one of each class."""
    import numpy as np

    exact = counts * (size / counts.sum())
    quotas = np.maximum(np.floor(exact).astype(np.int64), 1)
    # ties go to the first class; a class is never asked for more rows than it has
    while quotas.sum() < size:
        shortfall = np.where(quotas < counts, exact - quotas, -np.inf)
        quotas[int(np.argmax(shortfall))] += 1
    while quotas.sum() > size:
        surplus = np.where(quotas > 1, quotas - exact, -np.inf)
        quotas[int(np.argmax(surplus))] -= 1
    return [int(quota) for quota in quotas]
