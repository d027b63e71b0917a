"""Text in columns for the terminal, aligned by display width, with nothing in it that could act on the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["align", "display_names", "escape", "width"]

NAME_WIDTH = 28
JOINERS = "\u200c\u200d"


def align(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Pads cells to the width of their column, the first `left` columns to the left and the others to the right."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        gaps = [" " * (most - width(cell)) for most, cell in zip(widths, row, strict=True)]
        cells = [cell + gap if i < left else gap + cell for i, (cell, gap) in enumerate(zip(row, gaps, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines


def display_names(label_names: Sequence[str]) -> list[str]:
    """Names for the terminal: escaped and shortened names; numbered where shortening made two of them alike."""
    names = [_shorten(escape(name)) for name in label_names]
    if len(set(names)) == len(names):
        return names
    return [f"{name} #{i + 1}" if names.count(name) > 1 else name for i, name in enumerate(names)]


def escape(text: str) -> str:
    r"""Shows what would move the cursor, switch colours or turn the direction of writing, as in ``\x1b``."""
    return "".join(c.encode("unicode_escape").decode("ascii") if _is_unsafe(c) else c for c in text)


def _is_unsafe(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in JOINERS


def _cells(char: str) -> int:
    """Terminal cells of one character."""
    if unicodedata.category(char) in ("Mn", "Me") or char in JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def width(text: str) -> int:
    """Terminal cells of a text."""
    return sum(map(_cells, text))


def _shorten(name: str) -> str:
    """Cuts the middle out of a name wider than `NAME_WIDTH` cells: long names tend to differ at their ends."""
    if width(name) <= NAME_WIDTH:
        return name
    half = (NAME_WIDTH - 1) // 2
    return _take(name, half) + "…" + _take(name[::-1], half)[::-1]


def _take(text: str, cells: int) -> str:
    """The longest start of `text` that fits into `cells`."""
    used = 0
    for i, char in enumerate(text):
        used += _cells(char)
        if used > cells:
            return text[:i]
    return text
