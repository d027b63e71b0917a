"""`FewShapes`: the few shapes that all batches have where each shape is compiled apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tf_finetune.tokens.order import batch_order, padded_length
from tf_finetune.tokens.table import PAD_MULTIPLE, TokenTable

__all__ = ["FewShapes", "best_lengths", "few_shapes"]


@dataclass(frozen=True)
class FewShapes:
    """Shapes of the batches of some passes over `n` rows.

    Attributes:
        batch_size: Rows of a full batch.
        full: Whether there are full batches at all.
        rest: Rows of the smaller last batch of a pass; 0 if there is none.
        lengths: Lengths that batches are padded to, rising. The last batch of a pass gets the longest.
    """

    batch_size: int
    full: bool
    rest: int
    lengths: tuple[int, ...]

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Every `(rows, length)` that may occur."""
        full = [(self.batch_size, length) for length in self.lengths] if self.full else []
        return (*full, *([(self.rest, self.lengths[-1])] if self.rest else []))

    def length(self, rows: int, longest: int) -> int:
        """Length of a batch.

        Args:
            rows: Its rows.
            longest: Tokens of its longest row.
        """
        if rows < self.batch_size:
            return self.lengths[-1]
        return next(length for length in self.lengths if length >= longest)

    def positions(self, lengths: np.ndarray, rows: np.ndarray) -> int:
        """Positions that a pass over `rows` computes, padding included.

        Args:
            lengths: int `[n]`, tokens in each row.
            rows: int64 `[n]`, a batch order.
        """
        batches = (rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size))
        return sum(len(batch) * self.length(len(batch), int(lengths[batch].max())) for batch in batches)


def few_shapes(table: TokenTable, *, batch_size: int, order: str, seed: int = 0, most: int) -> FewShapes:
    """The shapes with the least padding in the first epoch; later ones have other batches, but the same shapes.

    Args:
        table: The rows.
        batch_size: Rows a batch.
        order: See `batch_order`.
        seed: Seed of the order.
        most: At most this many lengths.
    """
    lengths = table.lengths
    rows = batch_order(lengths, batch_size=batch_size, order=order, seed=seed)
    full = len(rows) // batch_size
    batches = lengths[rows[: full * batch_size]].reshape(full, batch_size)
    longest = [*batches.max(axis=1), lengths.max()]  # another epoch may have the longest row in any batch
    needed = [padded_length(int(n), multiple=PAD_MULTIPLE, max_length=table.max_length) for n in longest]
    return FewShapes(batch_size, full > 0, len(rows) % batch_size, best_lengths(np.array(needed), most=most))


def best_lengths(needed: np.ndarray, *, most: int) -> tuple[int, ...]:
    """The lengths to which batches are padded with the least padding, if there may be only a few.

    The best `k` lengths up to each length are the best `k - 1` up to a shorter one, and that length itself.

    Args:
        needed: int `[batches]`, the length that each batch needs at least.
        most: At most this many lengths.

    Returns:
        Some of the lengths in `needed`, rising; the longest is among them.
    """
    values, counts = np.unique(needed, return_counts=True)
    before = np.concatenate([[0], np.cumsum(counts)])  # batches that need less than each value
    place = np.arange(len(values))
    # positions of the batches that need values[first] to values[last], all padded to values[last]
    positions = np.where(place[:, None] <= place, values * (before[1:] - before[:-1, None]), np.inf)
    best, shorter = positions[0], []
    for _ in range(min(most, len(values)) - 1):
        totals = best[:-1, None] + positions[1:]  # [the next shorter length, the longest length]
        shorter.append(totals.argmin(axis=0))
        best = totals.min(axis=0)
    chosen = [len(values) - 1]
    for choice in reversed(shorter):
        chosen.insert(0, int(choice[chosen[0]]))
    return tuple(int(value) for value in values[chosen])
