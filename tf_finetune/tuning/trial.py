"""`Trial`: one configuration that was tried, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["COMPLETED", "FAILED", "RUNNING", "Trial"]

RUNNING = "running"
COMPLETED = "completed"
FAILED = "failed"


@dataclass(frozen=True)
class Trial:
    """One configuration that was tried.

    Attributes:
        id: Its number, as the name of its folder: ``0003``. Trial ``0000`` is the configuration as given.
        values: Its values by dotted name, such as ``fit.learning_rate``, in the order of the space.
        status: ``running``, ``completed`` or ``failed``.
        score: The objective at its best epoch; None unless completed.
        best_epoch: That epoch, from 1; 0 unless completed.
        epochs: Epochs trained, those of its parent included.
        planned: Epochs that it was given.
        seconds: Wall time of its last process.
        pruned: Whether it was stopped early because others were better at the same epoch.
        parent: The trial that it went on from (hyperband), or None.
        reason: Why it failed, in words.
        worker: Who ran it.
    """

    id: str
    values: Mapping[str, Any]
    status: str = RUNNING
    score: float | None = None
    best_epoch: int = 0
    epochs: int = 0
    planned: int = 0
    seconds: float = 0.0
    pruned: bool = False
    parent: str | None = None
    reason: str = ""
    worker: str = ""

    @property
    def is_baseline(self) -> bool:
        """Whether it is the configuration as given."""
        return not self.id.strip("0")
