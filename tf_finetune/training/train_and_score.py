"""`train_and_score`: from a prepared run to saved weights and their scores; begun, or gone on with."""

from __future__ import annotations

import dataclasses
import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from tf_finetune.backend import error_words, keras, tf
from tf_finetune.config import Config
from tf_finetune.config.save_every import parse_save_every
from tf_finetune.data import Splits
from tf_finetune.errors import LossError, RunError, TrainingStopped
from tf_finetune.run import ModelFolder
from tf_finetune.training.checkpoints.callback import Checkpointing, StopTraining
from tf_finetune.training.checkpoints.record import Record
from tf_finetune.training.checkpoints.state import TrainingState
from tf_finetune.training.checkpoints.store import CheckpointStore
from tf_finetune.training.ledger import Ledger
from tf_finetune.training.prepared import Prepared
from tf_finetune.training.progress import Progress
from tf_finetune.training.score_run import save_and_score, save_model
from tf_finetune.training.stopping import INTERRUPTED, StopRequest
from tf_finetune.training.trackers.make import make_tracking
from tf_finetune.training.trackers.tracking import Tracking
from tf_finetune.training.train import train

__all__ = ["Trained", "train_and_score"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """What training gave.

    Attributes:
        best_epoch: Epoch of the weights kept, from 1.
        record: How far the run has come.
        optimizer_sha256: SHA-256 over the optimizer's variables after the last update.
    """

    best_epoch: int
    record: Record
    optimizer_sha256: str


def train_and_score(
    folder: ModelFolder,
    config: Config,
    splits: Splits,
    prepared: Prepared,
    *,
    stop: StopRequest,
    resumes: bool = False,
    forced: tuple[str, ...] = (),
    progress: TextIO | None = None,
    stops: Callable[[Sequence[Mapping[str, float]]], bool] | None = None,
    keeps_checkpoints: bool = False,
    group: str | None = None,
) -> Trained:
    """Trains, saves the weights of the best epoch, and scores them.

    Args:
        folder: Where to; locked by the caller.
        config: The whole configuration.
        splits: The data.
        prepared: What training needs.
        stop: Whether to stop.
        resumes: Whether to go on from the folder's newest checkpoint.
        forced: What differs from the run that is gone on with, a line each.
        progress: As for `fit`.
        stops: As for `fit`.
        keeps_checkpoints: Whether the last epoch must have a checkpoint, whatever it costs.
        group: As for `fit`.

    Raises:
        LossError: The loss is no number in the first epoch.
        RunError: A checkpoint cannot be written, or none can be read, or another worker is gone; or the run begins, and
            a tracker cannot be reached.
        TrainingStopped: It was asked to stop.
    """
    state = TrainingState(prepared.model, prepared.dropout)
    path = folder.history if prepared.workers.is_chief else None
    policy = parse_save_every(config.run.save_every)
    if keeps_checkpoints:
        policy = dataclasses.replace(policy, epochs=True, share=None)
    ledger = Ledger(config.fit.monitor, patience=config.fit.patience, path=path, stops=stops)
    saving = Checkpointing(
        CheckpointStore(folder.checkpoints),
        state,
        ledger,
        policy=policy,
        stop=stop,
        record=Record(step=0, steps_per_epoch=prepared.steps_per_epoch),
        workers=prepared.workers,
    )
    tracking = make_tracking(folder, config, splits, prepared, ledger, group=group)
    with tracking.running(goes_on=resumes):
        _train_to_the_end(folder, config, prepared, saving, tracking, resumes=resumes, forced=forced, progress=progress)
        optimizer_sha256 = state.optimizer_sha256()
        try:
            if prepared.workers.is_chief:
                tracking.log_scores(ledger.best_epoch - 1, save_and_score(folder, config, splits, prepared))
        except KeyboardInterrupt:
            saving.save()  # the weights are those of the best epoch now, as they would be when it is gone on with
            raise _stopped(folder, config, prepared, saving) from None
    return Trained(ledger.best_epoch, saving.record, optimizer_sha256)


def _train_to_the_end(
    folder: ModelFolder,
    config: Config,
    prepared: Prepared,
    saving: Checkpointing,
    tracking: Tracking,
    *,
    resumes: bool,
    forced: tuple[str, ...],
    progress: TextIO | None,
) -> None:
    """Trains, from the newest checkpoint if the run is gone on with, or says how to go on if it is to stop."""
    stop = saving.stop
    try:
        with stop.waiting():
            if resumes:
                _go_on(config, prepared, saving, tracking, forced)
            _train(config, prepared, saving, tracking, progress)
            if stop.is_due and prepared.workers.cluster is None:  # asked after the last callback
                saving.save()
                raise StopTraining
    except (StopTraining, KeyboardInterrupt):
        raise _stopped(folder, config, prepared, saving) from None
    except tf.errors.OpError as error:
        if prepared.workers.cluster is None:
            raise
        raise RunError(
            f"Another worker is gone, or cannot be reached: {error_words(error)}\n{folder.how_to_go_on}"
        ) from error


def _go_on(
    config: Config, prepared: Prepared, saving: Checkpointing, tracking: Tracking, forced: tuple[str, ...]
) -> None:
    """Takes over the newest checkpoint, and validates the epoch that was trained last if that is due."""
    model = prepared.model
    validation = prepared.validation_dataset(config)
    workers = prepared.workers
    saving.ledger.set_model(model)  # for `restore`, if the validation is stopped
    model.evaluate(workers.distribute(validation), steps=1, verbose=0)  # makes the metrics, moves nothing else
    saving.go_on(saving.store.load(saving.state.variables(), weights=len(model.weights)), forced=forced)
    record = saving.record
    updates = config.fit.epochs * record.steps_per_epoch
    if record.step > updates:
        raise RunError(f"The run has come to update {record.step}, and --epochs {config.fit.epochs} ends at {updates}.")
    logger.info("going on after update %d of %d", record.step, updates)
    if record.unvalidated is not None:
        steps, data = workers.batches(validation), workers.distribute(validation)
        found = model.evaluate(data, steps=steps, verbose=0, return_dict=True, callbacks=[saving])
        values = {**record.unvalidated, **{f"val_{name}": value for name, value in found.items()}}
        for callback in (saving.ledger, saving, tracking):
            callback.on_epoch_end(len(record.history), values)


def _train(
    config: Config, prepared: Prepared, saving: Checkpointing, tracking: Tracking, progress: TextIO | None
) -> None:
    """Trains from where the run is, and leaves the model with the weights of the best epoch."""
    record, steps = saving.record, prepared.steps_per_epoch
    whole = len(record.history)  # epochs
    begun = record.step % steps != 0
    callbacks: list[Any] = [saving, tracking]
    if progress is not None:
        callbacks.append(Progress(progress))  # last: a terminal that is gone must not keep an update from being saved
    train(
        prepared.model,
        prepared.training_dataset(config, start=(whole + begun) * steps),
        validation_data=prepared.validation_dataset(config),
        epochs=config.fit.epochs,
        steps_per_epoch=steps,
        class_weight=prepared.class_weight,
        callbacks=callbacks,
        workers=prepared.workers,
        ledger=saving.ledger,
        begun_epoch=prepared.training_dataset(config, start=record.step, epochs=whole + 1) if begun else None,
    )
    _check_updates(prepared.model.optimizer, saving.record.step)


def _check_updates(optimizer: Any, steps: int) -> None:
    """The optimizer must have counted every update, or the schedule is off; with float16 it may leave some out."""
    counted = int(optimizer.iterations.numpy())
    if counted != steps and not isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer):
        raise LossError(f"The optimizer has counted {counted} updates in {steps} steps; the schedule would be off.")


def _stopped(folder: ModelFolder, config: Config, prepared: Prepared, saving: Checkpointing) -> TrainingStopped:
    """Says how to go on; after Ctrl-C, the best weights so far are there to be used, too."""
    record, stop, best = saving.record, saving.stop, saving.ledger.best_epoch
    words = [
        f"{stop.reason or 'Interrupted'} after update {record.step} of {config.fit.epochs * record.steps_per_epoch}."
    ]
    if folder.before.exists():
        words.append(f"The former run is in {folder.before}.")
    by_hand = stop.exit_code == INTERRUPTED and prepared.workers.is_chief
    if best and by_hand:
        saving.ledger.restore()
        save_model(folder, prepared)
        words.append(f"The weights of epoch {best} are in {folder.model}; they load with from_pretrained.")
    words.append(folder.how_to_go_on)
    if best and by_hand:
        start = f"tf-finetune fit --config {shlex.quote(str(folder.config))}"
        path, new = shlex.quote(str(folder.path)), shlex.quote(f"{folder.path}-2")
        words.append(f"To train on from these weights in a new run: {start} --model {path} --output {new}")
    return TrainingStopped("\n".join(words), exit_code=stop.exit_code)
