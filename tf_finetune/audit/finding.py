"""`Finding`: one thing that an audit has to say, how bad it is, and in which rows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

__all__ = ["ERROR", "NOTE", "SEVERITIES", "WARNING", "Finding", "Place", "in_order"]

ERROR = "error"
WARNING = "warning"
NOTE = "note"
SEVERITIES = (ERROR, WARNING, NOTE)
"""What makes scores worthless or stops `fit`; what likely harms; what is good to know."""


@dataclass(frozen=True)
class Place:
    """One row.

    Attributes:
        split: ``train``, ``validation`` or ``test``.
        where: File and row: ``reviews.csv:17``.
        label: Its class; None if it has none.
        text: The start of its text; sentence pairs have a line break between them.
        other: The row that it is like, for repeats.
        similarity: Jaccard similarity to that row, from 0 to 1, for near duplicates.
    """

    split: str
    where: str
    label: str | None = None
    text: str = ""
    other: str | None = None
    similarity: float | None = None


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: Its name, such as ``leak``.
        severity: ``error``, ``warning`` or ``note``.
        count: Rows (labels, for findings about labels) that it concerns.
        message: What was found and what to do, in sentences.
        rows: Some of the rows.
        splits: The splits that it concerns.
    """

    kind: str
    severity: str
    count: int
    message: str
    rows: tuple[Place, ...] = ()
    splits: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """The worst first; otherwise as they came."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))
