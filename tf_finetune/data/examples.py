"""`Examples`: texts, labels, and where each row came from, in an Arrow table that may lie on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tf_finetune.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["Examples"]

BATCH_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled texts of one split.

    The strings live in `table`, which may be memory-mapped: reading all texts of a data set larger than memory costs
    one batch at a time. Only the row numbers and the labels (12 bytes a row) are always in memory.

    Attributes:
        table: Arrow table with the columns ``text`` (string), ``pair`` (string, only for sentence pairs),
            ``origin`` (string, dictionary-encoded: the file) and ``row`` (int64: line, row or 0 for a whole file).
        rows: int64 `[n]`, the rows of `table` that belong to this split, in order.
        labels: int32 `[n]`, index into `label_names`; -1 throughout where the data has no labels.
        label_names: class names in index order.
    """

    table: pa.Table
    rows: np.ndarray
    labels: np.ndarray
    label_names: tuple[str, ...]

    @classmethod
    def from_lists(
        cls,
        texts: Sequence[str],
        labels: Sequence[str],
        *,
        pairs: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> Examples:
        """Makes examples from Python lists.

        Args:
            texts: `n` strings.
            labels: `n` class names.
            pairs: `n` second sentences, for sentence pairs.
            label_names: class names in index order; the sorted distinct `labels` by default.

        Raises:
            DataError: The lists differ in length, hold something other than strings, or a label is not in
                `label_names`.
        """
        import numpy as np
        import pyarrow as pa

        lengths = {len(texts), len(labels), len(texts if pairs is None else pairs)}
        if len(lengths) > 1:
            raise DataError(f"`texts`, `labels` and `pairs` must have one length. Received lengths {sorted(lengths)}.")
        for name, values in (("texts", texts), ("labels", labels), ("pairs", pairs or ())):
            _require_strings(name, values)
        names = tuple(sorted(set(labels)) if label_names is None else label_names)
        unknown = sorted(set(labels) - set(names))
        if unknown:
            raise DataError(f"`labels` holds {unknown}, which `label_names` {list(names)} lacks.")
        index = {name: i for i, name in enumerate(names)}
        columns = {"text": pa.array(texts, pa.string())}
        if pairs is not None:
            columns["pair"] = pa.array(pairs, pa.string())
        columns["origin"] = pa.array(["memory"] * len(texts), pa.string()).dictionary_encode()
        columns["row"] = pa.array(range(1, len(texts) + 1), pa.int64())
        return cls(
            table=pa.table(columns),
            rows=np.arange(len(texts), dtype=np.int64),
            labels=np.array([index[label] for label in labels], dtype=np.int32),
            label_names=names,
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def has_pairs(self) -> bool:
        """Whether every row has a second sentence."""
        return "pair" in self.table.column_names

    @property
    def label_counts(self) -> dict[str, int]:
        """Rows of each class, in index order."""
        return {name: int((self.labels == i).sum()) for i, name in enumerate(self.label_names)}

    def batches(self, size: int = BATCH_ROWS) -> Iterator[tuple[list[str], list[str] | None]]:
        """Yields `(texts, pairs)` in row order, at most `size` rows at a time; `pairs` is None without a second column.

        Costs the memory of one batch, whatever the size of the table.
        """
        for start in range(0, len(self), size):
            rows = self.rows[start : start + size]
            yield self._values("text", rows), self._values("pair", rows) if self.has_pairs else None

    def texts(self) -> list[str]:
        """All texts, as one list in memory."""
        return [text for texts, _ in self.batches() for text in texts]

    def where(self, i: int) -> str:
        """Names the origin of row `i` for a message: ``reviews.csv:17``."""
        row = self.rows[[i]]
        origin, number = self._values("origin", row)[0], self._values("row", row)[0]
        return f"{origin}:{number}" if number else str(origin)

    def take(self, indices: np.ndarray) -> Examples:
        """The examples at `indices` (int64 `[m]`), in that order, over the same table; no text is copied."""
        taken = replace(self, rows=self.rows[indices], labels=self.labels[indices])
        if "row_hashes" in self.__dict__:  # known already: no second pass over the texts
            taken.__dict__["row_hashes"] = self.row_hashes[indices]
        return taken

    @cached_property
    def row_hashes(self) -> np.ndarray:
        """128-bit BLAKE2b digest of each row's text (and pair), as 16 raw bytes a row: `[n]` of dtype ``V16``."""
        import numpy as np

        digests = bytearray()
        for texts, pairs in self.batches():
            for i, text in enumerate(texts):
                # the length keeps ("ab", "c") apart from ("a", "bc")
                key = text if pairs is None else f"{len(text)} {text}{pairs[i]}"
                digests += hashlib.blake2b(key.encode("utf-8"), digest_size=16).digest()
        return np.frombuffer(digests, dtype="V16")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over texts, labels and label names, in order: equal exactly when the content is equal."""
        header = json.dumps({"label_names": list(self.label_names), "pairs": self.has_pairs, "rows": len(self)})
        digest = hashlib.sha256(header.encode("ascii"))
        digest.update(self.row_hashes.tobytes())
        digest.update(self.labels.astype("<i4").tobytes())
        return digest.hexdigest()

    @cached_property
    def _chunks(self) -> dict[str, tuple[np.ndarray, list[pa.Array]]]:
        """For each column its chunks, and the table row at which each begins."""
        import numpy as np

        columns = {}
        for name in self.table.column_names:
            chunks = [chunk for chunk in self.table.column(name).chunks if len(chunk)]
            columns[name] = (np.cumsum([0, *map(len, chunks)][:-1], dtype=np.int64), chunks)
        return columns

    def _values(self, name: str, rows: np.ndarray) -> list[Any]:
        """Python values of a column at table rows (int64 `[m]`).

        `Table.take` may concatenate all chunks of a string column first, which reads the whole table into memory;
        this touches only the chunks that hold the rows.
        """
        import numpy as np
        import pyarrow as pa

        starts, chunks = self._chunks[name]
        of_row = np.searchsorted(starts, rows, side="right") - 1
        order = np.argsort(of_row, kind="stable")
        values: list[Any] = [None] * len(rows)
        touched, first = np.unique(of_row[order], return_index=True)
        for chunk, places in zip(touched, np.split(order, first[1:]), strict=True):
            found = chunks[chunk].take(pa.array(rows[places] - starts[chunk]))
            for place, value in zip(places.tolist(), found.to_pylist(), strict=True):
                values[place] = value
        return values


def _require_strings(name: str, values: Sequence[str]) -> None:
    for i, value in enumerate(values):
        if not isinstance(value, str):
            raise DataError(f"`{name}` must hold strings only. Received {type(value).__name__} at index {i}.")
