"""`take_part`: what a process of a search does: all of it, or as keras-tuner's chief or worker a part.

The part follows from keras-tuner's own environment variables: ``KERASTUNER_TUNER_ID`` (``chief``, or any other name for
a worker), ``KERASTUNER_ORACLE_IP`` and ``KERASTUNER_ORACLE_PORT``. Chief and workers share the search's folder.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from typing import Any

from tf_finetune.errors import TrainingStopped, TuningError
from tf_finetune.files import read_json, write_json
from tf_finetune.training.stopping import TEMPORARY_FAILURE, StopRequest
from tf_finetune.tuning.algorithms import HyperbandOracle, make_oracle
from tf_finetune.tuning.assignment import result_file
from tf_finetune.tuning.disk import drop_weights
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.ledger import TrialLedger
from tf_finetune.tuning.oracles import FAILURES, SearchOracle
from tf_finetune.tuning.runner import TRIAL_COMMAND, TrialRunner
from tf_finetune.tuning.search import Search
from tf_finetune.tuning.signs_of_life import beating, guarding
from tf_finetune.tuning.trial_config import values_of
from tf_finetune.tuning.tuner import Leave, TrialTuner
from tf_finetune.tuning.work import CHIEF, is_worker, tuner_name

__all__ = ["take_part"]

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2


def take_part(
    folder: TuneFolder,
    search: Search,
    *,
    stop: StopRequest,
    lock: int | None = None,
    command: Sequence[str] = TRIAL_COMMAND,
) -> None:
    """Does this process' part of a search that was begun, until there is nothing left to do.

    Args:
        folder: The search's folder.
        search: What is searched.
        stop: Whether to stop.
        lock: Descriptor of the search's lock.
        command: Program that trains a trial.

    Raises:
        TuningError: No trial can be trained.
        TrainingStopped: It was asked to stop, or workers are gone; what was trained is saved.
        RunError: The search is damaged.
    """
    name = tuner_name()
    oracle = _oracle(folder, search)
    runner = TrialRunner(
        folder,
        search.config,
        objective=search.objective,
        stop=stop,
        prune=search.settings.prune == "median",
        lock=lock,
        command=command,
    )
    tuner = TrialTuner(oracle, folder, runner, name=name)
    oracle.verbose = 0
    leads, is_chief = not is_worker(), CHIEF in name
    if leads:
        oracle.replay(lives=lambda worker: is_chief and (folder.workers / worker).is_file())
    with guarding(folder, oracle) if is_chief else beating(folder, name):
        try:
            if is_chief:
                _serve(tuner, stop)
            else:
                tuner.search(verbose=0)
        except Leave as leave:
            raise leave.reason from None
    if leads and oracle.failures >= FAILURES:
        logger.warning("%d trials have failed one after the other: the search ends", oracle.failures)
    if leads and any(trial.status == "RUNNING" for trial in oracle.trials.values()):
        raise TrainingStopped("All workers are gone, and trials are left.", exit_code=TEMPORARY_FAILURE)


def _serve(tuner: TrialTuner, stop: StopRequest) -> None:
    """Answers workers until they are done; in a thread, since keras-tuner's loop asks nobody whether to stop."""
    errors: list[Exception] = []

    def search() -> None:
        try:
            tuner.search(verbose=0)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=search, daemon=True)
    thread.start()
    while thread.is_alive():
        if stop.is_due:  # all that it knows is in the ledger
            raise TrainingStopped(exit_code=stop.exit_code)
        thread.join(POLL_SECONDS)
    if errors:
        raise TuningError(f"The chief cannot serve its workers: {errors[0]}") from errors[0]


def _oracle(folder: TuneFolder, search: Search) -> SearchOracle:
    config, space, settings = search.config, search.space, search.settings
    ledger = TrialLedger(folder.ledger)
    oracle = make_oracle(
        space,
        settings,
        objective=search.objective,
        epochs=config.fit.epochs,
        seed=config.fit.seed,
        initial_points=search.initial_points,
    )

    def leave(error: Exception) -> None:
        """Ends the chief, whose lock stays closed: its workers would wait for ever."""
        write_json(folder.fatal, {"kind": type(error).__name__, "message": str(error)})
        logger.error("%s", error)
        os._exit(1)

    def clean(oracle: Any) -> None:
        may_go_on = oracle.may_go_on() if isinstance(oracle, HyperbandOracle) else ()
        trials = ledger.trials()
        drop_weights(folder, trials, objective=search.objective, keep=settings.keep, may_go_on=may_go_on)

    oracle.prepare(
        space=space,
        baseline=values_of(config, space.names),
        ledger=ledger,
        most_trials=settings.most_trials,
        read_result=lambda number: read_json(result_file(folder.trial(number))),
        on_end=clean,
        on_error=leave if CHIEF in tuner_name() else None,
    )
    return oracle
