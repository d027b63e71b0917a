"""`read_data`: the data options to splits for an audit, which looks at what `load_splits` refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tf_finetune.config import DataConfig
from tf_finetune.data import Examples, parse_label_map
from tf_finetune.data.bad_rows import BadRows
from tf_finetune.data.labels import LabelCollector
from tf_finetune.data.load import find_split_sources
from tf_finetune.data.readers import Source, open_table
from tf_finetune.data.spool import Spool
from tf_finetune.data.usable_rows import NO_LABEL, find_columns, usable_rows
from tf_finetune.errors import DataError

__all__ = ["AuditData", "BadRow", "read_data", "training_sources"]


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        split: The split that it is in.
        where: File and row.
        fault: ``empty text``, ``no label`` or ``empty second sentence``.
    """

    split: str
    where: str
    fault: str


@dataclass(frozen=True, eq=False)
class AuditData:
    """What was read.

    Attributes:
        splits: Name to examples: ``train``, and ``validation`` and ``test`` if they are there. All have the same class
            names, those of all splits together.
        bad_rows: Rows that cannot be used, which the splits lack.
        notes: What there is to say of how the data was read.
    """

    splits: dict[str, Examples]
    bad_rows: tuple[BadRow, ...]
    notes: tuple[str, ...]


def read_data(config: DataConfig, *, spool_dir: str | None = None) -> AuditData:
    """Reads all splits that there are; none is made.

    Unlike `load_splits`, it keeps a list of the rows that cannot be used, and takes labels of validation and test data
    that the training data lacks.

    Args:
        config: The data options.
        spool_dir: Folder of temporary files; texts are kept there, not in memory.

    Raises:
        DataError: The data cannot be read, or has fewer than two classes.
        ConfigError: An option is malformed, or has no effect.
    """
    read = _Reader(config, spool_dir)
    for split, sources in find_split_sources(config).items():
        if sources:
            read.add(split, sources, is_given=bool(getattr(config, "data" if split == "train" else split)))
    return read.finish()


def training_sources(config: DataConfig) -> tuple[Source, ...]:
    """The sources of the training data."""
    return find_split_sources(config)["train"]


class _Bad(BadRows):
    """Keeps all bad rows of one split."""

    def __init__(self, split: str) -> None:
        super().__init__()
        self.split = split
        self.rows: list[BadRow] = []

    def add(self, fault: str, origin: str, number: int) -> None:
        super().add(fault, origin, number)
        # as a spool keeps the names of files
        origin = origin.encode("utf-8", "backslashreplace").decode()
        self.rows.append(BadRow(self.split, f"{origin}:{number}" if number else origin, fault))


class _Reader:
    """Reads one split after the other, with one set of labels for all."""

    def __init__(self, config: DataConfig, spool_dir: str | None) -> None:
        self._config = config
        self._spool_dir = spool_dir
        label_map = parse_label_map(config.label_map) if config.label_map is not None else None
        self._labels = LabelCollector(label_map=label_map, known=None)
        self._read: dict[str, tuple[Examples, slice]] = {}
        self._bad: list[BadRow] = []
        self._notes: list[str] = []

    def add(self, split: str, sources: Sequence[Source], *, is_given: bool) -> None:
        """Reads a split; one that was not asked for by name is passed over if it has no labels."""
        bad, start = _Bad(split), len(self._labels.codes)
        notes: list[str] = []
        with Spool(pairs=self._config.pair_column is not None, spool_dir=self._spool_dir) as spool:
            for source in sources:
                table = open_table(source, self._config, split=split, spool_dir=self._spool_dir)
                columns = find_columns(table, self._config, labelled=True)
                self._labels.add_order(table.class_names)
                notes += table.notes
                for row in usable_rows(table, columns, bad):
                    if row.label is not None and self._labels.add(row.label, row.origin, row.number):
                        spool.append(row.text, row.pair, row.origin, row.number)
            if not spool.rows:
                if is_given or not bad.count(NO_LABEL):
                    raise DataError(f"{sources[0].name}: none of the {bad.total} {split} rows can be used.")
                self._notes.append(f"Ignored the {split} split of {sources[0].name}: none of its rows has a label.")
                return
            table_of_texts = spool.finish()
        rows = np.arange(table_of_texts.num_rows, dtype=np.int64)
        unlabelled = Examples(table_of_texts, rows, np.full(len(rows), -1, np.int32), ())
        self._read[split] = unlabelled, slice(start, len(self._labels.codes))
        self._bad += bad.rows
        self._notes += notes

    def finish(self) -> AuditData:
        """All splits, with the classes of all of them."""
        names = self._labels.class_names(self._config.data[0] if self._config.data else "the embedded sample")
        index = np.array(self._labels.index_of_codes(names), np.int32)
        labels = index[np.frombuffer(self._labels.codes, np.int32)]
        splits = {
            split: Examples(part.table, part.rows, labels[rows], names) for split, (part, rows) in self._read.items()
        }
        notes = [*self._notes, *filter(None, [self._labels.note()])]
        return AuditData(splits, tuple(self._bad), tuple(notes))
