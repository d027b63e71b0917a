"""From paths, globs and tfds names to sources: files that exist, in a format that is known, each given once."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tf_finetune.data.readers.folder import natural_key
from tf_finetune.data.readers.tfds import PREFIX, check_tfds_name
from tf_finetune.errors import DataError

__all__ = ["Source", "find_sources", "source_kinds"]

KINDS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}

_SUPPORTED = f"Supported: {', '.join(KINDS)}, each also with .gz; a folder <split>/<label>/*.txt; tfds:NAME."


@dataclass(frozen=True)
class Source:
    """One file, one folder of texts, or one tensorflow-datasets data set.

    Attributes:
        kind: ``csv``, ``tsv``, ``jsonl``, ``parquet``, ``folder`` or ``tfds``.
        name: path of the file or folder, or name of the data set without ``tfds:``.
    """

    kind: str
    name: str

    @property
    def path(self) -> Path:
        """The file or folder."""
        return Path(self.name)


def find_sources(paths: Sequence[str]) -> tuple[Source, ...]:
    """Finds the sources that paths, globs and tfds names stand for, in the order given (globs in natural order).

    Raises:
        DataError: Nothing is there, the format is unknown, or a source is given twice.
    """
    if isinstance(paths, (str, os.PathLike)):
        raise DataError(f"Expected a list of paths. Received one {type(paths).__name__}: write [{str(paths)!r}].")
    if not paths:
        raise DataError("Expected at least one path. Received none.")
    sources = tuple(source for path in paths for source in _find(os.fspath(path)))
    seen: set[str] = set()
    for source in sources:
        identity = source.name if source.kind == "tfds" else os.path.realpath(source.name)
        if identity in seen:
            raise DataError(f"{source.name}: is given twice (perhaps by a glob), so its rows would count twice.")
        seen.add(identity)
    return sources


def source_kinds(paths: Sequence[str]) -> frozenset[str]:
    """The kinds of the sources that `paths` stand for, for `check_options`."""
    return frozenset(source.kind for source in find_sources(paths)) if paths else frozenset()


def _find(path: str) -> Iterator[Source]:
    if path.startswith(PREFIX):
        name = path.removeprefix(PREFIX)
        check_tfds_name(name)
        yield Source("tfds", name)
        return
    expanded = os.path.expanduser(path)
    if "\x00" in expanded or not expanded:
        raise DataError(f"{path!r} is no path.")
    if os.path.lexists(expanded) or not glob.has_magic(expanded):
        yield Source(_kind(Path(expanded)), expanded)
        return
    found = sorted(glob.glob(expanded, recursive=True), key=natural_key)
    if not found:
        raise DataError(f"{path}: no file matches this pattern in {Path.cwd()}.")
    for name in found:
        yield Source(_kind(Path(name)), name)


def _kind(path: Path) -> str:
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise DataError(_missing(path))
    if not path.is_file():
        raise DataError(f"{path}: is no regular file. Write the data to a file first; it is read more than once.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    if not suffixes or suffixes[-1] not in KINDS:
        advice = {".txt": " Texts go into folders named after their labels.", ".json": " Write one object a line."}
        more = advice.get(suffixes[-1], "") if suffixes else ""
        raise DataError(f"{path}: the format is not known from the end of the name. {_SUPPORTED}{more}")
    return KINDS[suffixes[-1]]


def _missing(path: Path) -> str:
    if path.is_symlink():
        return f"{path}: is a link to {os.readlink(path)}, which does not exist."
    if not path.parent.is_dir():
        return f"{path}: there is no such file, nor the folder {path.parent}."
    near = difflib.get_close_matches(path.name, os.listdir(path.parent), n=3)
    hint = f" Is {' or '.join(str(path.parent / name) for name in near)} meant?" if near else ""
    return f"{path}: there is no such file or folder.{hint}"
