"""Readers: one module a format, each streaming rows in constant memory."""

from __future__ import annotations

import os

from tf_finetune.config import DataConfig
from tf_finetune.data.readers.csv_file import CsvTable
from tf_finetune.data.readers.folder import FolderTable, find_layout
from tf_finetune.data.readers.jsonl import JsonlTable
from tf_finetune.data.readers.parquet import ParquetTable
from tf_finetune.data.readers.sources import Source, find_sources, source_kinds
from tf_finetune.data.readers.table import Row, Table
from tf_finetune.data.readers.tfds import TfdsTable, tfds_splits

__all__ = [
    "Row",
    "Source",
    "Table",
    "find_sources",
    "open_file",
    "open_table",
    "source_identity",
    "source_kinds",
    "source_splits",
]


def open_file(source: Source, *, encoding: str, tsv_quoting: str, spool_dir: str | None = None) -> Table:
    """Opens a file with columns: CSV, TSV, JSONL or Parquet."""
    if source.kind == "parquet":
        return ParquetTable(source.path, spool_dir=spool_dir)
    if source.kind == "jsonl":
        return JsonlTable(source.path, encoding=encoding)
    if source.kind == "tsv":
        return CsvTable(source.path, delimiter="\t", quoted=tsv_quoting == "csv", encoding=encoding)
    return CsvTable(source.path, delimiter=",", quoted=True, encoding=encoding)


def open_table(source: Source, config: DataConfig, *, split: str, spool_dir: str | None = None) -> Table:
    """Opens any source; of folders and tfds data sets that have splits, the split asked for.

    Raises:
        DataError: The source cannot be read, or lacks the split.
    """
    if source.kind == "tfds":
        return TfdsTable(source.name, split=split, data_dir=config.data_dir)
    if source.kind == "folder":
        layout = find_layout(source.path)
        table = FolderTable(layout.label_root(split), encoding=config.encoding, labelled=True)
        # once, with the training data, not for every split
        table.notes += layout.notes if split == "train" else ()
        return table
    return open_file(source, encoding=config.encoding, tsv_quoting=config.tsv_quoting, spool_dir=spool_dir)


def source_splits(source: Source, data_dir: str | None) -> frozenset[str]:
    """The splits that a source keeps apart; none for files and for ``<label>/*.txt``."""
    if source.kind == "tfds":
        return tfds_splits(source.name, data_dir)
    return frozenset(find_layout(source.path).splits) if source.kind == "folder" else frozenset()


def source_identity(source: Source, split: str) -> str:
    """A name for what is read from a source: equal for the same file, or the same split of a folder or data set."""
    if source.kind == "tfds":
        return f"tfds:{source.name}[{split}]"
    return os.path.realpath(find_layout(source.path).label_root(split) if source.kind == "folder" else source.path)
