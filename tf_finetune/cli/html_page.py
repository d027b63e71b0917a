"""The flag ``--html`` of commands that write a page."""

from __future__ import annotations

import os
from pathlib import Path

from tf_finetune.errors import ConfigError

__all__ = ["checked_page"]


def checked_page(html: str | None, *, overwrite: bool) -> Path | None:
    """The path of ``--html``; refuses one that cannot be written, before any work is done.

    Args:
        html: As given; None without the flag.
        overwrite: Whether a file may be replaced.

    Raises:
        ConfigError: What is wrong.
    """
    if html is None:
        if overwrite:
            raise ConfigError("--overwrite: no effect without --html. Leave it out.")
        return None
    path = Path(os.path.expanduser(html))
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--html: expected a file that ends in .html. Received: {html}")
    if not path.parent.is_dir():
        raise ConfigError(f"--html {html}: there is no folder {path.parent}. Create it first.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"--html {html}: the folder {path.parent} is not writable. Choose another one.")
    if path.is_dir() or (os.path.lexists(path) and not overwrite):
        raise ConfigError(f"--html: {html} exists already. Give another name, or --overwrite to replace it.")
    return path
