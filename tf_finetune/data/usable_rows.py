"""From the rows of a table to (text, second sentence, label); rows that lack one are set aside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tf_finetune.config import DataConfig
from tf_finetune.data.bad_rows import BadRows
from tf_finetune.data.columns import resolve_label_column, resolve_text_columns
from tf_finetune.data.labels import label_name
from tf_finetune.data.readers.folder import FolderTable
from tf_finetune.data.readers.table import Table
from tf_finetune.data.readers.tfds import TfdsTable
from tf_finetune.errors import DataError

__all__ = ["NO_LABEL", "Columns", "UsableRow", "find_columns", "usable_rows"]

NO_LABEL = "no label"


@dataclass(frozen=True)
class Columns:
    """The columns of one table that are read; `label` is None if labels are not wanted."""

    text: str
    pair: str | None
    label: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(name for name in (self.text, self.pair, self.label) if name is not None)


@dataclass(frozen=True, slots=True)
class UsableRow:
    """One row; `pair` and `label` are None where they are not wanted."""

    text: str
    pair: str | None
    label: str | None
    origin: str
    number: int


def find_columns(table: Table, config: DataConfig, *, labelled: bool) -> Columns:
    """Finds the columns of one table.

    Raises:
        DataError: They cannot be told; the message begins with the name of the table.
    """
    if isinstance(table, FolderTable):
        if config.pair_column is not None:
            raise DataError(f"{table.origin}: --pair-column: folders of texts have no sentence pairs.")
        return Columns("text", None, "label" if labelled else None)
    texts = table.columns
    if isinstance(table, TfdsTable):
        texts = table.text_columns
        _require_strings(table, config)
    try:
        text, pair = resolve_text_columns(texts, config.text_column, config.pair_column, exclude=config.label_column)
        taken = (text,) if pair is None else (text, pair)
        label = resolve_label_column(table.columns, config.label_column, taken=taken) if labelled else None
    except DataError as error:
        raise DataError(f"{table.origin}: {error}") from error
    if isinstance(table, TfdsTable) and label is not None:
        table.use_label(label)
    return Columns(text, pair, label)


def _require_strings(table: TfdsTable, config: DataConfig) -> None:
    for flag, name in (("--text-column", config.text_column), ("--pair-column", config.pair_column)):
        if name in table.columns and name not in table.text_columns:
            strings = ", ".join(map(repr, table.text_columns))
            raise DataError(f"{table.origin}: {flag}: {name!r} holds no strings. Those that do: {strings}.")


def usable_rows(table: Table, columns: Columns, bad: BadRows) -> Iterator[UsableRow]:
    """Yields the rows that have all that is wanted; hands the others to `bad`.

    Raises:
        DataError: A text is no string, or a label has a type that labels do not have.
    """
    for origin, number, values in table.rows(columns.names):
        where = (origin, number)
        text = _text(values[columns.text], columns.text, where)
        pair = None if columns.pair is None else _text(values[columns.pair], columns.pair, where)
        label = None if columns.label is None else _label(values[columns.label], columns.label, where)
        if columns.label is not None and label is None:
            bad.add(NO_LABEL, origin, number)
        elif not text.strip():
            bad.add("empty text", origin, number)
        elif pair is not None and not pair.strip():
            bad.add("empty second sentence", origin, number)
        else:
            yield UsableRow(text, pair, label, origin, number)


def _text(value: object, column: str, where: tuple[str, int]) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    raise DataError(f"{_place(where)}: column {column!r}: a text must be a string. Received {type(value).__name__}.")


def _label(value: object, column: str, where: tuple[str, int]) -> str | None:
    try:
        return label_name(value)
    except DataError as error:
        raise DataError(f"{_place(where)}: column {column!r}: {error}.") from error


def _place(where: tuple[str, int]) -> str:
    return f"{where[0]}:{where[1]}" if where[1] else where[0]
