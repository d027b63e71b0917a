"""The objective of a search: which way is better, and which trial is the best."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from tf_finetune.errors import ConfigError
from tf_finetune.tuning.trial import COMPLETED, Trial

__all__ = ["OBJECTIVES", "baseline_trial", "best_trial", "direction", "in_order", "is_better", "scored_trials"]

OBJECTIVES = ("val_accuracy", "val_macro_f1", "val_loss")
"""What a search can look for: a score on the validation rows."""


def direction(objective: str) -> Literal["max", "min"]:
    """Whether the greatest or the smallest score is the best.

    Raises:
        ConfigError: There is no such objective.
    """
    if objective not in OBJECTIVES:
        raise ConfigError(f"--objective: expected one of {', '.join(OBJECTIVES)}. Received: {objective!r:.80}.")
    return "min" if objective == "val_loss" else "max"


def is_better(objective: str, a: float, b: float) -> bool:
    """Whether the score `a` is better than `b`; False if they are equal.

    Raises:
        ConfigError: There is no such objective.
    """
    return a > b if direction(objective) == "max" else a < b


def in_order(trials: Iterable[Trial]) -> list[Trial]:
    """Trials in the order of their numbers."""
    return sorted(trials, key=lambda trial: (len(trial.id), trial.id))


def scored_trials(trials: Iterable[Trial]) -> list[tuple[Trial, float]]:
    """Completed trials, those that were stopped early among them, and their scores, in the order of their numbers."""
    return [
        (trial, trial.score)
        for trial in in_order(trials)
        if trial.status == COMPLETED and trial.score is not None and math.isfinite(trial.score)
    ]


def best_trial(trials: Iterable[Trial], objective: str) -> Trial | None:
    """The completed trial with the best score, the earliest of equal ones; None if none was completed.

    Raises:
        ConfigError: There is no such objective.
    """
    sign = 1 if direction(objective) == "max" else -1
    best = max(scored_trials(trials), key=lambda pair: sign * pair[1], default=None)  # max takes the first of equals
    return best and best[0]


def baseline_trial(trials: Iterable[Trial]) -> Trial | None:
    """The trial of the configuration as given, completed or not; None if it was not run."""
    return next((trial for trial in trials if trial.is_baseline), None)
