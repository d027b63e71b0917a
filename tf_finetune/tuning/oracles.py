"""keras-tuner's algorithms over a `Space`: the first trial is the baseline, and all that happens is in the ledger.

An oracle is not restored from what keras-tuner saves. It is made anew, and asked again what the ledger says that it was
asked before (`replay`): since its answers follow from the seed and what it was told, it then is where it was. Nothing
is lost with a torn file of keras-tuner's, the Gaussian process goes on as if nothing had happened, and a grid can be
gone on with at all.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from tf_finetune.errors import RunError
from tf_finetune.tuning.hyperparameters import decoded, encoded, rounded, within
from tf_finetune.tuning.keras_tuner import load_keras_tuner
from tf_finetune.tuning.ledger import BEGIN, END, INTERNAL, TrialLedger
from tf_finetune.tuning.space import Space

__all__ = ["FAILURES", "SearchOracle"]

kt: Any = load_keras_tuner()
Method = TypeVar("Method", bound=Callable[..., Any])

FAILURES = 5
"""A search ends when so many trials have failed one after the other."""


def synchronized(method: Method) -> Method:
    """keras-tuner's lock, with which one worker's call follows the other's.

    It stays closed after an error, and the next call would wait for ever: whoever can end the process is told.
    """
    locked = kt.synchronized(method)

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return locked(self, *args, **kwargs)
        except Exception as error:
            if self.on_error is not None:
                self.on_error(error)
            raise

    return cast("Method", call)


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
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        """Gives the oracle what keras-tuner's constructor has no place for.

        Args:
            space: What is searched.
            baseline: Values of the configuration as given, by dotted name.
            ledger: Where all is written down.
            most_trials: How many trials may begin; None for as many as the algorithm plans.
            read_result: From a trial's number to what came of it, as its runner has written it.
            on_end: Called with the oracle after each trial.
            on_error: Called with an error after which the oracle cannot be used any more.
        """
        self.search_space, self.baseline, self.ledger = space, dict(baseline), ledger
        self.most_trials, self.read_result, self.on_end = most_trials, read_result, on_end
        self.on_error = on_error
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
        return {**found, "values": {name: within(ranges.get(name), value) for name, value in values}}

    @synchronized
    def release(self, worker: str) -> None:
        """Takes a trial away from a worker that is gone, so that the next one that asks gets it."""
        trial = self.ongoing_trials.pop(worker, None)
        self.tuner_ids.discard(worker)
        if trial is not None:
            self.orphans.append(trial.trial_id)

    def is_baseline(self, values: Mapping[str, Any]) -> bool:
        """Whether values as keras-tuner has them are those of the configuration as given."""
        found = {d.name: decoded(d, values[d.name]) for d in self.search_space.dimensions}
        return all(rounded(value) == rounded(self.baseline[name]) for name, value in found.items())

    def _record_values(self, trial: Any) -> None:
        """Notes which values were tried, but for what stands in for the baseline's."""
        if trial.trial_id.strip("0") or self.is_baseline(trial.hyperparameters.values):
            super()._record_values(trial)

    def _baseline_values(self) -> dict[str, Any]:
        """The baseline as keras-tuner takes it: of a value that is not in its list, the list's first stands in.

        Of one outside of its range, its nearest end.
        """
        return {d.name: encoded(d, self.baseline[d.name]) for d in self.search_space.dimensions}

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
        return {**{d.name: decoded(d, values[d.name]) for d in self.search_space.dimensions}, **added}
