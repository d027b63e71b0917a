"""Numbers and names of a report, as HTML."""

from __future__ import annotations

from tf_finetune.evaluation.bootstrap import Interval
from tf_finetune.pages.page import escaped

__all__ = ["cell", "command", "name_of", "number", "share"]


def share(value: float) -> str:
    """A share in percent: ``86.4%``."""
    return f"{value:.1%}"


def number(value: float | None, *, digits: int = 4, ends: Interval | None = None) -> str:
    """A cell with a number, which sorts by all of its digits, and its interval below; a dash for None."""
    if value is None:
        return '<td class="number" data-sort="">–</td>'
    small = "" if ends is None else f'<br><span class="faint">{ends.low:.3f} to {ends.high:.3f}</span>'
    return f'<td class="number" data-sort="{float(value)!r}">{value:,.{digits}f}{small}</td>'


def cell(text: str) -> str:
    """A cell with a text, whoever wrote it."""
    return f"<td><bdi>{escaped(text)}</bdi></td>"


def name_of(label: str) -> str:
    """Name of a class within a sentence, whatever the direction of its writing."""
    return f"<b><bdi>{escaped(label)}</bdi></b>"


def command(words: str) -> str:
    """A command to be copied."""
    return f"<code>{escaped(words)}</code>"
