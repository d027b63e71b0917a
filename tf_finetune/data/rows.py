"""`read_rows`: the rows of files as they are, with all their columns, for prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tf_finetune.config import DataConfig
from tf_finetune.data.options import check_options
from tf_finetune.data.readers import Row, Source, Table, find_sources, open_file
from tf_finetune.data.readers.folder import FolderTable
from tf_finetune.errors import DataError

__all__ = ["RowSource", "read_rows"]


class RowSource:
    """Rows of one or more files; every pass over it reads the files again, in constant memory.

    Iteration yields ``(origin, row number, {column: value})``, with values as the format has them (strings from CSV
    and TSV; None for keys that a JSON object lacks); the row number is 0 where the origin is one whole text.

    Attributes:
        columns: column names in the order of the first file.
        notes: what the terminal should say.
    """

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tuple(tables)
        self.columns = self._tables[0].columns
        self.notes = tuple(note for table in self._tables for note in table.notes)
        for table in self._tables[1:]:
            differing = sorted(set(table.columns) ^ set(self.columns))
            if differing:
                raise DataError(
                    f"{table.origin}: must have the columns of {self._tables[0].origin}. "
                    f"Only in one of them: {', '.join(map(repr, differing))}."
                )

    def __iter__(self) -> Iterator[Row]:
        for table in self._tables:
            yield from table.rows()


def read_rows(
    paths: Sequence[str], *, encoding: str = "utf-8", tsv_quoting: str = "none", spool_dir: str | None = None
) -> RowSource:
    """Reads rows with all their columns; of a folder of text files, the columns ``text`` and ``file``.

    Args:
        paths: files, globs, folders of ``.txt`` files (in label folders or not).
        encoding: of text files.
        tsv_quoting: ``none`` or ``csv``.
        spool_dir: folder for gzipped Parquet files while they are read.

    Raises:
        DataError: The files cannot be read, or have different columns.
        ConfigError: An option is malformed, or has no effect.
    """
    sources = find_sources(paths)
    config = DataConfig(encoding=encoding, tsv_quoting=tsv_quoting)
    check_options(config, {source.kind for source in sources})
    return RowSource([_open(source, config, spool_dir) for source in sources])


def _open(source: Source, config: DataConfig, spool_dir: str | None) -> Table:
    if source.kind == "tfds":
        raise DataError(
            f"tfds:{source.name}: only files and folders can be read here. Write the split to a file first."
        )
    if source.kind == "folder":
        return FolderTable(source.path, encoding=config.encoding, labelled=False)
    return open_file(source, encoding=config.encoding, tsv_quoting=config.tsv_quoting, spool_dir=spool_dir)
