"""`Tracker`: what each tracker can do, and `TrackedRun`: what it is told of the run."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from tf_finetune.evaluation.metrics import Scores
from tf_finetune.run import ModelFolder

__all__ = ["FAILED", "FINISHED", "STOPPED", "Opened", "TrackedRun", "Tracker"]

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
"""How a run ends; one that was stopped can be gone on with."""


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers know it; no text of any row is among it.

    Attributes:
        folder: Its folder, whose small files are sent along.
        name: Its name.
        group: What it is part of, such as a search; None if it stands alone.
        parameters: The configuration: dotted name to text, number or truth value.
    """

    folder: ModelFolder
    name: str
    group: str | None
    parameters: Mapping[str, str | int | float | bool]


@dataclass(frozen=True)
class Opened:
    """A tracker's run that can be written to.

    Attributes:
        run_id: By which it is found again.
        epochs: How many epochs it has; None if the tracker cannot tell.
        where: Where to look at it, in words.
    """

    run_id: str
    epochs: int | None
    where: str


class Tracker(abc.ABC):
    """A run at one tracker. Its methods raise whatever went wrong; `Tracking` keeps that from training.

    Epochs are counted from 0, as in history.csv.
    """

    name: ClassVar[str]
    """Value of ``--tracker``."""

    advice: ClassVar[str]
    """What to do when no run can be begun."""

    @abc.abstractmethod
    def open(self, run_id: str | None) -> Opened:
        """Begins a run, or goes on with the one of this id."""

    @abc.abstractmethod
    def log_epoch(self, epoch: int, values: Mapping[str, float], *, is_now: bool) -> None:
        """Logs the values of an epoch.

        Args:
            epoch: Its number.
            values: Its row of history.csv.
            is_now: Whether the model has the weights that it had at the end of this epoch.
        """

    @abc.abstractmethod
    def log_scores(self, epoch: int, scores: Mapping[str, Scores]) -> None:
        """Logs what the weights kept are worth, and the small files of the run.

        Args:
            epoch: The epoch that they are from.
            scores: ``validation``, and ``test`` if there is any, to the scores.
        """

    @abc.abstractmethod
    def close(self, status: str) -> None:
        """Ends the tracker's run.

        Args:
            status: `FINISHED`, `STOPPED` or `FAILED`.
        """
