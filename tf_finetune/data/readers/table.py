"""What all readers have in common: named columns, and rows that know where they came from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from tf_finetune.errors import DataError

__all__ = ["Row", "Table", "check_column_names", "no_rows"]

Row: TypeAlias = tuple[str, int, dict[str, Any]]
"""(origin, row number, value of each column): line or row number from 1, or 0 where the origin is one whole text."""


class Table(ABC):
    """Rows of one source, read one after the other in constant memory, as often as wanted.

    Attributes:
        origin: name of the source for messages.
        columns: column names in the order of the source.
        notes: what the terminal should say about how the source was read.
        class_names: the order of the class names, where the source defines one.
    """

    origin: str
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None

    @abstractmethod
    def rows(self, wanted: Sequence[str] | None = None) -> Iterator[Row]:
        """Yields every row; only the columns in `wanted` need be there."""


INDEX = "index"
"""Name of a first column that has none."""


def check_column_names(origin: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The column names, as a tuple; a first column without a name is the row index that pandas and R write: `index`.

    Raises:
        DataError: There are none, one is empty, or one occurs twice.
    """
    if not columns:
        raise DataError(f"{origin}: has no columns.")
    if not columns[0].strip() and INDEX not in columns:
        columns = [INDEX, *columns[1:]]
    empty = [place for place, name in enumerate(columns, start=1) if not name.strip()]
    if empty:
        raise DataError(
            f"{origin}: column {empty[0]} of {len(columns)} has no name. The first line must name every column "
            f"(only the first may be nameless, as a row index is). Found: {', '.join(map(repr, columns))}."
        )
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise DataError(f"{origin}: the column name {twice[0]!r} occurs more than once. Rename one of them.")
    return tuple(columns)


def no_rows(origin: str) -> DataError:
    """The error for a source that has columns, but no row."""
    return DataError(f"{origin}: has a header but no rows. Add rows, or leave the file out.")
