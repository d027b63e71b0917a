"""`drop_weights`: keeps the weights of the best trials alone, and what other trials may go on from."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence

from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.objective import direction, scored_trials
from tf_finetune.tuning.trial import RUNNING, Trial

__all__ = ["drop_weights"]


def drop_weights(
    folder: TuneFolder, trials: Sequence[Trial], *, objective: str, keep: int, may_go_on: Collection[str] = ()
) -> None:
    """Removes the weights of all ended trials but those of the best ones and of the baseline.

    Args:
        folder: The search's folder.
        trials: All trials.
        objective: The value that decides.
        keep: How many of the best to keep.
        may_go_on: Numbers of trials whose checkpoints others may need.
    """
    sign = -1 if direction(objective) == "max" else 1
    ranked = sorted(scored_trials(trials), key=lambda pair: sign * pair[1])  # stable: of equals the earlier
    kept = {trial.id for trial, _ in ranked[:keep]} | {trial.id for trial in trials if trial.is_baseline}
    for trial in trials:
        run = folder.trial(trial.id)
        if trial.status == RUNNING:
            continue
        if trial.id not in kept:
            shutil.rmtree(run.model, ignore_errors=True)
        if trial.id not in may_go_on:
            shutil.rmtree(run.checkpoints, ignore_errors=True)
