"""One process at a time changes which exports of a model folder are served, or removes some."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tf_finetune.errors import RunError, ServingError
from tf_finetune.files import lock_folder

__all__ = ["locked"]

PATIENCE = 20.0
"""Seconds to wait for another process; promoting takes milliseconds, removing a large export a few seconds."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a model folder, which the system takes back however its process ends.

    The lock is on the folder itself and leaves no file. Windows, and file systems without locks, do without.

    Raises:
        RunError: There is no such folder.
        ServingError: Another process holds the lock for too long.
    """
    if not folder.is_dir():
        raise RunError(f"There is no model folder {folder}. Expected what `fit` and `export` wrote: saved_models/NAME.")
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if not lock_folder(descriptor, seconds=PATIENCE):
            raise ServingError(
                f"Another process promotes, rolls back or prunes versions of {folder}. Try again when it has ended."
            )
        yield
    finally:
        os.close(descriptor)
