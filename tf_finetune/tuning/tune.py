"""`tune`: from a configuration to a better one, by keras-tuner's algorithms."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tf_finetune.config import RESUME_AUTO, Config
from tf_finetune.config.check import config_error
from tf_finetune.data import Splits
from tf_finetune.errors import ConfigError, FinetuneError, RunError, TrainingStopped, TuningError
from tf_finetune.model.checkpoint import Checkpoint
from tf_finetune.training.fit import output_folder
from tf_finetune.training.identity import describe_identity
from tf_finetune.training.inputs import check_checkpoint, describe_inputs, load_inputs
from tf_finetune.training.soundness import log_findings
from tf_finetune.training.stopping import StopRequest
from tf_finetune.tuning.conclude import Conclusion, conclude
from tf_finetune.tuning.default_space import default_space
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.ledger import TrialLedger
from tf_finetune.tuning.runner import TRIAL_COMMAND
from tf_finetune.tuning.search import Search
from tf_finetune.tuning.settings import TuneConfig
from tf_finetune.tuning.space import Space, read_space
from tf_finetune.tuning.trial import COMPLETED, FAILED, Trial
from tf_finetune.tuning.trial_config import with_values
from tf_finetune.tuning.watch import watching
from tf_finetune.tuning.work import ONLY, VARIABLES, tuner_name

__all__ = ["TuneResult", "tune"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TuneResult:
    """A search that is done.

    Attributes:
        folder: Where it lies.
        objective: The value that decided.
        trials: All trials, in the order in which they began.
        conclusion: The best one, and how sure it is better than the baseline.
        seconds: Wall time of this call.
    """

    folder: TuneFolder
    objective: str
    trials: tuple[Trial, ...]
    conclusion: Conclusion
    seconds: float

    @property
    def best(self) -> Trial:
        """The best trial."""
        return self.conclusion.best


def tune(
    config: Config,
    space: Space | Mapping[str, Any] | str | Path | None = None,
    *,
    settings: TuneConfig = TuneConfig(),  # noqa: B008
    progress: TextIO | None = None,
    command: Sequence[str] = TRIAL_COMMAND,
) -> TuneResult:
    """Searches for better values of a configuration; or goes on with a search that was stopped or killed.

    The first trial is the configuration as given. Each trial is a run as of `fit`, in a process of its own, without the
    test rows; all share the tokenized data and the validation rows.

    Args:
        config: The configuration. `run.output` says where to, `run.resume` whether to go on, `run.max_hours` when to
            stop; `fit.seed` seeds the trials and what the search draws.
        space: What to try: a space, its mapping, or the path of its file; a default one by default, or that of the
            search that is gone on with.
        settings: How to search.
        progress: Stream for a table of the trials that is kept up to date (or plain lines, if it is no terminal).
        command: Program that trains the trial of the folder that is its last argument.

    Raises:
        ConfigError: Configuration, space and settings do not go together, or are those of another search.
        DataError: The data cannot be used.
        ModelError: The checkpoint cannot be used.
        TokenizerError: Its tokenizer cannot be used.
        RunError: The folder holds another search, or one that is damaged, or another process searches there.
        TuningError: No trial was completed, or none could be.
        TrainingStopped: A signal or the time limit; the message says how to go on.
    """
    began = time.monotonic()
    if tuner_name() != ONLY and settings.workers > 1:
        raise ConfigError(f"--workers {settings.workers} does not go with {VARIABLES[0]}: each process is one part.")
    stop = StopRequest(config.run.max_hours)
    with stop.listening():
        folder = TuneFolder(output_folder(config))
        resumes = _goes_on(folder, config)
        if settings.objective is not None:
            config = with_values(config, {"fit.monitor": settings.objective})
        inputs = load_inputs(config)
        splits = dataclasses.replace(inputs.splits, test=None)
        _say(describe_inputs(dataclasses.replace(inputs, splits=splits)))
        log_findings(inputs.findings)
        search = _search(folder, config, space, settings, splits, inputs.checkpoint, resumes=resumes)
        with folder.locked() as lock:
            if resumes:
                search = _same(folder, search, config)
            elif folder.exists:  # another process was faster
                raise _occupied(folder)
            search.write(folder)
            with stop.waiting(), _saying_how_to_go_on(folder, stop), watching(folder, search, progress):
                _run(folder, search, stop=stop, lock=lock, command=command)
            trials = tuple(TrialLedger(folder.ledger).trials())
            conclusion = _conclude(folder, search, trials, splits)
    return TuneResult(folder, search.objective, trials, conclusion, time.monotonic() - began)


def _goes_on(folder: TuneFolder, config: Config) -> bool:
    if config.run.resume is None:
        if folder.exists:
            raise _occupied(folder)
        return False
    if config.run.resume != RESUME_AUTO and not folder.exists:
        raise RunError(f"--resume {config.run.resume}: {folder.model.path} holds no search. Give the folder of one.")
    return folder.exists


def _occupied(folder: TuneFolder) -> RunError:
    path = shlex.quote(str(folder.model.path))
    return RunError(
        f"{folder.path} holds a search, which is not overwritten. To go on with it: tf-finetune tune --resume {path}. "
        "Or give another --output."
    )


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        logger.info("%s", line)


def _search(
    folder: TuneFolder,
    config: Config,
    space: Space | Mapping[str, Any] | str | Path | None,
    settings: TuneConfig,
    splits: Splits,
    checkpoint: Checkpoint,
    *,
    resumes: bool,
) -> Search:
    """The search that the arguments ask for."""
    if isinstance(space, (str, Path)):
        space = read_space(Path(space))
    elif isinstance(space, Mapping):
        space = Space.from_dict(space)
    elif space is None and resumes:
        space = Search.read(folder).space
    elif space is None:
        space = default_space(config, checkpoint, algorithm=settings.algorithm, objective=config.fit.monitor)
    if config.fit.monitor == "val_loss" and "fit.label_smoothing" in space.names:
        raise ConfigError(
            "fit.label_smoothing cannot be searched with the objective val_loss: each smoothing has a loss of its own."
        )
    _check_values(config, space, checkpoint)
    return Search.new(config, space, settings, describe_identity(config, splits, checkpoint))


def _check_values(config: Config, space: Space, checkpoint: Checkpoint) -> None:
    """Refuses values that the model cannot have, before a trial has to find out."""
    faults = []
    for dimension in space.dimensions:
        for value in dimension.values or (dimension.low, dimension.high):
            with contextlib.suppress(ConfigError):  # what does not go with the other values may go with others
                changed = with_values(config, {dimension.name: value})
                try:
                    check_checkpoint(changed, checkpoint)
                except FinetuneError as error:
                    faults.append(f"{dimension.name}: {value}: {error}")
    if faults:
        raise config_error(faults)


def _same(folder: TuneFolder, search: Search, config: Config) -> Search:
    """The recorded search with a new budget.

    Raises:
        ConfigError: It would be another search.
        TuningError: Its trials could not be compared.
    """
    recorded = Search.read(folder)
    for line in recorded.check_same(search, force=config.run.force):
        logger.warning("not the same search to the last bit: %s", line)
    run = dataclasses.replace(recorded.config.run, force=config.run.force)
    config = dataclasses.replace(search.config, run=run)
    return dataclasses.replace(search, initial_points=recorded.initial_points, config=config)


def _run(folder: TuneFolder, search: Search, *, stop: StopRequest, lock: int | None, command: Sequence[str]) -> None:
    if search.settings.workers > 1:
        from tf_finetune.tuning.supervise import supervise

        supervise(folder, workers=search.settings.workers, stop=stop, lock=lock, command=command)
    else:
        from tf_finetune.tuning.take_part import take_part

        take_part(folder, search, stop=stop, lock=lock, command=command)


@contextlib.contextmanager
def _saying_how_to_go_on(folder: TuneFolder, stop: StopRequest) -> Iterator[None]:
    try:
        yield
    except TrainingStopped as stopped:
        reason = stop.reason or str(stopped) or "Interrupted"
        path = shlex.quote(str(folder.model.path))
        raise TrainingStopped(
            f"{reason}: the trials so far are saved.\nTo go on: tf-finetune tune --resume {path}",
            exit_code=stopped.exit_code,
        ) from None


def _conclude(folder: TuneFolder, search: Search, trials: Sequence[Trial], splits: Splits) -> Conclusion:
    completed = [trial for trial in trials if trial.status == COMPLETED]
    failed = [trial for trial in trials if trial.status == FAILED]
    if not completed:
        reasons = "\n  ".join(f"{trial.id}: {trial.reason}" for trial in failed)
        raise TuningError(f"No trial was completed, {len(failed)} failed:\n  {reasons}")
    return conclude(folder, search, trials, facts=dict(_facts(search, splits)))


def _facts(search: Search, splits: Splits) -> Iterator[tuple[str, str]]:
    yield "algorithm", search.settings.algorithm
    yield "objective", search.objective
    yield "pruning", search.settings.prune
    yield "seed", str(search.config.fit.seed)
    yield "model", search.config.model.model
    yield "data", ", ".join(search.config.data.data) or "embedded sample of reviews"
    yield "training rows", str(len(splits.train))
    yield "validation rows", str(len(splits.validation))
