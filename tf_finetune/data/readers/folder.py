"""Folders of text files: ``<split>/<label>/*.txt``, as the Large Movie Review Dataset has it, or ``<label>/*.txt``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tf_finetune.data.readers.table import Row, Table
from tf_finetune.data.readers.text_stream import check_encoding, read_text
from tf_finetune.errors import DataError

__all__ = ["FolderTable", "Layout", "find_layout", "natural_key"]

SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}

# aclImdb keeps texts without a label beside the labels
UNLABELLED = "unsup"


@dataclass(frozen=True)
class Layout:
    """Where a folder keeps its labels.

    Attributes:
        root: the folder.
        splits: folder of each split that was found; empty for ``<label>/*.txt``, where `root` holds the labels.
        notes: folders that were passed over.
    """

    root: Path
    splits: dict[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def label_root(self, split: str) -> Path:
        """The folder that holds the label folders of `split`.

        Raises:
            DataError: The folder has splits, but not this one.
        """
        if not self.splits:
            return self.root
        if split not in self.splits:
            raise DataError(
                f"{self.root}: has no {split} split, only {', '.join(sorted(self.splits))}. "
                f"Give the folder that is meant, for example {next(iter(self.splits.values()))}."
            )
        return self.splits[split]


class FolderTable(Table):
    """Text files below one folder for each label; a row is a file, and its text the whole file.

    Args:
        root: the folder that holds the label folders, or (`labelled=False`) also the files themselves.
        encoding: of the files; byte order marks are skipped.
        labelled: whether to give the column ``label``, and to pass over the folder ``unsup`` and files in `root`.

    Raises:
        DataError: There are no text files.
    """

    def __init__(self, root: Path, *, encoding: str, labelled: bool) -> None:
        self.origin = str(root)
        self.columns = ("text", "label", "file") if labelled else ("text", "file")
        self._root = root
        self._encoding = check_encoding(encoding)
        if _split_folders(root):
            raise DataError(f"{root}: holds several splits. Give the folder of one, such as {_split_folders(root)[0]}.")
        folders = _folders(root)
        self._folders = [folder for folder in folders if _has_texts(folder)]
        if not labelled and _has_texts(root):
            self._folders.insert(0, root)
        notes = [f"{folder}: ignored, it has no .txt files." for folder in folders if folder not in self._folders]
        if labelled and len(self._folders) > 1:
            unlabelled = [folder for folder in self._folders if folder.name == UNLABELLED]
            notes += [f"{folder}: ignored, its texts have no label." for folder in unlabelled]
            self._folders = [folder for folder in self._folders if folder not in unlabelled]
        if not self._folders:
            raise DataError(_no_layout(root))
        self.notes = tuple(notes + [note for folder in self._folders for note in _other_files(folder, root)])

    def rows(self, wanted: Sequence[str] | None = None) -> Iterator[Row]:
        """Yields the files label by label, in natural order of their names."""
        for folder in self._folders:
            for path in _texts(folder):
                values = {
                    "text": read_text(path, encoding=self._encoding),
                    "label": folder.name,
                    "file": path.relative_to(self._root).as_posix(),
                }
                yield str(path), 0, {name: values[name] for name in self.columns}


def find_layout(root: Path) -> Layout:
    """Finds out how a folder is laid out; files beside the label folders (README, urls_pos.txt) do not matter.

    Raises:
        DataError: It has neither layout, or two folders for one split, or texts in folders that are no split.
    """
    splits: dict[str, Path] = {}
    for folder in _split_folders(root):
        split = SPLIT_NAMES[folder.name.lower()]
        if split in splits:
            raise DataError(f"{root}: both {splits[split].name} and {folder.name} are the {split} split. Remove one.")
        splits[split] = folder
    others = [folder for folder in _folders(root) if folder not in splits.values()]
    if not splits:
        if not any(_has_texts(folder) for folder in others):
            raise DataError(_no_layout(root))
        return Layout(root)
    notes = []
    for folder in others:
        if folder.name.lower() in SPLIT_NAMES and _has_texts(folder):
            notes.append(f"{folder}: ignored, its texts have no label folders.")
        elif _has_texts(folder) or _has_labels(folder):
            raise DataError(
                f"{folder}: has texts, but is no split. Beside {', '.join(path.name for path in splits.values())} "
                f"only these names are splits: {', '.join(SPLIT_NAMES)}. Rename or remove it."
            )
    return Layout(root, splits, tuple(notes))


def natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sort key that puts ``9_1.txt`` before ``10_1.txt``."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)], name


def _entries(folder: Path) -> Iterator[Path]:
    """Everything in a folder that is not hidden, in no order."""
    try:
        yield from (path for path in folder.iterdir() if not path.name.startswith((".", "__")))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror or error}).") from error


def _folders(root: Path) -> list[Path]:
    return sorted((path for path in _entries(root) if path.is_dir()), key=lambda path: natural_key(path.name))


def _split_folders(root: Path) -> list[Path]:
    return [folder for folder in _folders(root) if folder.name.lower() in SPLIT_NAMES and _has_labels(folder)]


def _has_labels(folder: Path) -> bool:
    return any(_has_texts(below) for below in _folders(folder))


def _is_text(path: Path) -> bool:
    return path.suffix.lower() == ".txt" and path.is_file()


def _has_texts(folder: Path) -> bool:
    return any(_is_text(path) for path in _entries(folder))


def _texts(folder: Path) -> list[Path]:
    return sorted((path for path in _entries(folder) if _is_text(path)), key=lambda path: natural_key(path.name))


def _other_files(folder: Path, root: Path) -> Iterator[str]:
    """A note for each label folder that holds more than text files; beside the label folders, anything may lie."""
    others = [path for path in _entries(folder) if not _is_text(path)]
    if others and folder != root:
        yield f"{folder}: ignored {len(others)} entries that are no .txt files, such as {min(others).name}."


def _no_layout(root: Path) -> str:
    below = "It has .txt files, but no folders of labels. " if _has_texts(root) else ""
    nested = [folder for folder in _folders(root) if _has_labels(folder)]
    advice = f"Is {nested[0]} meant?" if nested else "Put each text into a folder named after its label."
    return f"{root}: expected <split>/<label>/*.txt or <label>/*.txt. {below}{advice}"
