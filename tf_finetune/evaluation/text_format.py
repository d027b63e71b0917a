"""CSV, TSV and JSONL output.

- CSV, TSV: text as it is, missing values and NaN as an empty cell, booleans as ``true``/``false``, lists and objects
  as JSON.
  A cell that holds the separator, a quote or a line break is wrapped in quotes, inner quotes doubled. TSV files too:
  the alternative would be to change the text. Read such a file back with ``--tsv-quoting csv``.
- JSONL: as JSON; NaN, which JSON lacks, as null; dates and decimals as text.
"""

from __future__ import annotations

import datetime
import decimal
import itertools
import json
import math
import zlib
from collections.abc import Callable, Sequence
from typing import IO, Any

from tf_finetune.errors import DataError

__all__ = ["TextFormat"]


class TextFormat:
    """Writes rows as text, UTF-8, to a binary file that stays open.

    Args:
        raw: where the bytes go.
        columns: column names; the header of CSV and TSV, the keys of JSONL.
        suffix: ``.csv``, ``.tsv`` or ``.jsonl``, and ``.gz`` behind it for gzip.
    """

    def __init__(self, raw: IO[bytes], columns: Sequence[str], suffix: str) -> None:
        self.raw = raw
        self.columns = columns
        # 31 is zlib's code for gzip; its header holds no name and no time: the same rows give the same bytes
        self.gzip = zlib.compressobj(wbits=31) if suffix.endswith(".gz") else None
        kind = suffix.removesuffix(".gz")
        self.delimiter = "\t" if kind == ".tsv" else ","
        self.format: Callable[[Sequence[Any]], str] = self._json if kind == ".jsonl" else self._delimited
        self.header = [] if kind == ".jsonl" else [columns]

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Appends rows.

        Raises:
            DataError: A value cannot be written as text.
        """
        lines = []
        for row in itertools.chain(self.header, rows):
            line = self.format(row)
            try:
                lines.append(line.encode("utf-8") + b"\n")
            except UnicodeEncodeError as error:
                raise DataError(f"{line[:60]!r}... holds half a surrogate pair, which UTF-8 lacks.") from error
        self.header = []
        data = b"".join(lines)
        self.raw.write(self.gzip.compress(data) if self.gzip else data)

    def close(self) -> None:
        """Writes the end of the file, and the header if there was no row."""
        self.write([])
        if self.gzip:
            self.raw.write(self.gzip.flush())

    def _delimited(self, row: Sequence[Any]) -> str:
        cells = [self._cell(_plain(value, column)) for column, value in zip(self.columns, row, strict=True)]
        # a lone empty cell is quoted: readers skip blank lines
        return self.delimiter.join(cells) or '""'

    def _cell(self, value: Any) -> str:
        if value is None:
            return ""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if any(char in text for char in (self.delimiter, '"', "\n", "\r")):
            return '"' + text.replace('"', '""') + '"'
        return text

    def _json(self, row: Sequence[Any]) -> str:
        values = {column: _plain(value, column) for column, value in zip(self.columns, row, strict=True)}
        try:
            return json.dumps(values, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise DataError(f"JSON has no infinity. Write .parquet or .csv instead. Received: {values}.") from error


def _plain(value: Any, column: str) -> Any:
    """A value that JSON can hold; NaN becomes None, as tables mean it."""
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(one, column) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one, column) for key, one in value.items()}
    if isinstance(value, float) and math.isnan(value):
        return None
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise DataError(
        f"column {column!r} holds {type(value).__name__}, which a text file cannot hold. Write .parquet instead."
    )
