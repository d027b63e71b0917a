"""Which rows make which batch: a pure function of lengths, seed and epoch."""

from __future__ import annotations

import numpy as np

from tf_finetune.tokens.cuts import Cuts

__all__ = ["batch_order", "batch_tokens", "padded_tokens"]

WINDOW_BATCHES = 50
"""Batches whose rows are sorted by length together. Fifty leave 1 to 5 % padding on reviews, and the order random
enough: a window of 800 reviews at batch size 16."""


def batch_order(lengths: np.ndarray, *, batch_size: int, order: str, seed: int = 0, epoch: int = 0) -> np.ndarray:
    """Row indices in the order of training; batch `i` is `[i * batch_size : (i + 1) * batch_size]`.

    Only the last batch may be smaller than `batch_size`.

    Args:
        lengths: int `[n]`, tokens in each row.
        batch_size: Rows a batch.
        order: ``plain`` or ``exact`` (random), ``bucketed`` (random, rows of similar length together), ``length``
            (longest last) or ``rows`` (as they are).
        seed: With `epoch`, the only source of randomness.
        epoch: Number of the epoch, from 0.

    Returns:
        int64 `[n]`, a permutation.

    Raises:
        ValueError: `order` is unknown.
    """
    n = len(lengths)
    if order == "rows":
        return np.arange(n, dtype=np.int64)
    if order == "length":
        return np.argsort(lengths, kind="stable").astype(np.int64)
    if order not in ("exact", "bucketed", "plain"):
        raise ValueError(f"`order` must be exact, bucketed, plain, length or rows. Received: {order!r}.")
    generator = np.random.default_rng((seed, epoch))
    rows = generator.permutation(n).astype(np.int64)
    if order != "bucketed":
        return rows
    window = WINDOW_BATCHES * batch_size
    for start in range(0, n, window):
        part = rows[start : start + window]
        rows[start : start + window] = part[np.argsort(lengths[part], kind="stable")]
    full = n // batch_size
    batches = rows[: full * batch_size].reshape(full, batch_size)
    return np.concatenate([batches[generator.permutation(full)].reshape(-1), rows[full * batch_size :]])


def batch_tokens(lengths: np.ndarray, *, batch_size: int, order: str, seed: int, epochs: int) -> np.ndarray:
    """Real tokens of all batches of a run, int64 `[epochs * batches]`; the arguments are those of `batch_order`."""
    starts = np.arange(0, len(lengths), batch_size)
    orders = (
        batch_order(lengths, batch_size=batch_size, order=order, seed=seed, epoch=epoch) for epoch in range(epochs)
    )
    return np.concatenate([np.add.reduceat(lengths[rows].astype(np.int64), starts) for rows in orders])


def padded_tokens(
    lengths: np.ndarray,
    rows: np.ndarray,
    *,
    batch_size: int,
    multiple: int,
    max_length: int,
    cuts: Cuts = Cuts(),  # noqa: B008
) -> int:
    """Positions that a pass over `rows` computes, padding included.

    Args:
        lengths: int `[n]`, tokens in each row.
        rows: int64 `[m]`, a batch order.
        batch_size: Rows a batch.
        multiple: Batches are padded to a multiple of this length,
        max_length: but never beyond this one.
        cuts: How batches are cut into micro-batches, which are trimmed to their longest row.
    """
    if cuts.needed:
        full = len(rows) // batch_size * batch_size
        blocks = [lengths[rows[:full]].reshape(-1, batch_size), lengths[rows[full:]].reshape(1, -1)]
        return sum(cuts.positions(block) for block in blocks)
    total = 0
    for start in range(0, len(rows), batch_size):
        batch = lengths[rows[start : start + batch_size]]
        total += len(batch) * padded_length(int(batch.max()), multiple=multiple, max_length=max_length)
    return total


def padded_length(longest: int, *, multiple: int, max_length: int) -> int:
    """Length of a batch whose longest row has `longest` tokens."""
    return min(-(-longest // multiple) * multiple, max(max_length, longest))
