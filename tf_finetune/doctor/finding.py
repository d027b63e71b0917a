"""`Finding`: what one check found, and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAIL", "OK", "WARN", "Finding"]

OK = "ok"
WARN = "warn"
FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: What was looked at: a package, a variable, a folder.
        status: "ok"; "warn", something that a part of the work may fail of; or "fail".
        message: One sentence.
        fix: The command that mends it; None if all is well, or where no command can.
    """

    name: str
    status: str
    message: str
    fix: str | None = None
