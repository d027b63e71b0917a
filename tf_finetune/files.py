"""Files and folders: written whole or not at all, read with a clear error, hashed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from tf_finetune.errors import RunError

__all__ = [
    "cache_folder",
    "file_sha256",
    "lock_folder",
    "new_folder",
    "publish_folder",
    "read_json",
    "staging_folder",
    "whole_file",
    "write_json",
    "write_text",
]

logger = logging.getLogger(__name__)

LOCK_POLL_SECONDS = 0.05


def cache_folder(cache_dir: str | None = None) -> Path:
    """The cache folder, made if it is missing.

    It is `cache_dir`, else ``$TF_FINETUNE_CACHE``, else ``tf_finetune`` in the user's cache folder.

    Raises:
        RunError: It cannot be made.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.path.expanduser(cache_dir or os.environ.get("TF_FINETUNE_CACHE") or home / "tf_finetune"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"Cannot make the cache folder {folder}: {error}. Name another: --cache-dir.") from error
    return folder


def file_sha256(path: Path) -> str:
    """SHA-256 of a file of any size, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write into that becomes `path` when the body ends, and vanishes when it fails.

    It is a temporary file beside it, which is on the disk before it is renamed.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a file of UTF-8 whole or not at all."""
    content = text.encode()
    with whole_file(path) as file:
        file.write(content)


def write_json(path: Path, value: Mapping[str, Any] | list[Any]) -> None:
    """Writes JSON (UTF-8, indented, no NaN) whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        RunError: The file is missing, broken, or holds no object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"Cannot read {path}: {error}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} must hold a JSON object. Received: {type(value).__name__}.")
    return value


def lock_folder(descriptor: int, *, seconds: float = 0.0) -> bool:
    """Locks an open folder for this process and those that inherit the descriptor, until all of them have closed it.

    File systems without locks do without.

    Args:
        descriptor: Of the folder.
        seconds: How long to wait for another process.

    Returns:
        False if another process holds the lock all the time.
    """
    import fcntl

    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
        except OSError:
            logger.debug("no locks on this file system")
            return True
        time.sleep(LOCK_POLL_SECONDS)


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to write into that becomes `target` by rename when the body ends, and vanishes when it fails.

    Raises:
        RunError: `target` exists when the body ends.
    """
    with staging_folder(target.parent, target.name) as staging:
        yield staging
        publish_folder(staging, target)


@contextlib.contextmanager
def staging_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder ``.tmp-<name>-...`` to write into, for `publish_folder`; it vanishes if it was not published."""
    parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=parent, prefix=f".tmp-{name}-"))
    try:
        os.chmod(staging, 0o755)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def publish_folder(staging: Path, target: Path) -> None:
    """Gives a finished folder its name, in one step, and once all of it is on the disk.

    Raises:
        RunError: `target` exists; also if another process was faster.
    """
    for path in [*staging.rglob("*"), staging]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    try:
        if target.exists():
            raise FileExistsError(target)
        os.rename(staging, target)
    except OSError as error:
        if target.exists():
            raise RunError(f"{target} exists already and is not overwritten.") from error
        raise
