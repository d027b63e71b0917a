"""`make_tracking`: the trackers that a configuration names, for a prepared run."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from tf_finetune.backend import keras
from tf_finetune.config import Config
from tf_finetune.data import Splits
from tf_finetune.evaluation.predictor import make_forward, table_logits
from tf_finetune.run import ModelFolder
from tf_finetune.training.ledger import Ledger
from tf_finetune.training.prepared import Prepared
from tf_finetune.training.trackers.mlflow_run import MlflowRun
from tf_finetune.training.trackers.parameters import flat_parameters
from tf_finetune.training.trackers.tensorboard_logs import TensorBoardLogs
from tf_finetune.training.trackers.tracker import TrackedRun, Tracker
from tf_finetune.training.trackers.tracking import Tracking
from tf_finetune.training.trackers.wandb_run import WandbRun

__all__ = ["make_tracking"]

REMOTE: dict[str, Callable[[TrackedRun], Tracker]] = {"mlflow": MlflowRun, "wandb": WandbRun}
"""Those that may send what they get to another machine: they are given no texts."""


def make_tracking(
    folder: ModelFolder, config: Config, splits: Splits, prepared: Prepared, ledger: Ledger, *, group: str | None
) -> Tracking:
    """The callback that logs a run to its trackers; of several workers, the chief alone has any.

    Args:
        folder: The run's folder.
        config: The whole configuration.
        splits: The data.
        prepared: What is trained.
        ledger: Writes the epochs down.
        group: What the run is part of, such as a search.
    """
    run = TrackedRun(
        folder=folder,
        name=folder.name if group is None else f"{group}-{folder.name}",
        group=group,
        parameters=flat_parameters(config),
    )
    trackers: list[Tracker] = []
    for name in config.fit.tracker if prepared.workers.is_chief else ():
        if name in REMOTE:
            trackers.append(REMOTE[name](run))
        else:
            logits, rate = _validation_logits(config, prepared), functools.partial(_learning_rate, prepared)
            trackers.append(TensorBoardLogs(run, splits.validation, logits, rate, seed=config.fit.seed))
    return Tracking(trackers, folder.trackers, lambda: ledger.history)


def _validation_logits(config: Config, prepared: Prepared) -> Callable[[], np.ndarray]:
    """Gives the logits float32 `[n, labels]` of the validation rows.

    The graph is made now, outside of `fit`: inside of it new variables are shared by all workers, of which the others
    do not take part here.
    """
    forward = make_forward(prepared.model, prepared.spec, unpadded=prepared.encoder.unpadded)
    forward.function.get_concrete_function()
    return lambda: table_logits(forward, prepared.spec, prepared.validation, batch_size=config.fit.batch_size)


def _learning_rate(prepared: Prepared, epoch: int) -> float:
    """The learning rate at the end of an epoch, counted from 0."""
    optimizer = prepared.model.optimizer
    rate = getattr(optimizer, "_learning_rate", None)  # as `keras.callbacks.TensorBoard` looks for a schedule
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return float(rate(prepared.steps_per_epoch * (epoch + 1)))
    return float(optimizer.learning_rate)
