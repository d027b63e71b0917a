"""`refit`: trains the best values of a search again, into a run as any other, and with other seeds to see chance."""

from __future__ import annotations

import dataclasses
import logging
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tf_finetune.config import RESUME_AUTO, Config, resolve_config
from tf_finetune.errors import RunError, TrainingStopped, TuningError
from tf_finetune.evaluation.metrics import Scores
from tf_finetune.files import read_json, write_json
from tf_finetune.run import ModelFolder
from tf_finetune.training.fit import fit
from tf_finetune.training.inputs import load_inputs
from tf_finetune.tuning.assignment import read_history
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.ledger import TrialLedger
from tf_finetune.tuning.objective import best_trial
from tf_finetune.tuning.search import Search
from tf_finetune.tuning.trial import Trial

__all__ = ["Refit", "RefitRun", "refit"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RefitRun:
    """The best values, trained with one seed.

    Attributes:
        seed: The seed of order, new weights and dropout; the validation rows are those of the search.
        run: The model folder.
        scores: Scores on the validation rows.
        test_scores: Scores on the test rows, if there are any.
    """

    seed: int
    run: ModelFolder
    scores: Scores
    test_scores: Scores | None


@dataclass(frozen=True)
class Refit:
    """The best values, trained again.

    Attributes:
        trial: The trial that they are from.
        runs: One for each seed, that of the search first; it is the model.
        score: The objective of the first one at the trial's best epoch.
        export: The first one's SavedModel, if it was exported.
    """

    trial: Trial
    runs: tuple[RefitRun, ...]
    score: float
    export: Path | None

    @property
    def is_reproduced(self) -> bool:
        """Whether the trial's score came again, to the last bit."""
        return self.score == self.trial.score

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "trial": self.trial.id,
            "trial_score": self.trial.score,
            "score": self.score,
            "reproduced": self.is_reproduced,
            "export": None if self.export is None else str(self.export),
            "runs": [
                {
                    "seed": run.seed,
                    "run": str(run.run.path),
                    "validation": run.scores.to_dict(),
                    "test": None if run.test_scores is None else run.test_scores.to_dict(),
                }
                for run in self.runs
            ],
        }


def refit(
    folder: ModelFolder | str | Path, *, seeds: int = 1, overwrite: bool = False, progress: TextIO | None = None
) -> Refit:
    """Trains the best values of a search as its configuration says, test rows and export included.

    The run is that of the model folder. With more seeds, those after the search's own are trained as well, into
    `tune/refit/`, on the same validation rows and without export: they tell how much of a score is chance. What was
    stopped is gone on with when the same call is made again, and what is there is not trained twice.

    Args:
        folder: The model folder of the search.
        seeds: How many seeds.
        overwrite: Whether a run of the model folder that is no refit of this search may be replaced.
        progress: As for `fit`.

    Raises:
        RunError: There is no search, or the model folder holds another run.
        TuningError: No trial was completed.
        TrainingStopped: It was asked to stop; the same call goes on.
    """
    tune = TuneFolder(folder if isinstance(folder, ModelFolder) else ModelFolder(Path(folder)))
    search = Search.read(tune)
    best = best_trial(TrialLedger(tune.ledger).trials(), search.objective)
    if best is None or not tune.best.is_file():
        raise TuningError(f"The search in {tune.path} has no completed trial to train again. Go on with it first.")
    config = resolve_config(file=tune.best)
    is_drawn = load_inputs(config).splits.is_drawn
    runs: list[RefitRun] = []
    for seed in range(config.fit.seed, config.fit.seed + seeds):
        changed = config if not runs else _with_seed(config, seed, tune.refit(seed), keeps_split=is_drawn)
        logger.info("refit of trial %s with seed %d: %s", best.id, seed, changed.run.output)
        try:
            group = tune.model.name if runs else None
            runs.append(_train(changed, overwrite=overwrite and not runs, progress=progress, group=group))
        except TrainingStopped as stopped:
            path = shlex.quote(str(tune.model.path))
            again = f"tf-finetune tune --resume {path} --refit --seeds {seeds}"
            raise TrainingStopped(f"{stopped}\nTo go on with the refit: {again}", exit_code=stopped.exit_code) from None
    history = read_history(runs[0].run)[: best.epochs]  # a trial that was stopped early has seen no more epochs
    score = history[best.best_epoch - 1][search.objective]
    versions = tune.model.versions()
    export = tune.model.path / str(versions[-1]) if config.export.export and versions else None
    found = Refit(best, tuple(runs), score, export)
    write_json(tune.path / "refit.json", found.to_dict())
    return found


def _with_seed(config: Config, seed: int, output: ModelFolder, *, keeps_split: bool) -> Config:
    data = dataclasses.replace(config.data, split_seed=config.fit.seed) if keeps_split else config.data
    return dataclasses.replace(
        config,
        data=config.data if config.data.split_seed is not None else data,
        fit=dataclasses.replace(config.fit, seed=seed),
        run=dataclasses.replace(config.run, output=str(output.path)),
        export=dataclasses.replace(config.export, export=False),
    )


def _train(config: Config, *, overwrite: bool, progress: TextIO | None, group: str | None) -> RefitRun:
    """Trains, goes on with what was begun, or takes what is there if it is the same."""
    folder = ModelFolder(Path(str(config.run.output)))
    is_same = folder.config.is_file() and _same_training(resolve_config(file=folder.config), config)
    if folder.run.exists() and not is_same and not overwrite:
        raise RunError(
            f"{folder.path} holds another run, which is not overwritten. Give --overwrite to replace it (its exports "
            "stay)."
        )
    if not (is_same and folder.is_complete):
        resume = RESUME_AUTO if is_same else None
        run = dataclasses.replace(config.run, resume=resume, overwrite=overwrite and not is_same)
        fit(dataclasses.replace(config, run=run), progress=progress, group=group)
    scores = {name: Scores.from_dict(values) for name, values in read_json(folder.metrics).items()}
    return RefitRun(config.fit.seed, folder, scores["validation"], scores.get("test"))


def _same_training(one: Config, other: Config) -> bool:
    sections = ("data", "tokens", "model", "fit")
    return all(getattr(one, name) == getattr(other, name) for name in sections)
