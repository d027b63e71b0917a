"""`TrialTuner`: keras-tuner's loop over our trials. Numbers and paths cross its border, nothing of Keras."""

from __future__ import annotations

import math
import time
from typing import Any

from tf_finetune.errors import FinetuneError, TrainingStopped
from tf_finetune.model.trained import load_run
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.keras_tuner import load_keras_tuner
from tf_finetune.tuning.ledger import BEGIN, TrialLedger
from tf_finetune.tuning.oracles import SearchOracle
from tf_finetune.tuning.runner import TrialRunner

__all__ = ["Leave", "TrialTuner"]

kt: Any = load_keras_tuner()

PAUSE_SECONDS = 0.2
"""Between two questions for a trial, while there is none to be had yet."""


class Leave(kt.errors.FatalError):  # type: ignore[misc]
    """Ends keras-tuner's loop, which takes every other exception for a trial that failed.

    Attributes:
        reason: The error to be raised outside of it.
    """

    def __init__(self, reason: FinetuneError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class TrialTuner(kt.Tuner):  # type: ignore[misc]
    """Asks an oracle for trials and has them trained.

    Args:
        oracle: From `make_oracle`.
        folder: The search's folder.
        runner: What trains a trial.
        name: Who asks, as keras-tuner names it.
    """

    def __init__(self, oracle: SearchOracle, folder: TuneFolder, runner: TrialRunner, *, name: str) -> None:
        super().__init__(oracle=oracle, directory=str(folder.keras_tuner), project_name=name, overwrite=True)
        self.folder, self.runner = folder, runner
        self._asked = 0.0

    def run_trial(self, trial: Any, **_: Any) -> dict[str, float]:
        """Trains a trial, or goes on with it; keras-tuner calls this. The score of one that failed is NaN.

        The values are those of the ledger, since numbers lose digits on the way to a worker.
        """
        number = trial.trial_id
        events = TrialLedger(self.folder.ledger).events()
        values = next(e["values"] for e in events if e["event"] == BEGIN and e["trial"] == number)
        try:
            result = self.runner.run(number, values)
        except FinetuneError as error:
            raise Leave(error) from error
        return {self.runner.objective: math.nan if result["score"] is None else float(result["score"])}

    def pre_create_trial(self) -> None:
        """Waits a little between two questions, and leaves if it was asked to stop: nothing else asks meanwhile."""
        if self.runner.stop.is_due:
            raise Leave(TrainingStopped(exit_code=self.runner.stop.exit_code))
        time.sleep(max(0.0, self._asked + PAUSE_SECONDS - time.monotonic()))
        self._asked = time.monotonic()

    def load_model(self, trial: Any) -> Any:
        """The model of a trial whose weights were kept."""
        return load_run(self.folder.trial(trial.trial_id)).model
