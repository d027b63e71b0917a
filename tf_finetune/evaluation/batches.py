"""`cut`: rows to batches of similar length, each of so many tokens at most."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

__all__ = ["TOKENS_A_ROW", "cut"]

TOKENS_A_ROW = 256
"""Tokens, padding included, that a batch may hold for each row of its size: memory does not grow with the length."""


def cut(lengths: np.ndarray, *, rows: int | None = None, positions: int | None = None) -> Iterator[np.ndarray]:
    """Row numbers of batches, from the shortest row to the longest.

    Args:
        lengths: int `[n]`, length of each row.
        rows: Most rows a batch; None sets no limit.
        positions: Most positions a batch when all are padded to its longest; a longer row has a batch to itself. None
            sets no limit.
    """
    order = np.argsort(lengths, kind="stable")
    most_rows, most_positions = (math.inf if limit is None else limit for limit in (rows, positions))
    start = 0
    for end in range(1, len(order) + 1):
        size = end + 1 - start  # with the next row
        if end == len(order) or size > most_rows or size * lengths[order[end]] > most_positions:
            yield order[start:end]
            start = end
