"""`TrialRunner`: trains a trial in a process of its own, and finds out what came of it."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tf_finetune.config import Config, write_config
from tf_finetune.errors import ConfigError, TrainingStopped, TuningError
from tf_finetune.files import read_json, staging_folder, write_json, write_text
from tf_finetune.run import ModelFolder
from tf_finetune.training.stopping import StopRequest
from tf_finetune.tuning.assignment import Assignment, failure, result_file, result_of
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.ledger import INTERNAL
from tf_finetune.tuning.trial_config import trial_config
from tf_finetune.tuning.trial_process import PRUNED

__all__ = ["TRIAL_COMMAND", "TrialRunner"]

logger = logging.getLogger(__name__)

TRIAL_COMMAND = (sys.executable, "-m", "tf_finetune.tuning.trial_process")
"""Program that trains the trial of the folder that is its argument."""

MISTAKES = {"DataError", "DependencyError", "RunError", "TokenizerError"}
"""Errors that no other values would mend: the search ends."""

MISTAKES_OF_BASELINE = {"ConfigError", "ModelError"}
"""Errors that other values may mend, unless the configuration as given has them."""

POLL_SECONDS = 0.05
GRACE_SECONDS = 120.0
"""What a trial has to save in when it is to stop."""


class TrialRunner:
    """Trains trials, one at a time, each in a process of its own, so that nothing of it stays in memory.

    Args:
        folder: The search's folder.
        config: The configuration as given.
        objective: The value that decides.
        stop: Whether to stop.
        prune: Whether trials stop where others were better.
        lock: Descriptor of the search's lock, which the trial's process inherits.
        command: Program that trains the trial of the folder that is its last argument.
    """

    def __init__(
        self,
        folder: TuneFolder,
        config: Config,
        *,
        objective: str,
        stop: StopRequest,
        prune: bool = False,
        lock: int | None = None,
        command: Sequence[str] = TRIAL_COMMAND,
    ) -> None:
        self.folder, self.config, self.objective, self.stop = folder, config, objective, stop
        self.prune, self.lock, self.command = prune, lock, tuple(command)

    def run(self, number: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Trains a trial, or goes on with it if it was begun; writes what came of it.

        Args:
            number: The trial.
            values: Its values by dotted name, and what hyperband adds.

        Returns:
            The fields of a `Trial` that say what came of it.

        Raises:
            TuningError: The data or the configuration is at fault, and no trial would do better.
            TrainingStopped: It was asked to stop; the trial is saved.
        """
        trial = self.folder.trial(number)
        path = result_file(trial)
        if path.is_file():  # whoever has run it was killed before it could tell
            return read_json(path)
        result = self._result(number, trial, values)
        trial.path.mkdir(parents=True, exist_ok=True)  # there is none if its values do not go together
        write_json(path, result)
        return result

    def _result(self, number: str, trial: ModelFolder, values: Mapping[str, Any]) -> dict[str, Any]:
        own = {name: value for name, value in values.items() if not name.startswith(INTERNAL)}
        try:
            config = trial_config(self.config, own, output=str(trial.path))
        except ConfigError as error:
            return failure(f"These values do not go together: {error}", seconds=0.0)
        last_epoch = values.get(f"{INTERNAL}epochs")
        assignment = Assignment(
            config.to_dict(),
            self.objective,
            last_epoch=last_epoch,
            prune=self.prune and bool(number.strip("0")),  # the baseline is what all are compared with
            keeps_checkpoints=last_epoch is not None and last_epoch < config.fit.epochs,
        )
        parent = values.get(f"{INTERNAL}trial_id")
        if parent is not None and not trial.path.exists():
            self._take_over(self.folder.trial(parent), trial, config)
        began = time.monotonic()
        if not trial.is_complete:
            assignment.write(trial)
            found = self._train(number, trial)
            if found is not None:
                return failure(found, seconds=time.monotonic() - began)
        seconds = time.monotonic() - began
        return result_of(trial, assignment, pruned=(trial.path / PRUNED).is_file(), seconds=seconds)

    def _take_over(self, parent: ModelFolder, trial: ModelFolder, config: Config) -> None:
        """Copies what a trial goes on from: weights, optimizer, dropout, history and step of its parent."""
        if not parent.checkpoints.is_dir():
            raise TuningError(f"Trial {trial.name} is to go on from {parent.path}, which holds no checkpoint any more.")
        results = (parent.complete.name, parent.model.name, parent.metrics.name, parent.validation_logits.name)
        watched = (parent.logs.name, parent.trackers.name)  # a trial has runs of its own at its trackers
        with staging_folder(trial.path.parent, trial.name) as staging:
            shutil.copytree(parent.run, staging / trial.run.name, ignore=shutil.ignore_patterns(*results, *watched))
            run = dataclasses.replace(config.run, resume=None, force=False)
            write_text(staging / trial.run.name / trial.config.name, write_config(dataclasses.replace(config, run=run)))
            staging.rename(trial.path)

    def _train(self, number: str, trial: ModelFolder) -> str | None:
        """Runs the trial's process; None if it went well, else why it failed."""
        error = trial.path / "error.json"
        error.unlink(missing_ok=True)
        with open(trial.path / "log.txt", "ab") as log:
            process = subprocess.Popen(
                [*self.command, str(trial.path)],
                stdin=subprocess.PIPE,  # held open: its end tells the trial that nobody waits for it
                stdout=log,
                stderr=log,
                pass_fds=() if self.lock is None else (self.lock,),
                start_new_session=True,  # Ctrl-C on the terminal comes to us alone, and is passed on once
            )
            code = self._wait(process)
        if code == 0 and trial.is_complete:
            return None
        if self.stop.is_due:
            raise TrainingStopped(exit_code=self.stop.exit_code)
        return self._why(number, code, error)

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        """Waits for the trial's process, and passes on that it is to stop."""
        deadline = None
        try:
            while process.poll() is None:
                if self.stop.is_due and deadline is None:
                    process.send_signal(signal.SIGTERM)
                    deadline = time.monotonic() + GRACE_SECONDS
                if deadline is not None and time.monotonic() > deadline:
                    process.kill()
                time.sleep(POLL_SECONDS)
        finally:
            if process.stdin is not None:
                process.stdin.close()
        return process.returncode

    def _why(self, number: str, code: int, error: Path) -> str:
        """Why a trial has failed, in words.

        Raises:
            TuningError: Other values would not mend it.
        """
        log = error.with_name("log.txt")
        if code == -signal.SIGKILL:
            return "It was killed by the system, as a rule for lack of memory (a smaller batch or length needs less)."
        if code < 0:
            return f"Its process was ended by {signal.Signals(-code).name}. See {log}."
        if not error.is_file():
            return f"Its process ended with exit code {code}. See {log}."
        found = read_json(error)
        kind, message = str(found.get("kind")), str(found.get("message"))
        if kind in MISTAKES or (kind in MISTAKES_OF_BASELINE and not number.strip("0")):
            raise TuningError(f"Trial {number} cannot be trained, nor could any other: {message}\nSee {log}.")
        if kind == "ResourceExhaustedError":
            return f"Out of memory: {message}"
        return message
