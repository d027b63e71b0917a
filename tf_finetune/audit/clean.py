"""`write_clean`: the training rows without those that should not be there, and a list of what was dropped."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tf_finetune.audit.audit import Audit, Traces
from tf_finetune.audit.corpus import SPLIT_WORDS
from tf_finetune.audit.read import training_sources
from tf_finetune.audit.repeats import near_rows
from tf_finetune.config import DataConfig
from tf_finetune.data import RowSource
from tf_finetune.data.readers import open_table
from tf_finetune.errors import ConfigError, DataError
from tf_finetune.files import whole_file

__all__ = ["CleanResult", "check_clean", "write_clean"]

SUFFIX = ".csv"


@dataclass(frozen=True)
class CleanResult:
    """What `write_clean` wrote.

    Attributes:
        kept: Rows of the clean file.
        dropped: Reason, without the row that it names, to rows dropped for it.
        output: The clean file.
        dropped_output: The list of dropped rows.
    """

    kept: int
    dropped: dict[str, int]
    output: Path
    dropped_output: Path


@dataclass(frozen=True)
class _Reason:
    """Why a row is dropped; `other` is the row that it is like."""

    words: str
    other: str = ""

    def __str__(self) -> str:
        return f"{self.words}: {self.other}" if self.other else self.words


def check_clean(output: str, config: DataConfig) -> tuple[Path, Path]:
    """Refuses files that cannot be written, before any work is done.

    Returns:
        The clean file, and the list of what was dropped beside it.

    Raises:
        ConfigError: There is no data to clean, the name is no .csv, the folder is missing or read-only, or a file is
            there already.
    """
    path = Path(os.path.expanduser(output))
    if not config.data:
        raise ConfigError("--write-clean cleans the rows of --data. Received: no --data.")
    if path.suffix.lower() != SUFFIX:
        raise ConfigError(f"--write-clean: expected a file that ends in {SUFFIX}. Received: {path}")
    dropped = path.with_suffix(f".dropped{path.suffix}")
    if not path.parent.is_dir():
        raise ConfigError(f"--write-clean {path}: there is no folder {path.parent}. Create it first.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"--write-clean {path}: the folder {path.parent} is not writable. Choose another one.")
    for file in (path, dropped):
        if os.path.lexists(file):
            raise ConfigError(f"--write-clean: {file} exists already and is not overwritten. Give another name.")
    return path, dropped


def write_clean(audit: Audit, config: DataConfig, output: str, *, spool_dir: str | None = None) -> CleanResult:
    """Writes the training rows that are sound, with all their columns, as they are; nothing in a row is changed.

    Dropped are, in this order of reasons: rows without text or label; rows without words; rows whose text, or a near
    duplicate of it, is in the validation or test data; all rows of a text that has two labels in the training data;
    and rows that repeat an earlier one. Near duplicates within the training data stay, as do rows that --label-map
    leaves out, and mark-up and odd characters, which a person should mend at their source. Validation and test data
    are never changed.

    Args:
        audit: What was found in the data.
        config: The data options that the audited data was read by.
        output: The clean file, .csv; the list of dropped rows goes beside it, into ``<name>.dropped.csv``.
        spool_dir: Folder of temporary files.

    Raises:
        ConfigError: The files cannot be written, or are there already.
        DataError: The files of the training data have different columns, or no row is left.
    """
    path, dropped_path = check_clean(output, config)
    reasons = _reasons(audit.traces)
    sources = training_sources(config)
    source = RowSource([open_table(one, config, split="train", spool_dir=spool_dir) for one in sources])
    kept = 0
    dropped: dict[str, int] = {}
    with whole_file(dropped_path) as raw_list, whole_file(path) as raw:
        clean, listed = _CsvFile(raw), _CsvFile(raw_list)
        clean.row(source.columns)
        listed.row(("file", "row", "reason"))
        for origin, number, values in source:
            name = origin.encode("utf-8", "backslashreplace").decode()
            reason = reasons.get(f"{name}:{number}" if number else name)
            if reason is None:
                clean.row(_cells(values, source.columns))
                kept += 1
            else:
                listed.row((name, number or "", str(reason)))
                dropped[reason.words] = dropped.get(reason.words, 0) + 1
        if not kept:
            raise DataError("--write-clean: no row would be left. Nothing was written.")
        clean.finish()
        listed.finish()
        check_clean(output, config)  # looked at again: others had time to write there
    return CleanResult(kept, dropped, path, dropped_path)


def _reasons(traces: Traces) -> dict[str, _Reason]:
    """Name of each training row to be dropped, and why."""
    corpus = traces.corpus
    end = int(corpus.starts[1])
    reasons = {bad.where: _Reason(bad.fault) for bad in traces.bad_rows if bad.split == corpus.names[0]}
    found: dict[int, tuple[str, int]] = {
        row: (why if why.startswith("no ") else f"no words ({why})", -1)
        for row, why in traces.wordless.items()
        if row < end
    }

    def drop(rows: np.ndarray, others: np.ndarray, words: str) -> None:
        for row, other in zip(rows.tolist(), others.tolist(), strict=True):
            if row < end:
                found.setdefault(row, (words, other))

    for split in range(1, len(corpus.names)):
        name = SPLIT_WORDS[corpus.names[split]]
        drop(*traces.repeats.shared(split, 0), f"the text is also in the {name} data")
        like = near_rows(corpus, traces.near, traces.distinct_of, split, 0)
        drop(*like[:2], f"near duplicate of a text of the {name} data")
    # what has another label in another split is there, and gone already
    drop(*traces.repeats.conflicts(), "the same text has another label")
    drop(*traces.repeats.duplicates(0), "duplicate of an earlier row")
    rows = np.array(sorted(found), np.int64)
    others = np.array([found[row][1] for row in rows.tolist()], np.int64)
    wheres = iter(corpus.where(others[others >= 0]))
    for row, where in zip(rows.tolist(), corpus.where(rows), strict=True):
        words, other = found[row]
        reasons[where] = _Reason(words, next(wheres) if other >= 0 else "")
    return reasons


class _CsvFile:
    """A CSV file of UTF-8 over a binary file that stays open."""

    def __init__(self, raw: Any) -> None:
        self._text = io.TextIOWrapper(raw, encoding="utf-8", newline="")
        self._csv = csv.writer(self._text, lineterminator="\n")

    def row(self, cells: Iterable[Any]) -> None:
        """Writes one row."""
        self._csv.writerow(list(cells))

    def finish(self) -> None:
        """Writes what is buffered, and leaves the binary file open."""
        self._text.flush()
        self._text.detach()


def _cells(values: Mapping[str, Any], columns: Iterable[str]) -> list[Any]:
    """The values of a row as text: lists and objects as JSON, what is missing as an empty cell."""
    return [_cell(values.get(name)) for name in columns]


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value
