"""Markdown with texts of users in it, which are shown as they are, whatever they hold."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tf_finetune.pages.words import printable, shorten

__all__ = ["comma_list", "plain", "table"]

WIDTH = 80
"""Longest name that is shown whole, in characters."""

SIGNS = re.compile(r"[\\`*\[\]<>&|~#$:@!]|(?<![^\W_])_|_(?![^\W_])|(?<=www)\.", re.IGNORECASE)
"""What Markdown may take for mark-up, for HTML, or for an address to link to. Names never begin a line here."""


def plain(text: str) -> str:
    """A text on one line, with everything escaped that Markdown would act on; cut in the middle beyond `WIDTH`."""
    line = shorten(" ".join(printable(text).split()), WIDTH)
    return SIGNS.sub(r"\\\g<0>", line)


def comma_list(names: Sequence[str], *, most: int) -> str:
    """Names of users with commas, the first `most` of them; in words how many more there are."""
    shown = ", ".join(plain(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """A table of finished cells, the first `left` columns to the left and the others to the right."""
    align = [":--" if place < left else "--:" for place in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, align, *rows))
