"""`train`: Keras' own fit over our datasets, with the checks that should come before it."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

from tf_finetune.backend import keras
from tf_finetune.config import FitConfig
from tf_finetune.errors import LossError
from tf_finetune.model.compile import check_compiled
from tf_finetune.model.loss import refuse_keras3
from tf_finetune.training.ledger import Ledger
from tf_finetune.training.workers import Workers

__all__ = ["train"]

logger = logging.getLogger(__name__)


def train(
    model: Any,
    dataset: Any,
    *,
    validation_data: Any,
    epochs: int,
    steps_per_epoch: int,
    monitor: str = FitConfig.monitor,
    patience: int | None = None,
    class_weight: dict[int, float] | None = None,
    callbacks: Sequence[Any] = (),
    ledger: Ledger | None = None,
    begun_epoch: Any = None,
    workers: Workers | None = None,
) -> dict[str, list[float]]:
    """Trains a compiled model with `model.fit` and leaves it with the weights of the best epoch.

    Args:
        model: A compiled Keras model.
        dataset: Batches of all epochs that are still to be trained from their beginning, from `make_dataset`.
        validation_data: Batches of the validation rows.
        epochs: Passes over the training data.
        steps_per_epoch: Batches a pass.
        monitor: ``val_loss``, ``val_accuracy`` or another value of the history; picks the best epoch.
        patience: Stop after this many epochs without a better value.
        class_weight: Class index to weight in the loss.
        callbacks: Keras callbacks of your own.
        ledger: What writes the epochs down, with `monitor` and `patience` of its own, if you want to look at it
            afterwards; its epochs count as done.
        begun_epoch: Batches that are left of an epoch that was begun before, to be trained first.
        workers: Who trains together; the datasets hold this process' share.

    Returns:
        The values of all epochs, as in the `history` of a Keras `History`.

    Raises:
        LossError: The model's outputs and the loss do not agree, something is from Keras 3, or a dataset's cardinality
            does not fit `epochs` and `steps_per_epoch` (`fit` would count a step too many), or the loss became NaN
            before the end of the first epoch.
    """
    refuse_keras3(callbacks=list(callbacks))
    ledger = ledger or Ledger(monitor, patience=patience)
    ledger.set_model(model)  # for `restore`, if there is nothing left to train
    first = len(ledger.history)
    whole = epochs - first - (begun_epoch is not None)
    workers = workers or Workers(None, None)
    _check_cardinality(workers.batches(dataset), whole * steps_per_epoch, "epochs * steps_per_epoch")
    settings = {
        "validation_data": workers.distribute(validation_data),
        "validation_steps": workers.batches(validation_data),
        "class_weight": class_weight if workers.share is None else None,
        "callbacks": [ledger, keras.callbacks.TerminateOnNaN(), *callbacks],
        "verbose": 0,
    }
    for inputs, _ in (begun_epoch or dataset).take(1):
        check_compiled(model, inputs)
    over = ledger.is_over
    if begun_epoch is not None:
        left = workers.batches(begun_epoch)
        if not 0 < left < steps_per_epoch:
            raise LossError(f"A begun epoch must have between 1 and {steps_per_epoch - 1} batches left. It has {left}.")
        model.fit(
            workers.distribute(begun_epoch, class_weight),
            initial_epoch=first,
            epochs=first + 1,
            steps_per_epoch=left,
            **settings,
        )
        first, over = first + 1, model.stop_training
    if whole and not over:
        data = workers.distribute(dataset, class_weight)
        model.fit(data, initial_epoch=first, epochs=epochs, steps_per_epoch=steps_per_epoch, **settings)
    _check_finite(ledger)
    ledger.restore()
    return ledger.columns


def _check_cardinality(found: int, expected: int, words: str) -> None:
    if found != expected:
        raise LossError(
            f"The dataset must hold {words} = {expected} batches. Its cardinality is {found}"
            + (" (unknown)." if found < 0 else ".")
        )


def _check_finite(ledger: Ledger) -> None:
    """Training stops when the loss is no number any more: says so, or fails if no epoch was sound."""
    loss = ledger.history[-1]["loss"]
    if math.isfinite(loss):
        return
    advice = "Lower the learning rate (--learning-rate), warm up longer (--warmup-ratio), or clip (--clip-norm)."
    if not ledger.best_epoch:
        raise LossError(f"The loss became {loss} in the first epoch; there are no sound weights. {advice}")
    logger.warning(
        "the loss became %s in epoch %d; the weights of epoch %d are kept. %s",
        loss,
        len(ledger.history),
        ledger.best_epoch,
        advice,
    )
