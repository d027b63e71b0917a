"""keras-tuner's algorithms over a `Space`: the first trial is the baseline, and all that happens is in the ledger.

An oracle is not restored from what keras-tuner saves. It is made anew, and asked again what the ledger says that it was
asked before (`replay`): since its answers follow from the seed and what it was told, it then is where it was. Nothing
is lost with a torn file of keras-tuner's, the Gaussian process goes on as if nothing had happened, and a grid can be
gone on with at all.
"""

from __future__ import annotations

import itertools
import math
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from tf_finetune.config.yaml_file import dump_value
from tf_finetune.errors import RunError
from tf_finetune.tuning.keras_tuner import load_keras_tuner
from tf_finetune.tuning.ledger import BEGIN, END, INTERNAL, TrialLedger
from tf_finetune.tuning.objective import direction
from tf_finetune.tuning.settings import TuneConfig
from tf_finetune.tuning.space import Dimension, Space

__all__ = ["FAILURES", "HyperbandOracle", "SearchOracle", "make_oracle"]

kt: Any = load_keras_tuner()
Method = TypeVar("Method", bound=Callable[..., Any])

DIGITS = 4
"""Significant digits of numbers that are drawn from a range: enough to search, and to be read."""

FAILURES = 5
"""A search ends when so many trials have failed one after the other."""


def synchronized(method: Method) -> Method:
    """keras-tuner's lock, with which one worker's call follows the other's."""
    locked: Method = kt.synchronized(method)
    return locked


class SearchOracle(kt.Oracle):  # type: ignore[misc]
    """What all algorithms share; comes before keras-tuner's own class among the bases.

    Attributes:
        failures: Trials that have failed one after the other, since the search was begun or gone on with.
        orphans: Trials begun by workers that are gone, to be given to the next that asks.
    """

    def prepare(
        self,
        *,
        space: Space,
        baseline: Mapping[str, Any],
        ledger: TrialLedger,
        most_trials: int | None,
        read_result: Callable[[str], dict[str, Any]],
        on_end: Callable[[Any], None],
    ) -> None:
        """Gives the oracle what keras-tuner's constructor has no place for.

        Args:
            space: What is searched.
            baseline: Values of the configuration as given, by dotted name.
            ledger: Where all is written down.
            most_trials: How many trials may begin; None for as many as the algorithm plans.
            read_result: From a trial's number to what came of it, as its runner has written it.
            on_end: Called with the oracle after each trial.
        """
        self.search_space, self.baseline, self.ledger = space, dict(baseline), ledger
        self.most_trials, self.read_result, self.on_end = most_trials, read_result, on_end
        self.failures = 0
        self.orphans: list[str] = []
        self.is_replaying = False

    def replay(self, lives: Callable[[str], bool] = lambda worker: False) -> None:
        """Brings a new oracle to where the ledger ends.

        Args:
            lives: Whether a worker that has begun a trial still trains it, as when the chief alone was killed.

        Raises:
            RunError: The ledger is damaged, or of another search.
        """
        self.is_replaying = True
        for event in self.ledger.events():
            if event["event"] == BEGIN:
                self._replay_begin(event)
            else:
                self._replay_end(event)
        self.is_replaying = False
        self.failures = 0
        self.tuner_ids = {worker for worker in self.ongoing_trials if lives(worker)}
        self.orphans = sorted(
            trial.trial_id for worker, trial in self.ongoing_trials.items() if worker not in self.tuner_ids
        )

    def _replay_begin(self, event: Mapping[str, Any]) -> None:
        number, worker = event["trial"], event["worker"]
        if number in self.trials:
            self._hand_over(number, worker)
            return
        trial = self.create_trial(worker)
        if trial.trial_id != number or self._true_values(trial) != event["values"]:
            raise RunError(
                f"{self.ledger.path}: trial {number} has values that this search would not give it. The file is "
                "damaged, or of another version of keras-tuner or scikit-learn: begin another search."
            )

    def _replay_end(self, event: Mapping[str, Any]) -> None:
        number = event["trial"]
        if number not in self.trials:
            raise RunError(f"{self.ledger.path}: trial {number} has ended before it began. The file is damaged.")
        trial, result = self.trials[number], event["result"]
        trial.status = "COMPLETED" if result["score"] is not None else "FAILED"
        if trial.status == "COMPLETED":
            self.update_trial(number, {self.objective.name: result["score"]})
        self.end_trial(trial)

    @synchronized
    def create_trial(self, tuner_id: str) -> Any:
        """The trial that this worker has begun, or one whose worker is gone, or a new one."""
        if tuner_id not in self.ongoing_trials and self.orphans and not self.is_replaying:
            self._hand_over(self.orphans[0], tuner_id)
            self._write_begin(self.ongoing_trials[tuner_id], tuner_id)
        known = len(self.trials)
        trial = super().create_trial(tuner_id)
        if trial.trial_id in self.orphans:
            self.orphans.remove(trial.trial_id)
        if len(self.trials) > known:
            self._write_begin(trial, tuner_id)
        return trial

    @synchronized
    def end_trial(self, trial: Any) -> None:
        """Takes a trial's result from its folder: on the way from a worker numbers lose digits, reasons are lost."""
        own = self.trials[trial.trial_id]
        trial.hyperparameters = own.hyperparameters
        result = None if self.is_replaying else self.read_result(trial.trial_id)
        if result is not None:
            trial.status = "COMPLETED" if result["score"] is not None else "FAILED"
            trial.message = result["reason"] or None
            self.ledger.append({"event": END, "trial": trial.trial_id, "result": result})
            if trial.status == "COMPLETED":  # the chief that the worker has told the score may have been killed since
                self.update_trial(trial.trial_id, {})
        if trial.trial_id in self.orphans:
            self.orphans.remove(trial.trial_id)
        super().end_trial(trial)
        self.failures = self.failures + 1 if own.status == "FAILED" else 0
        if result is not None:
            self.on_end(self)

    @synchronized
    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Any:
        """Takes the score from the trial's folder, where it has all of its digits."""
        if not self.is_replaying:
            score = self.read_result(trial_id)["score"]
            metrics = {self.objective.name: math.nan if score is None else score}
        return super().update_trial(trial_id, dict(metrics), step=step)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The values of a new trial: the baseline's first, then the algorithm's own."""
        is_enough = self.most_trials is not None and len(self.trials) >= self.most_trials
        if not self.is_replaying and (is_enough or self.failures >= FAILURES):
            return {"status": "STOPPED"}
        if not self.trials:
            return {"status": "RUNNING", "values": self._baseline_values()}
        drawn = vars(self)["_seed_state"]
        found: dict[str, Any] = super().populate_space(trial_id)
        if found["status"] != "RUNNING":
            self._seed_state = drawn  # what was drawn from a space that is used up came to nothing, and must not count
            return found
        ranges = {d.name: d for d in self.search_space.dimensions if not d.values}
        values = found["values"].items()
        return {**found, "values": {name: _within(ranges.get(name), value) for name, value in values}}

    @synchronized
    def release(self, worker: str) -> None:
        """Takes a trial away from a worker that is gone, so that the next one that asks gets it."""
        trial = self.ongoing_trials.pop(worker, None)
        self.tuner_ids.discard(worker)
        if trial is not None:
            self.orphans.append(trial.trial_id)

    def is_baseline(self, values: Mapping[str, Any]) -> bool:
        """Whether values as keras-tuner has them are those of the configuration as given."""
        decoded = {d.name: _decoded(d, values[d.name]) for d in self.search_space.dimensions}
        return {name: _rounded(value) for name, value in decoded.items()} == {
            name: _rounded(value) for name, value in self.baseline.items()
        }

    def _record_values(self, trial: Any) -> None:
        """Notes which values were tried, but for what stands in for the baseline's."""
        if trial.trial_id.strip("0") or self.is_baseline(trial.hyperparameters.values):
            super()._record_values(trial)

    def _baseline_values(self) -> dict[str, Any]:
        """The baseline as keras-tuner takes it: of a value that is not in its list, the list's first stands in.

        Of one outside of its range, its nearest end.
        """
        return {d.name: _encoded(d, self.baseline[d.name]) for d in self.search_space.dimensions}

    def _hand_over(self, number: str, worker: str) -> None:
        """Gives a trial that was begun to another worker."""
        for before, trial in list(self.ongoing_trials.items()):
            if trial.trial_id == number:
                del self.ongoing_trials[before]
        self.ongoing_trials[worker] = self.trials[number]
        self.tuner_ids.add(worker)

    def _write_begin(self, trial: Any, worker: str) -> None:
        if not self.is_replaying:
            values = self._true_values(trial)
            self.ledger.append({"event": BEGIN, "trial": trial.trial_id, "worker": worker, "values": values})

    def _true_values(self, trial: Any) -> dict[str, Any]:
        """What the configuration gets, and what hyperband adds."""
        values = trial.hyperparameters.values
        added = {name: value for name, value in values.items() if name.startswith(INTERNAL)}
        if not trial.trial_id.strip("0"):
            return {**self.baseline, **added}
        return {**{d.name: _decoded(d, values[d.name]) for d in self.search_space.dimensions}, **added}


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
        "hyperparameters": _hyperparameters(space),
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


def _hyperparameters(space: Space) -> Any:
    found = kt.HyperParameters()
    for dimension in space.dimensions:
        sampling = "log" if dimension.log else "linear"
        if dimension.values:
            found.Choice(dimension.name, [_encoded(dimension, value) for value in dimension.values])
        else:
            add = found.Int if dimension.option.kind is int else found.Float
            add(dimension.name, dimension.low, _last(dimension), step=dimension.step, sampling=sampling)
    return found


def _last(dimension: Dimension) -> float:
    """Upper end as keras-tuner takes it: with steps half of one further, or rounding may cost it the last value."""
    low, high, step = dimension.low, dimension.high, dimension.step
    if step is None or dimension.option.kind is int:
        return high
    return low + (math.floor((high - low) / step + 1e-9) + 0.5) * step


def _encoded(dimension: Dimension, value: Any) -> Any:
    """A value as keras-tuner takes it: a number, or text."""
    if not dimension.values:
        return dimension.low if value is None else min(max(value, dimension.low), dimension.high)
    if dimension.is_ordered:
        kind = dimension.option.kind
        return kind(value if value in dimension.values else dimension.values[0])
    return dump_value(value if value in dimension.values else dimension.values[0])


def _decoded(dimension: Dimension, value: Any) -> Any:
    if not dimension.values:
        return dimension.option.kind(value)
    return next(own for own in dimension.values if _encoded(dimension, own) == value)


def _within(dimension: Dimension | None, value: Any) -> Any:
    """A value that was drawn; one of a range with the digits that count, and not beyond its ends for that."""
    return value if dimension is None else min(max(_rounded(value), dimension.low), dimension.high)


def _rounded(value: Any) -> Any:
    """A number with the digits that count."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) and math.isfinite(value) else value
