"""Who may write `run/`: a finished run is never lost, a failed one leaves nothing behind."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tf_finetune.errors import RunError, TrainingStopped
from tf_finetune.run import ModelFolder

__all__ = ["default_output", "occupy", "refuse_occupied"]

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
    """Refuses a folder that holds a run, unless it may be replaced.

    Raises:
        RunError: With what the folder holds and what can be done.
    """
    if folder.path.exists() and not folder.path.is_dir():
        raise RunError(f"{folder.path} is a file; --output takes a folder.")
    if not folder.run.exists() or overwrite:
        return
    kind = "a finished run" if folder.is_complete else "an unfinished run (stopped, or still being written)"
    raise RunError(
        f"{folder.path} holds {kind}, which is not overwritten. "
        "Give another --output, or --overwrite to replace it (its exports stay)."
    )


@contextlib.contextmanager
def occupy(folder: ModelFolder, *, overwrite: bool) -> Iterator[None]:
    """Makes an empty `run/` for the body.

    A finished run that is replaced waits in `run-before/` until the new one is complete. When the body fails, its
    `run/` is removed and the former one comes back; when it is stopped on purpose, both stay.

    Raises:
        RunError: The folder is occupied, or another process occupies it at the same moment.
    """
    refuse_occupied(folder, overwrite=overwrite)
    before = folder.path / "run-before"
    if folder.is_complete:
        shutil.rmtree(before, ignore_errors=True)
        folder.run.rename(before)
    elif folder.run.exists():
        shutil.rmtree(folder.run)
    try:
        folder.run.mkdir(parents=True)
    except FileExistsError as error:
        raise RunError(f"Another process has begun to write {folder.run}.") from error
    try:
        yield
    except TrainingStopped:
        raise
    except BaseException:
        shutil.rmtree(folder.run, ignore_errors=True)
        if before.exists():
            before.rename(folder.run)
        elif not any(folder.path.iterdir()):
            folder.path.rmdir()
        raise
    shutil.rmtree(before, ignore_errors=True)
