"""Parquet files, read with pyarrow a few hundred rows at a time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tf_finetune.data.readers.table import Row, Table, check_column_names, no_rows
from tf_finetune.data.readers.text_stream import open_bytes
from tf_finetune.errors import DataError

__all__ = ["ParquetTable"]

BATCH_ROWS = 1024


class ParquetTable(Table):
    """A Parquet file, plain or gzipped (then unpacked into a temporary file, as Parquet is read from its end).

    Args:
        path: the file.
        spool_dir: folder of the temporary file; the system's by default.

    Raises:
        DataError: It is no Parquet file, or it has no rows.
    """

    def __init__(self, path: Path, *, spool_dir: str | None = None) -> None:
        self.origin = str(path)
        self._path = path
        self._spool_dir = spool_dir
        with self._open() as file:
            self.columns = check_column_names(self.origin, file.schema_arrow.names)
            if not file.metadata.num_rows:
                raise no_rows(self.origin)

    def rows(self, wanted: Sequence[str] | None = None) -> Iterator[Row]:
        """Yields every row, numbered from 1, as Python values."""
        columns = None if wanted is None else list(wanted)
        number = 0
        with self._open() as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False):
                for values in batch.to_pylist():
                    number += 1
                    yield self.origin, number, values

    @contextmanager
    def _open(self) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with open_bytes(self._path) as raw, tempfile.TemporaryFile(dir=self._spool_dir) as unpacked:
            if self._path.suffix.lower() == ".gz":
                shutil.copyfileobj(raw, unpacked, 1 << 20)
                raw = unpacked
            try:
                # without pre_buffer a row group is read as its rows are asked for
                with pq.ParquetFile(raw, pre_buffer=False) as file:
                    yield file
            except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
                if isinstance(error, DataError):
                    raise
                raise DataError(f"{self._path}: is no readable Parquet file ({error}).") from error
