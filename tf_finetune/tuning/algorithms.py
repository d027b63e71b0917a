"""`make_oracle`: random, Bayesian, hyperband and grid search, each a `SearchOracle` over keras-tuner's own."""

from __future__ import annotations

import itertools
import sys
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from tf_finetune.tuning.hyperparameters import to_hyperparameters
from tf_finetune.tuning.keras_tuner import load_keras_tuner
from tf_finetune.tuning.ledger import INTERNAL
from tf_finetune.tuning.objective import direction
from tf_finetune.tuning.oracles import SearchOracle
from tf_finetune.tuning.settings import TuneConfig
from tf_finetune.tuning.space import Space

__all__ = ["HyperbandOracle", "make_oracle"]

kt: Any = load_keras_tuner()


class Bayesian(kt.oracles.BayesianOptimizationOracle):  # type: ignore[misc]
    """keras-tuner's, but for values that were tried before: training them again would tell nothing."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The values that promise most, or others at random if these are known."""
        found: dict[str, Any] = super().populate_space(trial_id)
        if found["status"] != "RUNNING" or not self._duplicate(found["values"]):
            return found
        values = self._random_values()
        return {"status": "STOPPED"} if values is None else {"status": "RUNNING", "values": values}


class RandomOracle(SearchOracle, kt.oracles.RandomSearchOracle):  # type: ignore[misc]
    """Values drawn at random."""


class BayesianOracle(SearchOracle, Bayesian):
    """A Gaussian process of the scores so far."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Draws by the seed and the number of the trial, so that a search that is gone on with draws the same."""
        self._random_state = np.random.RandomState((self.seed, len(self.trials)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of a kernel's width: it is at an end of its range
            return super().populate_space(trial_id)


class HyperbandOracle(SearchOracle, kt.oracles.HyperbandOracle):  # type: ignore[misc]
    """Many trials for few epochs, the best of which go on."""

    def _baseline_values(self) -> dict[str, Any]:
        """The baseline belongs to no bracket: it is trained for all epochs."""
        added = {"epochs": self.max_epochs, "initial_epoch": 0, "bracket": -1, "round": -1}
        return {**super()._baseline_values(), **{INTERNAL + name: value for name, value in added.items()}}

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Forgets a bracket that was begun without a trial: the ledger knows of none, so it must not count."""
        before = {name: vars(self)[name] for name in ("_brackets", "_current_bracket", "_current_iteration")}
        before["_brackets"] = list(before["_brackets"])
        found = super().populate_space(trial_id)
        if found["status"] != "RUNNING":
            for name, value in before.items():
                setattr(self, name, value)
        return found

    def may_go_on(self) -> set[str]:
        """Numbers of the trials that others may go on from."""
        waiting = {info["id"] for bracket in self._brackets for done in bracket["rounds"][:-1] for info in done}
        parents = {trial.hyperparameters.values.get(f"{INTERNAL}trial_id") for trial in self.ongoing_trials.values()}
        return waiting | (parents - {None})


class Combinations(kt.Oracle):  # type: ignore[misc]
    """All combinations of lists, in the order of the space; keras-tuner's own grid cannot be gone on with."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The next combination; that of the baseline, which is the first trial, is left out."""
        space, done = self.hyperparameters.space, len(self.trials) - 1
        names = [hyperparameter.name for hyperparameter in space]
        combinations = (dict(zip(names, v)) for v in itertools.product(*(h.values for h in space)))
        left = (values for values in combinations if not self.is_baseline(values))
        values = next(itertools.islice(left, done, None), None)
        return {"status": "STOPPED"} if values is None else {"status": "RUNNING", "values": values}


class GridOracle(SearchOracle, Combinations):
    """All combinations."""


def make_oracle(
    space: Space, settings: TuneConfig, *, objective: str, epochs: int, seed: int, initial_points: int
) -> SearchOracle:
    """A new oracle; to be prepared before it is used.

    Args:
        space: What is searched.
        settings: How.
        objective: Name of the score.
        epochs: Epochs of a whole trial, for hyperband.
        seed: Of all that is drawn.
        initial_points: Trials that a Bayesian search draws at random before its first guess.
    """
    arguments: dict[str, Any] = {
        "objective": kt.Objective(objective, direction(objective)),
        "hyperparameters": to_hyperparameters(space),
        "allow_new_entries": False,
        "seed": seed + 1,  # keras-tuner takes 0 for none
        "max_consecutive_failed_trials": sys.maxsize,  # it would leave its lock closed; `FAILURES` counts
    }
    if settings.algorithm == "grid":
        return GridOracle(**arguments)
    if settings.algorithm == "hyperband":
        return HyperbandOracle(max_epochs=epochs, factor=settings.factor, **arguments)
    if settings.algorithm == "bayesian":
        return BayesianOracle(max_trials=None, num_initial_points=initial_points, **arguments)
    return RandomOracle(max_trials=None, **arguments)
