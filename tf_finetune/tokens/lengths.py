"""`LengthReport`: how long the texts are, how many are cut, and how much compute goes to padding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tf_finetune.tokens.cuts import Cuts
from tf_finetune.tokens.order import batch_order, padded_tokens
from tf_finetune.tokens.shapes import FewShapes
from tf_finetune.tokens.table import PAD_MULTIPLE, TokenTable

__all__ = ["LengthReport", "report_lengths"]

PERCENTILES = (50, 75, 90, 95, 99, 100)


@dataclass(frozen=True)
class LengthReport:
    """Lengths of the training rows.

    Attributes:
        rows: Number of rows.
        max_length: Longest row that was allowed.
        percentiles: Percentile to the length in tokens before truncation.
        truncated: Share of the rows that were cut.
        lost: Share of all tokens that were cut off.
        tokens: Tokens of an epoch, without padding.
        padded: Positions computed in an epoch, padding included.
        padded_plain: The same for random batches that are not cut into micro-batches.
        batching: How batches are made.
        cut: Whether they are cut into micro-batches.
    """

    rows: int
    max_length: int
    percentiles: dict[int, int]
    truncated: float
    lost: float
    tokens: int
    padded: int
    padded_plain: int
    batching: str
    cut: bool

    @property
    def padding(self) -> float:
        """Share of the computed positions that are padding."""
        return 1.0 - self.tokens / self.padded

    @property
    def padding_plain(self) -> float:
        """The same for random batches that are not cut."""
        return 1.0 - self.tokens / self.padded_plain

    def lines(self) -> list[str]:
        """The report in words, a line each."""
        lengths = ", ".join(f"{p} %: {n}" for p, n in self.percentiles.items())
        return [
            f"tokens a text (percentiles): {lengths}",
            f"truncated at {self.max_length}: {self.truncated:.1%} of the texts, {self.lost:.1%} of all tokens",
            f"padding: {self.padding:.1%} of the computed positions ({self.batching} batches"
            f"{', cut into micro-batches' if self.cut else ''}; {self.padding_plain:.1%} with whole random ones)",
        ]


def report_lengths(
    table: TokenTable,
    *,
    batch_size: int,
    batching: str,
    seed: int = 0,
    cuts: Cuts = Cuts(),  # noqa: B008
    shapes: FewShapes | None = None,
) -> LengthReport:
    """Measures lengths, truncation and the padding of the first epoch.

    Args:
        table: The training rows.
        batch_size: Rows a batch.
        batching: ``exact``, ``bucketed`` or ``plain``.
        seed: Seed of the order.
        cuts: How batches are cut into micro-batches.
        shapes: The few shapes that batches are padded to, if so.
    """
    lengths, full = table.lengths, table.full_lengths

    def padded(order: str, cuts: Cuts, shapes: FewShapes | None) -> int:
        rows = batch_order(lengths, batch_size=batch_size, order=order, seed=seed)
        if shapes:
            return shapes.positions(lengths, rows)
        longest = table.max_length
        return padded_tokens(lengths, rows, batch_size=batch_size, multiple=PAD_MULTIPLE, max_length=longest, cuts=cuts)

    return LengthReport(
        rows=len(table),
        max_length=table.max_length,
        percentiles={p: int(np.percentile(full, p, method="higher")) for p in PERCENTILES},
        truncated=float((full > table.max_length).mean()),
        lost=float(1.0 - lengths.sum() / full.sum()) if full.sum() else 0.0,
        tokens=int(lengths.sum()),
        padded=padded(batching, cuts, shapes),
        padded_plain=padded("plain", Cuts(), None),
        batching=batching,
        cut=cuts.needed,
    )
