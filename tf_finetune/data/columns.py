"""Which columns hold the text, the second sentence and the label: as told, or by their usual names, never by place."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from tf_finetune.errors import DataError

__all__ = ["resolve_label_column", "resolve_text_columns"]

TEXT_NAMES = (
    "text",
    "texts",
    "review",
    "reviews",
    "review_text",
    "review_body",
    "sentence",
    "content",
    "body",
    "comment",
    "comment_text",
    "message",
    "document",
    "tweet",
)
LABEL_NAMES = ("label", "labels", "sentiment", "class", "category", "target", "polarity")


def resolve_text_columns(
    columns: Sequence[str],
    text_column: str | None = None,
    pair_column: str | None = None,
    *,
    exclude: str | None = None,
) -> tuple[str, str | None]:
    """Finds the column of the text and, if one is named, of the second sentence.

    Args:
        columns: the column names that were found.
        text_column: the name given; by default the one column with a usual name.
        pair_column: the name given; there is no default.
        exclude: a column that is taken already, as the label.

    Raises:
        DataError: A column that was named is not there or named twice, or not exactly one column has a usual name.
    """
    if pair_column is not None:
        _require(columns, pair_column, "--pair-column")
    if text_column is None:
        free = [name for name in columns if name not in (pair_column, exclude)]
        return _only(columns, free, TEXT_NAMES, "the text", "--text-column"), pair_column
    _require(columns, text_column, "--text-column")
    if text_column == pair_column:
        raise DataError(f"--text-column and --pair-column both name {text_column!r}. A pair has two columns.")
    return text_column, pair_column


def resolve_label_column(columns: Sequence[str], label_column: str | None = None, *, taken: Sequence[str] = ()) -> str:
    """Finds the column of the label.

    Args:
        columns: the column names that were found.
        label_column: the name given; by default the one column with a usual name.
        taken: columns that are the text or the second sentence.

    Raises:
        DataError: The column that was named is not there or taken, or not exactly one column has a usual name.
    """
    if label_column is None:
        free = [name for name in columns if name not in taken]
        return _only(columns, free, LABEL_NAMES, "the label", "--label-column")
    _require(columns, label_column, "--label-column")
    if label_column in taken:
        raise DataError(f"--label-column names {label_column!r}, which is a column of the text.")
    return label_column


def _require(columns: Sequence[str], name: str, flag: str) -> None:
    if name not in columns:
        near = difflib.get_close_matches(name.lower(), [column.lower() for column in columns], n=1)
        hint = [f" Is {column!r} meant?" for column in columns if [column.lower()] == near]
        raise DataError(f"{flag}: there is no column {name!r}. {_found(columns)}{''.join(hint[:1])}")


def _only(columns: Sequence[str], free: Sequence[str], usual: Sequence[str], what: str, flag: str) -> str:
    fits = [name for name in free if name.strip().lower().replace(" ", "_") in usual]
    if len(fits) == 1:
        return fits[0]
    several = f"Several columns may hold {what}: {', '.join(map(repr, fits))}. " if fits else ""
    none = "" if fits else f"No column has a usual name for {what} ({', '.join(usual[:4])}, ...). "
    raise DataError(f"{several}{none}{_found(columns)} Give {flag} NAME.")


def _found(columns: Sequence[str]) -> str:
    found = f"Columns found: {', '.join(map(repr, columns))}."
    if len(columns) == 1 and any(mark in columns[0] for mark in ";\t|,"):
        found += " Is another character than the file's name says between the fields (.csv: comma, .tsv: tab)?"
    return found
