"""Who may write `run/`: a finished run is never lost, a failed one leaves nothing behind."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tf_finetune.errors import LossError, RunError, TrainingStopped
from tf_finetune.files import lock_folder
from tf_finetune.run import ModelFolder

__all__ = ["default_output", "occupy", "refuse_occupied"]

logger = logging.getLogger(__name__)

ROOT = Path("saved_models")
SAMPLE_NAME = "reviews"


def default_output(data: Sequence[str]) -> Path:
    """`saved_models/` and a name made from the data: its file or folder, or the name of a tensorflow dataset.

    Args:
        data: Values of ``--data``; empty for the embedded sample.
    """
    if not data:
        return ROOT / SAMPLE_NAME
    first = data[0].removeprefix("tfds:")
    if data[0].startswith("tfds:"):
        name = first
    else:
        path = Path(first).absolute()
        name = path.name.split(".")[0]
        if name in ("train", "training") and path.parent.name:
            name = path.parent.name
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")
    return ROOT / (name if name and not name.isdigit() else f"data-{name}")


def refuse_occupied(folder: ModelFolder, *, overwrite: bool) -> None:
    """Refuses a folder that cannot be written, or that holds a run, unless that one may be replaced.

    Raises:
        RunError: With what is in the way and what can be done.
    """
    _refuse_unwritable(folder.path)
    if not folder.run.exists():
        return
    with _locked(folder.run):  # not even --overwrite takes a folder away from a process that is writing it
        if overwrite:
            return
        kind = "a finished run" if folder.is_complete else "an unfinished run"
        go_on = f"{folder.how_to_go_on}. Or give" if folder.can_go_on else "Give"
        raise RunError(
            f"{folder.path} holds {kind}, which is not overwritten. "
            f"{go_on} another --output, or --overwrite to replace it (its exports stay)."
        )


@contextlib.contextmanager
def occupy(folder: ModelFolder, *, overwrite: bool, goes_on: bool = False) -> Iterator[None]:
    """Makes an empty `run/` for the body, or locks the one that it goes on with.

    A finished run that is replaced waits in `run-before/` until the new one is complete. When the body fails, its
    `run/` is removed and the former one comes back; when it is stopped on purpose, or can be gone on with, both stay.
    A report on the former run goes with it.

    Raises:
        RunError: The folder is occupied, or another process occupies it at the same moment.
    """
    refuse_occupied(folder, overwrite=overwrite or goes_on)
    if not goes_on:
        _clear(folder)
        _make(folder.run)
    with _locked(folder.run):
        try:
            yield
        except TrainingStopped:
            raise
        except BaseException as error:
            if folder.can_go_on and not isinstance(error, LossError):  # which would only come again
                logger.warning("the checkpoints stay. %s", folder.how_to_go_on)
            elif not goes_on:
                _give_way(folder)
            raise
    shutil.rmtree(folder.before, ignore_errors=True)
    if not goes_on:
        folder.report.unlink(missing_ok=True)  # it is about the former run


def _make(run: Path) -> None:
    try:
        run.mkdir(parents=True)
    except FileExistsError as error:
        raise _being_written(run) from error
    except OSError as error:
        raise RunError(f"Cannot make {run}: {error.strerror or error}. Give another --output.") from error


def _give_way(folder: ModelFolder) -> None:
    """Removes a failed run; the former one comes back."""
    shutil.rmtree(folder.run, ignore_errors=True)
    if folder.before.exists():
        folder.before.rename(folder.run)
    elif not any(folder.path.iterdir()):
        folder.path.rmdir()


def _clear(folder: ModelFolder) -> None:
    """Puts a finished run aside, and removes an unfinished one."""
    if not folder.run.exists():
        return
    with _locked(folder.run):
        if folder.is_complete:
            shutil.rmtree(folder.before, ignore_errors=True)
            folder.run.rename(folder.before)
        else:
            shutil.rmtree(folder.run)


@contextlib.contextmanager
def _locked(run: Path) -> Iterator[None]:
    """Holds the lock of a run folder, which the system takes back however its process ends.

    The lock is on the folder itself and leaves no file. Windows, and file systems without locks, do without.

    Raises:
        RunError: Another process holds it: it is writing the run.
    """
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(run, os.O_RDONLY)
    try:
        if not lock_folder(descriptor):
            raise _being_written(run)
        yield
    finally:
        os.close(descriptor)


def _being_written(run: Path) -> RunError:
    return RunError(f"Another process is writing {run}. Wait until it has ended, or give another --output.")


def _refuse_unwritable(path: Path) -> None:
    """Refuses a path where no folder can be made, before any work is done."""
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file; --output takes a folder.")
    there = next(place for place in (path, *path.absolute().parents) if os.path.exists(place))
    if not there.is_dir():
        raise RunError(f"Cannot make {path}: {there} is a file. Give another --output.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise RunError(f"Cannot write {path}: the folder {there} is not writable. Give another --output.")
