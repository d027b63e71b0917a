"""Values of trials as people read them."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["duration_text", "exact_text", "printable", "score_text", "shorten", "value_text"]


def printable(text: str) -> str:
    r"""Shows what is no visible character, half surrogate pairs among it, as in ``\x1b``; line breaks stay."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )


def exact_text(value: Any) -> str:
    """A value as YAML writes it, numbers with all of their digits; ``none`` for None."""
    if value is None:
        return "none"
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def value_text(value: Any) -> str:
    """The same on one line, with four significant digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(exact_text(value).split())


def score_text(score: float | None) -> str:
    """A score with four digits after the point; a dash for None."""
    return "–" if score is None else f"{score:.4f}"


def duration_text(seconds: float) -> str:
    """A time as ``42 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def shorten(text: str, width: int) -> str:
    """Cuts the middle out of a text of more than `width` characters: long names tend to differ at their ends."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
