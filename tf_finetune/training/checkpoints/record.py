"""`Record`: how far a run has come, apart from its tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tf_finetune.training.checkpoints.tensor_file import DamagedFile

__all__ = ["History", "Record", "best_epoch", "better", "is_over"]

FORMAT = 1
History = tuple[Mapping[str, float], ...]
"""Values of each epoch: loss and metrics, of training and validation."""


@dataclass(frozen=True)
class Record:
    """How far a run has come.

    Attributes:
        step: Updates done.
        steps_per_epoch: Updates of an epoch.
        history: Values of the epochs that were trained and validated.
        unvalidated: Training values of an epoch that was trained and not validated yet, or None.
        resumed_at: Updates that were done each time the run was gone on with.
        forced: What differed where that was forced, a line each.
    """

    step: int
    steps_per_epoch: int
    history: History = ()
    unvalidated: Mapping[str, float] | None = None
    resumed_at: tuple[int, ...] = ()
    forced: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; numbers as text, which keeps every bit of them."""
        return {
            "format": FORMAT,
            "step": self.step,
            "steps_per_epoch": self.steps_per_epoch,
            "history": [_to_text(values) for values in self.history],
            "unvalidated": None if self.unvalidated is None else _to_text(self.unvalidated),
            "resumed_at": list(self.resumed_at),
            "forced": list(self.forced),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Record:
        """Reads what `to_json` returned.

        Raises:
            DamagedFile: It is of another format.
        """
        if values.get("format") != FORMAT:
            raise DamagedFile(f"its format is {values.get('format')!r}, not {FORMAT}")
        unvalidated = values["unvalidated"]
        return cls(
            step=values["step"],
            steps_per_epoch=values["steps_per_epoch"],
            history=tuple(_to_numbers(epoch) for epoch in values["history"]),
            unvalidated=None if unvalidated is None else _to_numbers(unvalidated),
            resumed_at=tuple(values["resumed_at"]),
            forced=tuple(values["forced"]),
        )


def better(monitor: str, value: float, best: float | None) -> bool:
    """Whether a monitored value beats the best so far: lower for losses, higher for all else. Never for NaN."""
    if best is None:
        return value == value
    return value < best if monitor.endswith("loss") else value > best


def best_epoch(history: Sequence[Mapping[str, float]], monitor: str) -> int:
    """The epoch with the best monitored value, from 1, the earlier on a tie; 0 if none is sound.

    An epoch whose training loss is no number is never the best.
    """
    found, best = 0, None
    for epoch, values in enumerate(history, start=1):
        if abs(values.get("loss", 0.0)) < float("inf") and better(monitor, values[monitor], best):
            found, best = epoch, values[monitor]
    return found


def is_over(history: Sequence[Mapping[str, float]], *, monitor: str, patience: int | None) -> bool:
    """Whether training stops early: the last `patience` epochs brought no better value than those before.

    What `keras.callbacks.EarlyStopping` decides, as a function of the history alone.
    """
    if patience is None:
        return False
    waited, best = 0, None
    for values in history:
        if better(monitor, values[monitor], best):
            waited, best = 0, values[monitor]
        else:
            waited += 1
    return waited >= patience and len(history) > 1


def _to_text(values: Mapping[str, float]) -> dict[str, str]:
    return {name: repr(float(value)) for name, value in values.items()}


def _to_numbers(values: Mapping[str, str]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
