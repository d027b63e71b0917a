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
from tf_finetune.training.callbacks import KeepBest

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
    keep_best: KeepBest | None = None,
) -> Any:
    """Trains a compiled model with `model.fit` and leaves it with the weights of the best epoch.

    Args:
        model: A compiled Keras model.
        dataset: Batches of all epochs, from `make_dataset(..., epochs=epochs)`.
        validation_data: Batches of the validation rows.
        epochs: Passes over the training data.
        steps_per_epoch: Batches a pass.
        monitor: ``val_loss`` or ``val_accuracy``; picks the best epoch.
        patience: Stop after this many epochs without a better value.
        class_weight: Class index to weight in the loss.
        callbacks: Keras callbacks of your own.
        keep_best: The callback that keeps the best weights, if you want to look at it afterwards.

    Returns:
        The `History` of `model.fit`.

    Raises:
        LossError: The model's outputs and the loss do not agree, something is from Keras 3, or the dataset's
            cardinality is not `epochs * steps_per_epoch` (`fit` would count a step too many), or the loss became NaN
            before the end of the first epoch.
    """
    refuse_keras3(callbacks=list(callbacks))
    expected, found = epochs * steps_per_epoch, int(dataset.cardinality())
    if found != expected:
        raise LossError(
            f"The dataset must hold epochs * steps_per_epoch = {expected} batches. Its cardinality is {found}"
            + (" (unknown)." if found < 0 else ".")
        )
    for inputs, _ in dataset.take(1):
        check_compiled(model, inputs)
    keep_best = keep_best or KeepBest(monitor)
    stopping = [keras.callbacks.EarlyStopping(monitor, patience=patience)] if patience else []
    history = model.fit(
        dataset,
        validation_data=validation_data,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        class_weight=class_weight,
        callbacks=[keep_best, keras.callbacks.TerminateOnNaN(), *stopping, *callbacks],
        verbose=0,
    )
    _check_finite(history.history["loss"], keep_best)
    keep_best.restore()
    return history


def _check_finite(losses: list[float], keep_best: KeepBest) -> None:
    """Training stops when the loss is no number any more: says so, or fails if no epoch was sound."""
    if math.isfinite(losses[-1]):
        return
    advice = "Lower the learning rate (--learning-rate), warm up longer (--warmup-ratio), or clip (--clip-norm)."
    if not keep_best.best_epoch:
        raise LossError(f"The loss became {losses[-1]} in the first epoch; there are no sound weights. {advice}")
    logger.warning(
        "the loss became %s in epoch %d; the weights of epoch %d are kept. %s",
        losses[-1],
        len(losses),
        keep_best.best_epoch,
        advice,
    )
