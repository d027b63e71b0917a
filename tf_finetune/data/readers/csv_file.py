"""CSV and TSV files, read strictly: every record has the fields of the header, and every quote closes."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from tf_finetune.data.readers.table import Row, Table, check_column_names, no_rows
from tf_finetune.data.readers.text_stream import check_encoding, read_lines
from tf_finetune.errors import DataError

__all__ = ["CsvTable"]

logger = logging.getLogger(__name__)

# a quote that never closes would otherwise swallow the rest of the file into one field: characters
MAX_FIELD = 1 << 24


class CsvTable(Table):
    """A CSV or TSV file with a header line, plain or gzipped.

    Args:
        path: the file.
        delimiter: ``,`` or a tab.
        quoted: whether double quotes wrap fields (RFC 4180), or are plain text (IANA text/tab-separated-values).
        encoding: of the file; a byte order mark is skipped.

    Raises:
        DataError: The file is empty, broken, or in another encoding.
    """

    def __init__(self, path: Path, *, delimiter: str, quoted: bool, encoding: str) -> None:
        self.origin = str(path)
        self._path = path
        self._delimiter = delimiter
        self._quoted = quoted
        self._encoding = check_encoding(encoding)
        header = next(self._records(), None)
        if header is None:
            raise DataError(f"{path}: is empty. Expected a line of column names, then one line a row.")
        self.columns = check_column_names(self.origin, header[1])

    def rows(self, wanted: Sequence[str] | None = None) -> Iterator[Row]:
        """Yields every record below the header, numbered by the line on which it starts."""
        records = self._records()
        next(records, None)
        number, wrapped = 0, 0
        for number, fields in records:
            if len(fields) != len(self.columns):
                raise DataError(self._count_fault(number, len(fields)))
            if not self._quoted:
                wrapped += any(len(field) > 1 and field[0] == field[-1] == '"' for field in fields)
            yield self.origin, number, dict(zip(self.columns, fields, strict=True))
        if not number:
            raise no_rows(self.origin)
        if wrapped:
            logger.warning(
                "%s: %d rows have fields wrapped in double quotes, which were read as part of the text. "
                "If they only mark the fields, give --tsv-quoting csv.",
                self.origin,
                wrapped,
            )

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yields (number of the first line, fields); blank lines are no records."""
        lines = read_lines(self._path, encoding=self._encoding, newline="")
        if not self._quoted:
            for number, line in enumerate(lines, start=1):
                if content := line.rstrip("\r\n"):
                    yield number, content.split(self._delimiter)
            return
        csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD))
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        while True:
            number = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise DataError(self._quoting_fault(number, reader.line_num, error)) from error
            if fields:
                yield number, fields

    def _count_fault(self, number: int, found: int) -> str:
        name = "comma" if self._delimiter == "," else "tab"
        cure = f"Wrap fields that contain a {name} in double quotes" if self._quoted else "Take tabs out of the texts"
        return (
            f"{self.origin}:{number}: expected {len(self.columns)} {name}-separated fields "
            f"({', '.join(map(repr, self.columns))}), received {found}. {cure}."
        )

    def _quoting_fault(self, first: int, last: int, error: csv.Error) -> str:
        cure = "Close the quote, and double the quotes inside a quoted field"
        if self._delimiter == "\t":
            cure += "; or give --tsv-quoting none if quotes are plain text here"
        return (
            f"{self.origin}:{first}: broken quoting in the record that starts here ({error}, by line {last}). {cure}."
        )
