"""`CheckpointStore`: the checkpoints of one run, each written whole or not at all; the newest sound one is found."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tf_finetune.errors import RunError
from tf_finetune.files import publish_folder, read_json, staging_folder, write_json
from tf_finetune.training.checkpoints.record import Record
from tf_finetune.training.checkpoints.tensor_file import DamagedFile, read_tensors, write_tensors

__all__ = ["CheckpointStore", "Saved"]

logger = logging.getLogger(__name__)

KEPT = 2
"""Checkpoints that stay: the newest, and the one before in case that one is damaged."""

RECORD = "record.json"
STATE = "state"
BEST = "best"


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds.

    Attributes:
        record: How far the run had come.
        state: Name to tensor, of `TrainingState`.
        best: Weights of the best epoch, in the order of `get_weights`; empty before the end of the first epoch.
    """

    record: Record
    state: Mapping[str, Any]
    best: tuple[Any, ...]


class CheckpointStore:
    """The folder `run/checkpoints`; whoever uses it holds the lock of the run.

    Args:
        folder: The folder; made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, saved: Saved) -> Path:
        """Writes a checkpoint, and removes those that it makes superfluous.

        It is written under another name, brought to the disk, and gets its name by a rename. Names are counted up,
        since clocks may go back.

        Returns:
            Its folder.

        Raises:
            RunError: It cannot be written; those before it stay.
        """
        number = max((int(path.name) for path in self.checkpoints()), default=0) + 1
        target = self.folder / f"{number:09d}"
        try:
            with staging_folder(self.folder, target.name) as staging:
                write_tensors(staging / STATE, saved.state)
                if saved.best:
                    write_tensors(staging / BEST, _named(saved.best))
                values = {**saved.record.to_json(), "best": len(saved.best)}
                write_json(staging / RECORD, {**values, "sha256": _checksum(values)})
                publish_folder(staging, target)
        except OSError as error:
            before = self.checkpoints()
            then = f"go on with --resume: the one before it stays, in {before[-1]}" if before else "begin again"
            raise RunError(
                f"The checkpoint of update {saved.record.step} cannot be written to {self.folder}: {error}. "
                f"Make room, or make the folder writable, and {then}."
            ) from error
        for superfluous in self.checkpoints()[:-KEPT]:
            shutil.rmtree(superfluous, ignore_errors=True)
        return target

    def load(self, state: Mapping[str, Any], weights: int) -> Saved:
        """Reads the newest checkpoint that is sound, and removes damaged ones that are newer.

        Args:
            state: Name to variable, from `TrainingState.variables`: what the checkpoint must hold.
            weights: How many weights a model has, which are the first in `state`.

        Raises:
            RunError: There is none, or none is sound.
        """
        reasons = []
        for folder in reversed(self.checkpoints()):
            try:
                saved = _load(folder, state, weights)
            except DamagedFile as error:
                logger.warning("the checkpoint %s is damaged (%s); the one before it is tried", folder, error)
                reasons.append(f"{folder.name}: {error}")
                continue
            self._clear(newer_than=folder)
            return saved
        found = f"none is sound ({'; '.join(reasons)})" if reasons else "there is none"
        raise RunError(f"The run cannot be gone on with: of the checkpoints in {self.folder}, {found}. Begin it again.")

    def checkpoints(self) -> list[Path]:
        """Folders of all checkpoints, the newest last."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if path.name.isdigit() and path.is_dir())

    def _clear(self, *, newer_than: Path) -> None:
        """Removes what is no checkpoint: damaged ones, and those that were begun when the process was killed."""
        for path in self.folder.iterdir():
            if not path.name.isdigit() or path.name > newer_than.name:
                shutil.rmtree(path, ignore_errors=True)


def _load(folder: Path, state: Mapping[str, Any], weights: int) -> Saved:
    try:
        values = read_json(folder / RECORD)
    except RunError as error:
        raise DamagedFile(str(error)) from error
    if values.pop("sha256", None) != _checksum(values):
        raise DamagedFile(f"{RECORD} was changed")
    count = values.pop("best", None)
    if count not in (0, weights):
        raise DamagedFile(f"{RECORD} counts {count} weights of the best epoch, not {weights}")
    record = Record.from_json(values)
    best = read_tensors(folder / BEST, _named(list(state.values())[:weights])) if count else {}
    return Saved(record, read_tensors(folder / STATE, state), tuple(best.values()))


def _checksum(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _named(weights: Any) -> dict[str, Any]:
    return {f"weights/{i}": value for i, value in enumerate(weights)}
