"""`read_examples`: from files, folders and tfds names to `Examples`, row by row, with the texts on disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tf_finetune.config import DataConfig
from tf_finetune.data.bad_rows import BadRows
from tf_finetune.data.examples import Examples
from tf_finetune.data.label_map import parse_label_map
from tf_finetune.data.labels import LabelCollector
from tf_finetune.data.options import check_options
from tf_finetune.data.readers import Source, find_sources, open_table
from tf_finetune.data.readers.tfds import SPLITS
from tf_finetune.data.spool import Spool
from tf_finetune.data.usable_rows import NO_LABEL, find_columns, usable_rows
from tf_finetune.errors import ConfigError, DataError

__all__ = ["UnlabelledError", "read_examples", "read_sources"]

logger = logging.getLogger(__name__)


class UnlabelledError(DataError):
    """No row of the data has a label."""


def read_examples(
    paths: Sequence[str],
    *,
    split: str = "train",
    label_names: Sequence[str] | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    pair_column: str | None = None,
    label_map: str | None = None,
    encoding: str = "utf-8",
    tsv_quoting: str = "none",
    on_bad_row: str = "error",
    data_dir: str | None = None,
    labelled: bool = True,
    spool_dir: str | None = None,
) -> Examples:
    """Reads labelled texts; several paths are one data set.

    Memory does not grow with the texts: they are streamed into a temporary file, which is memory-mapped. What should
    be said about the data (rows skipped, folders passed over) is logged as a warning.

    Args:
        paths: files, globs, folders, ``tfds:NAME``.
        split: ``train``, ``validation`` or ``test``, of folders and tfds data sets that have splits.
        label_names: the classes, if they are settled: those of the training data. By default those that the data has,
            sorted (integers by value; as tfds orders them).
        text_column: column of the text; by default the one with a usual name.
        label_column: column of the label; by default the one with a usual name.
        pair_column: column of the second sentence, if there is one.
        label_map: labels renamed, grouped or left out, as `parse_label_map` reads it.
        encoding: of text files.
        tsv_quoting: ``none`` or ``csv``.
        on_bad_row: ``error`` or ``skip``, for rows with an empty text or label.
        data_dir: folder of prepared tensorflow-datasets.
        labelled: whether labels are read; without, all are -1.
        spool_dir: folder of the temporary file.

    Raises:
        DataError: The data cannot be read or used as it is.
        ConfigError: An option is malformed, or has no effect.
    """
    if split not in SPLITS:
        raise ConfigError(f"`split` takes {', '.join(SPLITS)}. Received: {split!r}.")
    config = DataConfig(
        data_dir=data_dir,
        text_column=text_column,
        label_column=label_column,
        pair_column=pair_column,
        label_map=label_map,
        encoding=encoding,
        tsv_quoting=tsv_quoting,
        on_bad_row=on_bad_row,
    )
    sources = find_sources(paths)
    check_options(config, {source.kind for source in sources}, labelled=labelled)
    examples, notes = read_sources(
        sources, config, split=split, label_names=label_names, labelled=labelled, spool_dir=spool_dir
    )
    for note in notes:
        logger.warning("%s", note)
    return examples


def read_sources(
    sources: Sequence[Source],
    config: DataConfig,
    *,
    split: str,
    label_names: Sequence[str] | None = None,
    labelled: bool = True,
    spool_dir: str | None = None,
) -> tuple[Examples, tuple[str, ...]]:
    """Reads `sources` as one data set; returns the examples and what the terminal should say.

    Raises:
        DataError: The data cannot be read or used as it is.
        UnlabelledError: No row has a label.
        ConfigError: The label map or the encoding is malformed.
    """
    label_map = parse_label_map(config.label_map) if config.label_map is not None else None
    labels = LabelCollector(label_map=label_map, known=label_names)
    bad = BadRows()
    notes: list[str] = []
    origins: list[str] = []
    with Spool(pairs=config.pair_column is not None, spool_dir=spool_dir) as spool:
        for source in sources:
            table = open_table(source, config, split=split, spool_dir=spool_dir)
            origins.append(table.origin)
            columns = find_columns(table, config, labelled=labelled)
            labels.add_order(table.class_names)
            notes += table.notes
            for row in usable_rows(table, columns, bad):
                if row.label is None or labels.add(row.label, row.origin, row.number):
                    spool.append(row.text, row.pair, row.origin, row.number)
        rows = spool.rows + labels.left_out + bad.total
        if rows and bad.count(NO_LABEL) == rows:
            raise UnlabelledError(f"{origins[0]}: none of the {rows} rows has a label.")
        notes += filter(None, [bad.settle(config.on_bad_row, rows=rows)])
        names = labels.class_names(origins[0]) if labelled else tuple(label_names or ())
        notes += filter(None, [labels.note()])
        if not spool.rows:
            raise DataError(f"{origins[0]}: no row is left. {' '.join(notes)}")
        return _examples(spool, labels, names, labelled=labelled), tuple(notes)


def _examples(spool: Spool, labels: LabelCollector, names: tuple[str, ...], *, labelled: bool) -> Examples:
    import numpy as np

    table = spool.finish()
    indices = np.full(table.num_rows, -1, dtype=np.int32)
    if labelled:
        of_code = np.array(labels.index_of_codes(names), dtype=np.int32)
        indices = of_code[np.frombuffer(labels.codes, dtype=np.int32)]
    return Examples(table=table, rows=np.arange(table.num_rows, dtype=np.int64), labels=indices, label_names=names)
