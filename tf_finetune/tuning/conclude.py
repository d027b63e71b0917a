"""`conclude`: what a search has found, in numbers, as a configuration, as a table and as a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tf_finetune.config import write_config
from tf_finetune.errors import RunError, TuningError
from tf_finetune.evaluation.bootstrap import Interval, paired_bootstrap
from tf_finetune.evaluation.logits import read_logits
from tf_finetune.files import write_text
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.objective import baseline_trial, best_trial
from tf_finetune.tuning.report.html import write_report
from tf_finetune.tuning.report.importance import Importance, importances
from tf_finetune.tuning.report.table import trials_csv
from tf_finetune.tuning.search import Search
from tf_finetune.tuning.trial import COMPLETED, Trial
from tf_finetune.tuning.trial_config import with_values

__all__ = ["Conclusion", "conclude"]


@dataclass(frozen=True)
class Conclusion:
    """What a search has found.

    Attributes:
        best: The best trial.
        baseline: The trial of the configuration as given, if it was completed.
        difference: By how much the best is better on the validation rows; None if there is no baseline, or it is the
            best itself.
        importance: How much each hyperparameter mattered.
    """

    best: Trial
    baseline: Trial | None
    difference: Interval | None
    importance: Importance


def conclude(folder: TuneFolder, search: Search, trials: Sequence[Trial], *, facts: Mapping[str, str]) -> Conclusion:
    """Compares the best trial with the baseline, and writes `best.yaml`, `trials.csv` and `report.html`.

    Args:
        folder: The search's folder.
        search: What was searched.
        trials: All trials.
        facts: What else the report is to say of the search.

    Raises:
        TuningError: No trial was completed.
    """
    best = best_trial(trials, search.objective)
    if best is None:
        raise TuningError("No trial was completed.")
    baseline = baseline_trial(trials)
    baseline = baseline if baseline is not None and baseline.status == COMPLETED else None
    difference = None
    if baseline is not None and baseline.id != best.id:
        difference = _difference(folder, baseline, best, metric=search.objective.removeprefix("val_"))
    found = Conclusion(best, baseline, difference, importances(trials, objective=search.objective))
    config = with_values(search.config, best.values)
    output = str(folder.model.path)
    run = dataclasses.replace(config.run, output=output, resume=None, overwrite=False, force=False, max_hours=None)
    write_text(folder.best, write_config(dataclasses.replace(config, run=run)))
    write_text(folder.table, trials_csv(trials, search.objective))
    write_report(
        folder.report,
        title=folder.model.name,
        objective=search.objective,
        trials=trials,
        comparison=difference,
        importance=found.importance,
        facts=facts,
    )
    return found


def _difference(folder: TuneFolder, baseline: Trial, best: Trial, *, metric: str) -> Interval:
    labels, first = read_logits(folder.trial(baseline.id).validation_logits)
    others, second = read_logits(folder.trial(best.id).validation_logits)
    if not (labels.shape == others.shape and bool((labels == others).all())):
        raise RunError(f"The trials {baseline.id} and {best.id} were scored on other validation rows.")
    return paired_bootstrap(labels, first, second, metric=metric)
