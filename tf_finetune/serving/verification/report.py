"""`Check` and the reports of checks: what was looked at, and whether it holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tf_finetune.errors import FinetuneError

__all__ = ["Check", "CheckReport", "VerifyReport", "attempt"]

FORMAT = 1
"""Format of the JSON report."""

LONGEST_MESSAGE = 600
"""Characters; TensorFlow's own messages may name every node on the way."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        ok: Whether it holds.
        message: What was seen, in one line; if it does not hold, what is wrong.
        details: The numbers and names in it, as JSON takes them.
    """

    name: str
    ok: bool
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def missed(cls, name: str, fault: object) -> Check:
        """A check that does not hold; the fault is an error or a text of any form."""
        message = " ".join(str(fault).split())
        return cls(name, False, message if len(message) <= LONGEST_MESSAGE else message[:LONGEST_MESSAGE] + " ...")

    def __str__(self) -> str:
        """One line."""
        return f"{'ok' if self.ok else 'MISS':<5} {self.name}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """Checks that were made together.

    Attributes:
        tolerance: Largest difference of a logit that was allowed.
        checks: In the order in which they were made.
    """

    tolerance: float
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether all checks hold."""
        return all(check.ok for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON takes it."""
        checks = [dataclasses.asdict(check) for check in self.checks]
        return {"ok": self.ok, "tolerance": self.tolerance, "checks": checks}


@dataclass(frozen=True, kw_only=True)
class VerifyReport(CheckReport):
    """All checks of an export.

    Attributes:
        path: The version folder.
    """

    path: Path

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON takes it."""
        return {"format": FORMAT, "path": str(self.path), **super().to_dict()}


def attempt(name: str, look: Callable[[], tuple[str, Mapping[str, Any]]]) -> Check:
    """A check of what `look` gives, a message and its details, or of the error that it raises."""
    try:
        message, details = look()
    except FinetuneError as error:
        return Check.missed(name, error)
    return Check(name, True, message, details)
