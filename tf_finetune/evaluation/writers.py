"""Rows out: CSV, TSV, JSONL or Parquet by suffix, in constant memory, and whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from tf_finetune.errors import ConfigError, DataError
from tf_finetune.evaluation.parquet_format import ParquetFormat
from tf_finetune.evaluation.text_format import TextFormat

__all__ = ["SUFFIXES", "RowWriter", "check_output", "open_writer"]

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz", ".parquet")


class RowWriter:
    """Takes rows chunk by chunk; made by `open_writer`."""

    def __init__(self, raw: IO[bytes], path: Path, columns: Sequence[str], suffix: str) -> None:
        self._raw = raw
        self._path = path
        self._format: TextFormat | ParquetFormat = (
            ParquetFormat(raw, columns) if suffix == ".parquet" else TextFormat(raw, columns, suffix)
        )

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Appends rows, each with one value a column, in the order of the columns.

        Raises:
            DataError: A value does not fit the format, or the disk fails.
        """
        with _named_errors(self._path):
            self._format.write(rows)

    def close(self) -> None:
        """Writes what is buffered and the end of the file, and closes it, even on failure; `open_writer` does so."""
        with _named_errors(self._path), self._raw:
            self._format.close()
            self._raw.flush()
            os.fsync(self._raw.fileno())


@contextlib.contextmanager
def open_writer(
    path: str | Path, columns: Sequence[str], *, inputs: Sequence[str | Path] = (), overwrite: bool = False
) -> Iterator[RowWriter]:
    """A writer in the format of the suffix, whose file appears at `path` when the body ends, and not if it fails.

    Rows go to a hidden temporary file in the same folder, which is renamed at the end. `text_format` and
    `parquet_format` say what each format keeps of a value.

    Args:
        path: output file, ending in one of `SUFFIXES`.
        columns: column names, all different.
        inputs: files that must not be replaced, even with `overwrite`.
        overwrite: whether an existing file may be replaced, at the end.

    Raises:
        ConfigError: `path` cannot be used; see `check_output`.
        DataError: A value does not fit the format, or the disk fails.
    """
    path = Path(path)
    suffix = check_output(path, inputs=inputs, overwrite=overwrite)
    if len(set(columns)) < len(columns):
        raise DataError(f"The columns of {path} must all have different names. Received: {list(columns)}.")
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with _named_errors(path):
            raw = temporary.open("xb")
        writer = RowWriter(raw, path, columns, suffix)
        try:
            yield writer
        except BaseException:
            with contextlib.suppress(DataError):
                writer.close()
            raise
        writer.close()
        # looked at again: a long run leaves others time to write there
        check_output(path, inputs=inputs, overwrite=overwrite)
        with _named_errors(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_output(path: str | Path, *, inputs: Sequence[str | Path] = (), overwrite: bool = False) -> str:
    """Refuses an output that could not be written in the end, before any work is done.

    Returns:
        Its suffix, one of `SUFFIXES`.

    Raises:
        ConfigError: The suffix is unknown, the folder is missing or read-only, the file is one of `inputs`, or it
            exists and `overwrite` is False.
    """
    path = Path(path)
    suffix = next((known for known in SUFFIXES if path.name.lower().endswith(known)), None)
    if suffix is None:
        raise ConfigError(f"The output file must end in one of {', '.join(SUFFIXES)}. Received: {path}")
    if not path.parent.is_dir():
        raise ConfigError(f"Cannot write {path}: there is no folder {path.parent}. Create it first.")
    if path.is_dir():
        raise ConfigError(f"Cannot write {path}: it is a folder. Give the name of a file.")
    if path.exists() and any(os.path.exists(source) and os.path.samefile(source, path) for source in inputs):
        raise ConfigError(f"Cannot write {path}: it is one of the input files. Give the output another name.")
    if os.path.lexists(path) and not overwrite:
        raise ConfigError(f"{path} exists already. Give another name, or --overwrite to replace it.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"Cannot write {path}: the folder {path.parent} is not writable.")
    return suffix


@contextlib.contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Puts the file's name before what went wrong."""
    try:
        yield
    except OSError as error:
        raise DataError(f"Cannot write {path}: {error.strerror or error}. Nothing of it was kept.") from error
    except DataError as error:
        raise DataError(f"Cannot write {path}: {error}") from error
