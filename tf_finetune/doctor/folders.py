"""The folders that are written to: whether that is possible, and whether there is room."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tf_finetune.doctor.finding import FAIL, OK, WARN, Finding

__all__ = ["cache_path", "check_folder", "check_folders", "hub_cache_path", "temporary_folder"]

GIGABYTE = 10**9
LEAST_ROOM, LITTLE_ROOM = GIGABYTE // 2, 2 * GIGABYTE
"""A run of all-MiniLM-L6-v2 takes 0.1 GB, as much for each export, and 0.3 GB for what it can be gone on with from."""


def check_folders(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Looks at the current folder, the caches and the folder of temporary files."""
    here = Path.cwd()
    yield check_folder("current folder", here, "cd ~")
    yield check_folder("cache folder", cache_path(environment), "export TF_FINETUNE_CACHE=~/tf_finetune_cache")
    yield check_folder("hub cache", hub_cache_path(environment), "export HF_HOME=~/huggingface", needed=False)
    fix = "mkdir -p ~/tmp && export TMPDIR=~/tmp"
    usable = temporary_folder()
    if usable is None:
        yield Finding("temporary files", FAIL, "No folder for temporary files can be written to.", fix)
        return
    variable = next((name for name in ("TMPDIR", "TEMP", "TMP") if environment.get(name)), None)
    temporary = Path(usable if variable is None else environment[variable])
    if variable is not None and not os.path.lexists(temporary):  # nobody makes it, unlike a cache
        message = f"{temporary}, which {variable} names, is not there: another folder is taken for it."
        yield Finding("temporary files", WARN, message, f"mkdir -p {shlex.quote(str(temporary))}")
        return
    yield check_folder("temporary files", temporary, fix)


def temporary_folder() -> str | None:
    """The folder that Python makes temporary files in; None if there is none, as where all disks are read-only."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return None


def check_folder(name: str, folder: Path, fix: str, *, needed: bool = True, room: int | None = None) -> Finding:
    """Writes into a folder, or into the nearest one above it that is there, and looks at the room on its disk.

    Args:
        name: What it is.
        folder: The folder, which need not exist yet.
        fix: The command that names another.
        needed: Whether nothing works without it.
        room: Free bytes; asked of the system by default.
    """
    there = _nearest(folder)
    bad = FAIL if needed else WARN
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free if room is None else room
    except OSError as error:
        return Finding(name, bad, f"{folder} cannot be written to: {error.strerror or error}.", fix)
    told = f"{folder}: {free / GIGABYTE:.1f} GB free"
    if free < LEAST_ROOM:
        return Finding(name, bad, f"{told}; a model with its export needs {LEAST_ROOM / GIGABYTE:.1f} GB.", fix)
    if free < LITTLE_ROOM:
        return Finding(name, WARN, f"{told}: little, a model with its export needs 0.2 to 0.5 GB.", fix)
    return Finding(name, OK, told)


def cache_path(environment: Mapping[str, str]) -> Path:
    """Where `tf_finetune.files.cache_folder` makes the cache; it is not made here."""
    home = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(environment.get("TF_FINETUNE_CACHE") or os.path.join(home, "tf_finetune")))


def hub_cache_path(environment: Mapping[str, str]) -> Path:
    """Where models of the hub are kept: `huggingface_hub.constants.HF_HUB_CACHE`."""
    home = environment.get("HF_HOME") or os.path.join(environment.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return Path(os.path.expandvars(os.path.expanduser(environment.get("HF_HUB_CACHE") or os.path.join(home, "hub"))))


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    folder = Path(os.path.abspath(folder))
    return next((part for part in (folder, *folder.parents) if os.path.exists(part)), folder)
