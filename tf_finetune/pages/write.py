"""`write_page`: a page as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tf_finetune.errors import RunError
from tf_finetune.files import write_text
from tf_finetune.pages.page import page

__all__ = ["write_page"]


def write_page(path: Path, title: str, sections: Sequence[str]) -> None:
    """Writes a page, whole or not at all; it loads nothing from elsewhere.

    Args:
        path: The file, which is replaced.
        title: As text.
        sections: As HTML.

    Raises:
        RunError: It cannot be written.
    """
    try:
        write_text(path, page(title, sections))
    except OSError as error:
        raise RunError(f"Cannot write the page {path}: {error.strerror or error}. Give another path.") from error
