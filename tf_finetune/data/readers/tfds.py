"""Data sets of tensorflow-datasets: ``tfds:imdb_reviews``, ``tfds:glue/sst2``."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tf_finetune.data.readers.table import Row, Table, no_rows
from tf_finetune.errors import DataError, FinetuneError

__all__ = ["PREFIX", "SPLITS", "TfdsTable", "check_tfds_name", "tfds_splits"]

PREFIX = "tfds:"
SPLITS = ("train", "validation", "test")

# a name, perhaps a configuration: nothing that tfds would take for a namespace, an argument, a version or a path
_NAME = re.compile(r"[a-z0-9_]+(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)?")


class TfdsTable(Table):
    """One split of a tensorflow-datasets data set, downloaded and prepared first where it is not yet.

    Args:
        name: the data set without ``tfds:``.
        split: ``train``, ``validation`` or ``test``.
        data_dir: folder of prepared data sets; tfds' own by default.

    Raises:
        DataError: The data set cannot be prepared, or lacks the split.
    """

    def __init__(self, name: str, *, split: str, data_dir: str | None) -> None:
        self.origin = f"{PREFIX}{name}[{split}]"
        self._split = split
        self._builder = _builder(name, data_dir)
        found = tuple(self._builder.info.splits)
        if split not in found:
            raise DataError(f"{PREFIX}{name}: has no {split} split, only {', '.join(sorted(found))}.")
        if not self._builder.info.splits[split].num_examples:
            raise no_rows(self.origin)
        self._features = self._builder.info.features
        names = [column for column in self._features if _is_usable(self._features[column])]
        self.columns = tuple(names)
        self.text_columns = tuple(column for column in names if _is_text(self._features[column]))
        ignored = sorted(set(found) - set(SPLITS))
        if split == "train" and ignored:
            self.notes = (f"{PREFIX}{name}: ignored the splits {', '.join(ignored)}.",)

    def use_label(self, column: str) -> None:
        """Takes the order of the class names from `column`, if it is a ClassLabel."""
        names = getattr(self._features[column], "names", None)
        self.class_names = tuple(names) if names else None

    def rows(self, wanted: Sequence[str] | None = None) -> Iterator[Row]:
        """Yields every row, numbered from 1; class labels by name, and None where tfds has -1."""
        from tf_finetune.backend import load_tfds

        tfds = load_tfds()
        columns = self.columns if wanted is None else tuple(wanted)
        to_python = {column: _converter(self._features[column]) for column in columns}
        with _explained(self.origin):
            dataset = self._builder.as_dataset(
                split=self._split,
                shuffle_files=False,
                # one file after the other: the order of the rows must not depend on the machine
                read_config=tfds.ReadConfig(interleave_cycle_length=1, add_tfds_id=False),
                decoders=tfds.decode.PartialDecoding({column: self._features[column] for column in columns}),
            )
            for number, example in enumerate(tfds.as_numpy(dataset), start=1):
                yield self.origin, number, {column: to_python[column](example[column]) for column in columns}


def check_tfds_name(name: str) -> None:
    """Refuses names that are more than a data set and its configuration.

    Raises:
        DataError: The name is malformed.
    """
    if not _NAME.fullmatch(name):
        raise DataError(
            f"{PREFIX}{name}: expected {PREFIX}NAME or {PREFIX}NAME/CONFIG, as in tfds:imdb_reviews or tfds:glue/sst2. "
            "Namespaces, versions, arguments and paths are not taken; give the folder with --data-dir."
        )


def tfds_splits(name: str, data_dir: str | None) -> frozenset[str]:
    """Those of ``train``, ``validation``, ``test`` that the data set has."""
    return frozenset(SPLITS) & frozenset(_builder(name, data_dir).info.splits)


def _builder(name: str, data_dir: str | None) -> Any:
    from tf_finetune.backend import VERBOSE, load_tfds

    check_tfds_name(name)
    tfds = load_tfds()
    if not VERBOSE:
        logging.getLogger("absl").setLevel(logging.ERROR)  # tfds warns of its own use of what it has deprecated
    with _explained(PREFIX + name):
        builder = tfds.builder(name, data_dir=data_dir)
        if not builder.is_prepared():
            builder.download_and_prepare()
    return builder


@contextmanager
def _explained(origin: str) -> Iterator[None]:
    """Turns whatever tfds raises (it has no base class of its own) into a DataError."""
    try:
        yield
    except FinetuneError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"{origin}: tensorflow-datasets cannot read it ({type(error).__name__}: {reason}). Check the name, "
            "give the folder of a prepared copy with --data-dir, or prepare it where there is a network: "
            f"tfds build {origin.removeprefix(PREFIX).partition('[')[0]}"
        ) from error


def _kind(feature: Any) -> str:
    """NumPy's letter for the type of a scalar feature, "O" for strings; empty for images, sequences, dicts."""
    import numpy as np

    return np.dtype(feature.np_dtype).kind if getattr(feature, "shape", None) == () else ""


def _is_text(feature: Any) -> bool:
    return _kind(feature) == "O"


def _is_usable(feature: Any) -> bool:
    return _kind(feature) in tuple("Obiuf")


def _converter(feature: Any) -> Callable[[Any], Any]:
    names = getattr(feature, "names", None)
    if names:
        return lambda value: names[value] if value >= 0 else None
    if _is_text(feature):
        return lambda value: value.decode("utf-8")
    return lambda value: value.item()
