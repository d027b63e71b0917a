"""`importances`: how much each hyperparameter mattered for the score, as far as the trials of a search can tell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tf_finetune.tuning.objective import direction, scored_trials
from tf_finetune.tuning.report.axis import CATEGORY, Axis, axes_of
from tf_finetune.tuning.trial import Trial

if TYPE_CHECKING:
    import numpy as np

__all__ = ["LEAST_TRIALS", "Importance", "importances"]

LEAST_TRIALS = 8
"""With fewer configurations nothing is said."""

TREES = 300

METHOD = (
    "Permutation importance in a random forest of 300 regression trees (Breiman 2001), which predicts the score from "
    "the values: by how much the squared error of each tree grows, on the trials that it has not seen, when the values "
    "of one hyperparameter are shuffled among them."
)
METHOD_BUDGET = (
    " The epochs that a trial was given are known to the forest, so that they are not put down to the other values."
)


@dataclass(frozen=True)
class Importance:
    """How much each hyperparameter mattered.

    Attributes:
        method: How that was found, in words.
        trials: Trials that it was found from, each with values of its own.
        r2: Share of the variance of the scores that the forest explains on trials that it has not seen; None if no
            forest was grown.
        shares: Share of each hyperparameter by dotted name, the greatest first; they sum to 1. Empty if nothing can be
            told.
        reason: Why nothing can be told; empty if something can.
    """

    method: str
    trials: int
    r2: float | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


def importances(trials: Sequence[Trial], *, objective: str, seed: int = 0) -> Importance:
    """How much each hyperparameter mattered for the score of the completed trials.

    Trials that were stopped early count with the score that they had reached: without them, the values that made them
    bad would seem harmless. Of trials with equal values (rungs of hyperband), the one with most epochs counts.
    Numbers that span more than a factor of 10 are taken by their logarithm; categories are one-hot columns, shuffled
    together.

    Args:
        trials: All trials of a search.
        objective: What the score is.
        seed: Seed of the forest and the shuffling; equal arguments give equal shares.

    Returns:
        The shares; or the reason why nothing can be told: fewer than 8 trials, equal scores, or a forest that
        explains nothing.

    Raises:
        ConfigError: There is no such objective.
    """
    import numpy as np

    direction(objective)
    kept = _longest_of_equals(scored_trials(trials))
    scores = np.array([score for _, score in kept])
    axes = axes_of([trial for trial, _ in kept])
    if len(kept) < LEAST_TRIALS:
        reason = f"Too few trials: {LEAST_TRIALS} completed ones with different values are needed, there are "
        return Importance(METHOD, len(kept), reason=f"{reason}{len(kept)}.")
    if np.ptp(scores) == 0:
        return Importance(METHOD, len(kept), reason="All trials have the same score.")
    columns = {axis.name: _columns(axis, [trial for trial, _ in kept]) for axis in axes}
    budget = _budget([trial for trial, _ in kept])
    method = METHOD + (METHOD_BUDGET if budget.size else "")
    r2, growth = _forest_importances(columns, budget, scores, seed)
    if r2 <= 0 or not any(growth.values()):
        reason = (
            f"The values do not explain the scores: on trials that it has not seen, the forest's predictions are no "
            f"better than the mean score (R² {r2:.2f}). What differs may be chance, or needs more trials to be seen."
        )
        return Importance(method, len(kept), r2, reason=reason)
    total = sum(growth.values())
    shares = {name: growth[name] / total for name in sorted(growth, key=lambda name: -growth[name])}
    return Importance(method, len(kept), r2, shares)


def _longest_of_equals(scored: Sequence[tuple[Trial, float]]) -> list[tuple[Trial, float]]:
    longest: dict[str, tuple[Trial, float]] = {}
    for trial, score in scored:
        key = json.dumps(dict(trial.values), sort_keys=True, default=str)
        if key not in longest or trial.epochs > longest[key][0].epochs:
            longest[key] = trial, score
    return list(longest.values())


def _columns(axis: Axis, trials: Sequence[Trial]) -> np.ndarray:
    """The values of one hyperparameter, float `[trials, columns]`: a column, or one for each category."""
    import numpy as np

    values: list[Any] = [trial.values.get(axis.name) for trial in trials]
    if axis.kind == CATEGORY:
        return np.eye(len(axis.apart))[[axis.index(value) for value in values]]
    return np.array([[axis.position(value)] for value in values])


def _budget(trials: Sequence[Trial]) -> np.ndarray:
    """Epochs planned, float `[trials, 1]`; `[trials, 0]` where all trials have as many, or they are one of the values.

    Not the epochs trained: that a trial was stopped early follows from its score.
    """
    import numpy as np

    planned = np.array([[float(trial.planned)] for trial in trials])
    told = np.ptp(planned) == 0 or any("fit.epochs" in trial.values for trial in trials)
    return planned[:, :0] if told else planned


def _forest_importances(
    columns: Mapping[str, np.ndarray], budget: np.ndarray, scores: np.ndarray, seed: int
) -> tuple[float, dict[str, float]]:
    """Out-of-bag R², and the mean growth of the squared error by name, 0 where shuffling did no harm."""
    import numpy as np
    from sklearn.ensemble import RandomForestRegressor

    table = np.concatenate([*columns.values(), budget], axis=1).astype(np.float32)
    ends = np.cumsum([part.shape[1] for part in columns.values()])
    parts = [slice(end - part.shape[1], end) for end, part in zip(ends, columns.values(), strict=True)]
    forest = RandomForestRegressor(TREES, oob_score=True, random_state=seed).fit(table, scores)
    generator = np.random.default_rng(seed)
    growth = np.zeros(len(parts))
    for tree, drawn in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        unseen = np.setdiff1d(np.arange(len(scores)), drawn)
        if not len(unseen):
            continue
        versions = [table[unseen]]
        for part in parts:
            shuffled = table[unseen]
            shuffled[:, part] = table[generator.permutation(unseen), part]
            versions.append(shuffled)
        predicted = tree.predict(np.concatenate(versions)).reshape(len(versions), len(unseen))
        errors = ((predicted - scores[unseen]) ** 2).mean(axis=1)
        growth += (errors[1:] - errors[0]) / TREES
    return float(forest.oob_score_), dict(zip(columns, np.maximum(growth, 0).tolist(), strict=True))
