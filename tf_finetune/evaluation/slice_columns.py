"""`read_columns`: the values of further columns of labelled data, row by row beside the examples read from it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tf_finetune.config import DataConfig
from tf_finetune.data import Examples
from tf_finetune.data.readers import Table, find_sources, open_table
from tf_finetune.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ColumnValues", "read_columns"]

EMPTY = "(empty)"

MOST_VALUES = 10_000
"""Different values of a column; with more it is a text or a number of the row, and no row has anything in common."""


@dataclass(frozen=True)
class ColumnValues:
    """One column of labelled data.

    Attributes:
        name: Its name.
        values: Its different values as text, in the order in which they first occur.
        codes: int32 `[n]`, index into `values` of each row.
    """

    name: str
    values: tuple[str, ...]
    codes: np.ndarray


def read_columns(
    examples: Examples,
    paths: Sequence[str],
    names: Sequence[str],
    *,
    split: str = "test",
    encoding: str = "utf-8",
    tsv_quoting: str = "none",
    data_dir: str | None = None,
    spool_dir: str | None = None,
) -> tuple[ColumnValues, ...]:
    """Reads columns of the data that `examples` were read from, by a second pass over it.

    Rows that were left out of the examples are left out here too.

    Args:
        examples: What `read_examples` gave, whole and in its order.
        paths: As for `read_examples`.
        names: Columns to read.
        split: As for `read_examples`.
        encoding: Of text files.
        tsv_quoting: ``none`` or ``csv``.
        data_dir: Folder of prepared tensorflow-datasets.
        spool_dir: Folder of temporary files.

    Raises:
        ConfigError: A column is named twice, or the data has no columns.
        DataError: A column is missing, holds something that is no single value, has over 10,000 different ones, or the
            data changed while it was read.
    """
    if len(set(names)) < len(names):
        raise ConfigError(f"--slice-by: name each column once. Received: {', '.join(names)}.")
    config = DataConfig(data_dir=data_dir, encoding=encoding, tsv_quoting=tsv_quoting)
    collectors = [_Collector(name) for name in names]
    places = _places(examples)
    wanted = next(places, None)
    for source in find_sources(paths):
        if source.kind == "folder":
            raise ConfigError(f"--slice-by {names[0]}: {source.path} is a folder of texts, which has no columns.")
        table = open_table(source, config, split=split, spool_dir=spool_dir)
        _check_columns(table, names)
        for origin, number, row in table.rows(names):
            if (_as_stored(origin), number) == wanted:
                for collector in collectors:
                    collector.add(row[collector.name], f"{origin}:{number}")
                wanted = next(places, None)
    if wanted is not None:
        raise DataError(f"{wanted[0]}:{wanted[1]}: the row is gone. The data changed while it was read; try again.")
    return tuple(collector.finish() for collector in collectors)


def _places(examples: Examples) -> Iterator[tuple[str, int]]:
    """Origin and row number of each example."""
    for batch in examples.table.select(["origin", "row"]).to_batches():
        yield from zip(batch.column("origin").to_pylist(), batch.column("row").to_pylist(), strict=True)


def _as_stored(origin: str) -> str:
    """A file name may hold bytes that are no UTF-8; `Examples` have them escaped."""
    return origin.encode("utf-8", "backslashreplace").decode()


def _check_columns(table: Table, names: Sequence[str]) -> None:
    for name in names:
        if name not in table.columns:
            found = ", ".join(map(repr, table.columns))
            raise DataError(f"{table.origin}: --slice-by: there is no column {name!r}. Columns found: {found}.")


class _Collector:
    """Takes the values of one column."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._codes = array("i")
        self._code_of: dict[str, int] = {}

    def add(self, value: object, place: str) -> None:
        """Takes one value; `place` is where it comes from."""
        if isinstance(value, (list, tuple, dict, set, bytes)):
            raise DataError(
                f"{place}: --slice-by {self.name}: expected one value a row. Received: {type(value).__name__}."
            )
        text = EMPTY if value is None or value != value or not str(value).strip() else str(value)  # NaN is not itself
        if text not in self._code_of and len(self._code_of) == MOST_VALUES:
            raise DataError(
                f"{place}: --slice-by {self.name}: the column has over {MOST_VALUES} different values. "
                "Name one in which rows have something in common."
            )
        self._codes.append(self._code_of.setdefault(text, len(self._code_of)))

    def finish(self) -> ColumnValues:
        """All values."""
        import numpy as np

        return ColumnValues(self.name, tuple(self._code_of), np.array(self._codes, np.int32))
