"""`Assignment`: what a trial's process is to do, as in `trial.json`; and what came of it, as in `result.json`."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tf_finetune.errors import RunError
from tf_finetune.files import read_json, write_json
from tf_finetune.run import ModelFolder

__all__ = ["Assignment", "failure", "read_history", "result_file", "result_of"]


@dataclass(frozen=True)
class Assignment:
    """What a trial's process is to do.

    Attributes:
        config: The sections of its configuration.
        objective: The value that decides; ``val_loss`` or one that is the better the greater.
        last_epoch: Epoch after which it stops; None for the last of its configuration.
        prune: Whether to stop where others were better.
        keeps_checkpoints: Whether another trial may go on from this one.
    """

    config: Mapping[str, Any]
    objective: str
    last_epoch: int | None = None
    prune: bool = False
    keeps_checkpoints: bool = False

    def write(self, folder: ModelFolder) -> None:
        """Writes the file of a trial."""
        folder.path.mkdir(parents=True, exist_ok=True)
        write_json(folder.path / "trial.json", asdict(self))

    @classmethod
    def read(cls, folder: ModelFolder) -> Assignment:
        """Reads the file of a trial.

        Raises:
            RunError: It is missing or damaged.
        """
        path = folder.path / "trial.json"
        try:
            return cls(**read_json(path))
        except TypeError as error:
            raise RunError(f"{path} is damaged: {error}") from error


def result_file(folder: ModelFolder) -> Path:
    """Where what came of a trial is written."""
    return folder.path / "result.json"


def result_of(folder: ModelFolder, assignment: Assignment, *, pruned: bool, seconds: float) -> dict[str, Any]:
    """What came of a finished run: the fields of a `Trial` that say so.

    Raises:
        RunError: The run's history is damaged.
    """
    history = read_history(folder)
    scores = [values.get(assignment.objective, math.nan) for values in history]
    sound = [score for score in scores if math.isfinite(score)]
    if not sound:
        return failure(f"{assignment.objective} is no number in any epoch.", seconds=seconds)
    best = min(sound) if assignment.objective == "val_loss" else max(sound)
    return {
        "status": "completed",
        "score": best,
        "best_epoch": scores.index(best) + 1,
        "epochs": len(history),
        "planned": int(assignment.last_epoch or assignment.config["fit"]["epochs"]),
        "seconds": round(seconds, 2),
        "pruned": pruned,
        "reason": "",
    }


def failure(reason: str, *, seconds: float) -> dict[str, Any]:
    """What came of a trial that failed."""
    return {
        "status": "failed",
        "score": None,
        "best_epoch": 0,
        "epochs": 0,
        "planned": 0,
        "seconds": round(seconds, 2),
        "pruned": False,
        "reason": reason,
    }


def read_history(folder: ModelFolder) -> Sequence[Mapping[str, float]]:
    """The values of each epoch that a run has finished; none if it has no history.

    Raises:
        RunError: The file is damaged.
    """
    if not folder.history.is_file():
        return []
    try:
        with open(folder.history, newline="", encoding="utf-8") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"Cannot read {folder.history}: {error}") from error
