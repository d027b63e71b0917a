"""`Corpus`: the rows of all splits under one numbering."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from tf_finetune.audit.finding import Place
from tf_finetune.data import Examples
from tf_finetune.errors import DataError

__all__ = ["LISTED", "SPLIT_WORDS", "Corpus", "cut_text", "shown_share"]

LISTED = 100
"""Most rows that a finding lists."""

EXCERPT = 300
"""Characters of a text that are shown."""

SPLIT_WORDS = {"train": "training", "validation": "validation", "test": "test"}


class Corpus:
    """The rows of some splits, one split after the other; row `i` of the corpus has one number in all of the audit.

    Args:
        splits: Name to examples, in the order in which they are used: a text in two of them leaks into the later one.

    Attributes:
        names: Names of the splits.
        parts: Their examples.
        starts: int64 `[splits + 1]`, the number at which each split begins, and that of all rows.
        labels: int32 `[n]`, class of each row.
        label_names: Class names in index order.

    Raises:
        DataError: There is no split, or they do not have the same classes.
    """

    def __init__(self, splits: Mapping[str, Examples]) -> None:
        if not splits:
            raise DataError("An audit needs at least one split. Received none.")
        self.names = tuple(splits)
        self.parts = tuple(splits.values())
        self.label_names = self.parts[0].label_names
        if any(part.label_names != self.label_names for part in self.parts):
            raise DataError("All splits must have the same class names in the same order.")
        self.starts = np.cumsum([0, *map(len, self.parts)], dtype=np.int64)
        self.labels = np.concatenate([part.labels for part in self.parts])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def hashes(self) -> np.ndarray:
        """Digest of each row's text, `[n]` of dtype ``V16``."""
        return np.concatenate([part.row_hashes for part in self.parts])

    def split_of(self, rows: np.ndarray) -> np.ndarray:
        """int64 `[m]`, the number of the split of each row."""
        found: np.ndarray = np.searchsorted(self.starts, rows, side="right") - 1
        return found

    def batches(self) -> Iterator[tuple[int, list[str]]]:
        """Yields the number of the first row, and the texts, of one batch after the other."""
        for start, part in zip(self.starts.tolist(), self.parts, strict=False):
            for texts, pairs in part.batches():
                yield start, _joined(texts, pairs)
                start += len(texts)

    def texts_at(self, rows: np.ndarray) -> list[str]:
        """Texts of some rows (int64 `[m]`), in that order; sentence pairs have a line break between them."""
        texts = [""] * len(rows)
        for places, part, inner in self._by_split(rows):
            found = part.take(inner).batches(max(1, len(inner)))
            for place, text in zip(places, (text for batch in found for text in _joined(*batch)), strict=True):
                texts[place] = text
        return texts

    def where(self, rows: np.ndarray) -> list[str]:
        """File and row of some rows (int64 `[m]`), as in ``reviews.csv:17``."""
        names = [""] * len(rows)
        for places, part, inner in self._by_split(rows):
            table = part.table.select(["origin", "row"]).take(part.rows[inner])
            origins, numbers = (table.column(name).to_pylist() for name in ("origin", "row"))
            for place, origin, number in zip(places, origins, numbers, strict=True):
                names[place] = f"{origin}:{number}" if number else origin
        return names

    def places(
        self,
        rows: np.ndarray,
        *,
        others: np.ndarray | None = None,
        similarities: np.ndarray | None = None,
        listed: int = LISTED,
    ) -> tuple[Place, ...]:
        """The first `listed` of some rows, as a finding lists them.

        Args:
            rows: int64 `[m]`.
            others: int64 `[m]`, the rows that they are like.
            similarities: float64 `[m]`, how much.
            listed: Most rows.
        """
        rows = rows[:listed]
        like = [None] * len(rows) if others is None else self.where(others[:listed])
        degrees = [None] * len(rows) if similarities is None else [round(x, 4) for x in similarities[:listed].tolist()]
        names, splits = self.where(rows), self.split_of(rows).tolist()
        return tuple(
            Place(self.names[split], where, self._label(row), cut_text(text, EXCERPT), other, degree)
            for row, split, where, text, other, degree in zip(
                rows.tolist(), splits, names, self.texts_at(rows), like, degrees, strict=True
            )
        )

    def _label(self, row: int) -> str | None:
        label = int(self.labels[row])
        return None if label < 0 else self.label_names[label]

    def _by_split(self, rows: np.ndarray) -> Iterator[tuple[list[int], Examples, np.ndarray]]:
        """For each split that has some of the rows: their places in `rows`, its examples, their numbers in it."""
        splits = self.split_of(rows)
        for split in np.unique(splits).tolist():
            places = np.flatnonzero(splits == split)
            yield places.tolist(), self.parts[split], rows[places] - self.starts[split]


def cut_text(text: str, width: int) -> str:
    """The start of a text, with a mark where it was cut."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def shown_share(count: int, rows: int) -> str:
    """A share in percent; a small one is not rounded to none: ``12%``, ``1.4%``, ``0.03%``."""
    share = 100 * count / rows if rows else 0.0
    return f"{share:.0f}%" if share >= 10 or not count else f"{share:.1f}%" if share >= 0.1 else f"{share:.1g}%"


def _joined(texts: Sequence[str], pairs: Sequence[str] | None) -> list[str]:
    return list(texts) if pairs is None else [f"{text}\n{pair}" for text, pair in zip(texts, pairs, strict=True)]
