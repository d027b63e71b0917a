"""Parquet output: one row group a chunk, types as found in the first chunk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from tf_finetune.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetFormat"]


class ParquetFormat:
    """Writes rows as Parquet to a binary file that stays open.

    A column without any value in the first chunk is text. A later chunk of another type is an error, but for whole
    numbers in a column of fractions.

    Args:
        raw: where the bytes go.
        columns: column names.
    """

    def __init__(self, raw: IO[bytes], columns: Sequence[str]) -> None:
        self.raw = raw
        self.columns = columns
        self.schema: pa.Schema | None = None
        self.rows = 0
        self.file: Any = None

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Appends rows.

        Raises:
            DataError: A column holds values of several types, or some that Parquet has no type for.
        """
        import pyarrow as pa

        if not rows:
            return
        by_column = zip(self.columns, zip(*rows, strict=True), strict=True)
        arrays = [self._array(column, values) for column, values in by_column]
        if self.schema is None:
            self._open(pa.schema(list(zip(self.columns, (array.type for array in arrays), strict=True))))
        with self._value_errors("a column"):
            self.file.write_table(pa.Table.from_arrays(arrays, schema=self.schema))
        self.rows += len(rows)

    def close(self) -> None:
        """Writes the end of the file."""
        import pyarrow as pa

        if self.schema is None:
            self._open(pa.schema([(column, pa.string()) for column in self.columns]))
        if self.file is not None:
            self.file.close()

    def _open(self, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self.schema = schema
        with self._value_errors("a column"):
            self.file = pq.ParquetWriter(self.raw, schema)

    def _array(self, column: str, values: Sequence[Any]) -> pa.Array:
        """One column of a chunk, in the type of the first chunk."""
        import pyarrow as pa

        with self._value_errors(f"column {column!r}"):
            found = pa.array(values)
            if self.schema is None:
                return found.cast(_column_type(found.type))
            wanted = self.schema.field(column).type
            if found.type == wanted or pa.types.is_null(found.type) or _widens(found.type, wanted):
                return found.cast(wanted)
            # Arrow's own conversion would drop unknown fields of objects without a word
            if pa.types.is_nested(wanted) and (array := pa.array(values, wanted)).to_pylist() == list(values):
                return array
        raise DataError(
            f"column {column!r} is {wanted} in the first {self.rows} rows and {found.type} after them; "
            "a Parquet column has one type. Write .jsonl instead."
        )

    @contextlib.contextmanager
    def _value_errors(self, what: str) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
            raise DataError(
                f"{what} has no Parquet type in the rows after {self.rows}: {error}. Write .jsonl instead."
            ) from error


def _column_type(found: pa.DataType) -> pa.DataType:
    """The type of a column whose first chunk is of type `found`."""
    import pyarrow as pa

    if pa.types.is_null(found):
        return pa.string()
    return pa.decimal128(38, found.scale) if pa.types.is_decimal128(found) else found


def _widens(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether a checked cast from one type to the other keeps the value, or fails."""
    import pyarrow as pa

    is_number = pa.types.is_integer(found) and pa.types.is_floating(wanted)
    return bool(is_number or (pa.types.is_decimal(found) and pa.types.is_decimal(wanted)))
