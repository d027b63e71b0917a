"""`train_trial`: Keras' own fit for one trial, which is saved after each epoch and can be gone on with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_finetune.backend import keras
from tf_finetune.errors import ConfigError, DataError
from tf_finetune.tuning.keras_models.callbacks import TrialCallbacks
from tf_finetune.tuning.keras_models.data import check_length
from tf_finetune.tuning.keras_models.state import TrialRecord, TrialState

__all__ = ["best_epoch", "train_trial"]


def train_trial(
    fit: Callable[..., Any],
    state: TrialState,
    record: TrialRecord,
    *,
    x: Any,
    epochs: int,
    steps_per_epoch: int | None,
    callbacks: Sequence[Any],
    objective: Any,
    seed: int,
    verbose: int,
    **settings: Any,
) -> None:
    """Trains the epochs that are left, and saves each.

    Without `steps_per_epoch` each epoch is one pass over the data and a call of `fit` of its own, before which Python,
    NumPy and TensorFlow are seeded from the seed and the epoch: arrays that Keras shuffles come in the same order in
    whichever process the epoch is trained. With it, the batches go on from epoch to epoch as in one call of `fit`, and
    those that were trained on are left out.

    Args:
        fit: `model.fit`, or what calls it with all that it is given: data, and arguments by name.
        state: Where the model is, and where it is saved.
        record: How far the trial has come; each epoch is written into it.
        x: Training data as for `fit`.
        epochs: Epochs of the whole trial, those that are done included.
        steps_per_epoch: Batches an epoch, of a `tf.data.Dataset` of all epochs.
        callbacks: Callbacks of the trial's own.
        objective: From keras-tuner; picks the best epoch.
        seed: For all that is random.
        verbose: As for `fit`.
        **settings: What else goes to `fit`.

    Raises:
        ConfigError: The trial has trained more than `epochs` already.
        DataError: The data ended too early.
    """
    if len(record.history) > epochs:
        raise ConfigError(
            f"The trial has trained {len(record.history)} epochs already, and epochs={epochs} is less. Search with as "
            "many as before, or begin the search again: overwrite=True."
        )
    if steps_per_epoch is not None:
        check_length(x, epochs=epochs, steps_per_epoch=steps_per_epoch)
        x = x.skip(len(record.history) * steps_per_epoch)
        settings["steps_per_epoch"] = steps_per_epoch
    saving = _Saving(state, record, objective)
    together = TrialCallbacks(
        [saving.first, *callbacks, keras.callbacks.TerminateOnNaN(), saving],
        add_history=True,
        add_progbar=verbose != 0,
        model=state.model,
        verbose=verbose,
        epochs=epochs,
        steps=steps_per_epoch,
    )
    together.begin(record.callbacks)
    saving.count = together.counted
    # averaged weights would take the place of the model's own at the end of each call
    at_once = steps_per_epoch is not None or getattr(state.model.optimizer, "use_ema", False)
    while len(record.history) < epochs and not record.is_over:
        done = len(record.history)
        last = epochs if at_once else done + 1
        keras.utils.set_random_seed(_epoch_seed(seed, done))
        fit(x, callbacks=together, initial_epoch=done, epochs=last, verbose=verbose, **settings)
        if len(record.history) < last and not record.is_over:
            raise DataError(
                f"Training ended after epoch {len(record.history)} of {last}: the data holds fewer batches than "
                "epochs * steps_per_epoch, or HyperModel.fit does not pass all its arguments on to model.fit."
            )
    together.end()


def best_epoch(history: Sequence[Mapping[str, float]], objective: Any) -> int:
    """The epoch with the best objective, from 1, the earlier on a tie; 0 if none is sound.

    Args:
        history: Values of each epoch.
        objective: From keras-tuner.
    """
    found, best = 0, math.nan
    for epoch, values in enumerate(history, start=1):
        if not (objective.has_value(values) and math.isfinite(values.get("loss", 0.0))):
            continue
        value = float(objective.get_value(values))
        if math.isfinite(value) and (not found or objective.better_than(value, best)):
            found, best = epoch, value
    return found


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])


class _Saving(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes each epoch down and saves the trial, after all other callbacks.

    An epoch whose loss is no number is written down alone.

    Attributes:
        first: A callback to be called before all others.
        count: What gives the callbacks' counts.
    """

    def __init__(self, state: TrialState, record: TrialRecord, objective: Any) -> None:
        super().__init__()
        self.state, self.record, self.objective = state, record, objective
        self.first = _Weights()
        self.count: Callable[[], list[dict[str, Any]]] = list

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Writes the epoch down, with what other callbacks have added to it."""
        values = {name: float(value) for name, value in (logs or {}).items() if np.ndim(value) == 0}
        self.record.history.append(values)
        self.record.is_over = bool(self.model.stop_training)
        self.record.callbacks = self.count()
        self.state.write_curve(self.record)
        if math.isfinite(values.get("loss", 0.0)):
            best = best_epoch(self.record.history, self.objective)
            self.state.save(self.record, best_epoch=best, weights=self.first.weights)


class _Weights(keras.callbacks.Callback):  # type: ignore[misc]
    """Holds the weights that an epoch was scored with: early stopping may bring others back when it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Takes them."""
        self.weights = self.model.get_weights()
