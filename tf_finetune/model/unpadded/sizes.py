"""The few numbers of tokens that training batches are rounded up to: each is compiled once, and padding is computed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tf_finetune.backend import tf
from tf_finetune.model.unpadded.parts import read_encoder

__all__ = ["choose_sizes", "round_size", "round_up", "training_operations"]

COMPILE_OPERATIONS = 150e9
"""Floating-point operations that a core does in the time in which it compiles the clusters of one size: 0.55 CPU
seconds at 240 GFLOP/s, and about the same number on slower cores, which compile more slowly as well."""
GRID = 16
"""Sizes are its multiples, so that the search stays small."""


def choose_sizes(counts: np.ndarray, *, token_operations: float) -> tuple[int, ...]:
    """The sizes with the least cost in all: padding of the batches, and compilation of the sizes.

    Each size is the one of the batches between it and the size before. The best choice is found by going through the
    batches' sizes in order, as in segmentation by least squares (Bellman 1961).

    Args:
        counts: int `[batches]`, real tokens of the batches of a run, in any order.
        token_operations: Floating-point operations of training on one token; see `training_operations`.

    Returns:
        Ascending. The largest holds the largest batch.
    """
    compiling = COMPILE_OPERATIONS / token_operations  # in tokens
    size, batches = np.unique(-(-(np.asarray(counts, np.int64) + 1) // GRID) * GRID, return_counts=True)
    before = np.concatenate([[0], np.cumsum(batches)])  # batches that are smaller than each size
    best, cut = np.zeros(len(size) + 1), np.zeros(len(size) + 1, np.int64)
    for end in range(1, len(size) + 1):
        costs = best[:end] + size[end - 1] * (before[end] - before[:end]) + compiling
        cut[end] = np.argmin(costs)
        best[end] = costs[cut[end]]
    chosen, end = [], len(size)
    while end:
        chosen.append(int(size[end - 1]))
        end = cut[end]
    return tuple(reversed(chosen))


def training_operations(model: Any) -> float:
    """Operations of forward and backward on one token: 6 for each weight of a matrix of the layers."""
    layers = read_encoder(model).layers
    dense = [(each.query, each.key, each.value, each.output, each.intermediate, each.narrow) for each in layers]
    return float(6 * sum(math.prod(part.kernel.shape) for parts in dense for part in parts))


def round_size(count: Any, sizes: tuple[int, ...]) -> Any:
    """The least of `sizes` that is no smaller than a count, an int32 scalar; beyond them what `round_up` gives."""
    if not sizes:
        return round_up(count)
    known = tf.constant(sizes)
    place = tf.reduce_sum(tf.cast(known < count, tf.int32))
    return tf.where(place < len(sizes), known[tf.minimum(place, len(sizes) - 1)], round_up(count))


def round_up(count: Any, steps: int = 16) -> Any:
    """The next of few numbers: `steps` of them between a power of two and the next, so at most 1 in `steps` too many.

    Args:
        count: int32 scalar.
        steps: A power of two.
    """
    powers = tf.constant([2**i for i in range(1, 31)])
    step = tf.bitwise.left_shift(1, tf.reduce_sum(tf.cast(powers <= count // steps, tf.int32)))
    return (count + step - 1) // step * step
