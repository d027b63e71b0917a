"""`train_trial`: Keras' own fit for one trial, which is saved after each epoch and can be gone on with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_finetune.backend import keras
from tf_finetune.errors import ConfigError, DataError
from tf_finetune.tuning.keras_models.callbacks import CallbackCounts
from tf_finetune.tuning.keras_models.data import check_length
from tf_finetune.tuning.keras_models.state import TrialRecord, TrialState
from tf_finetune.tuning.keras_tuner import load_keras_tuner

__all__ = ["best_values", "train_trial"]

kt: Any = load_keras_tuner()


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
    **settings: Any,
) -> None:
    """Trains the epochs that are left, and saves each.

    With `steps_per_epoch` the batches go on from epoch to epoch, and those that were trained on are left out.

    Args:
        fit: `model.fit`, or what calls it with all that it is given: data, and arguments by name.
        state: Where the model is, and where it is saved.
        record: How far the trial has come; each epoch is written into it.
        x: Training data as for `fit`.
        epochs: Epochs of the whole trial, those that are done included.
        steps_per_epoch: Batches an epoch, of a `tf.data.Dataset` of all epochs.
        callbacks: Callbacks of the trial's own.
        objective: From keras-tuner; picks the best epoch.
        seed: What Python, NumPy and TensorFlow are seeded from, together with the number of epochs that are done.
        **settings: What else goes to `fit`.

    Raises:
        ConfigError: The trial has trained more than `epochs` already.
        DataError: The data ended too early.
    """
    done = len(record.history)
    if done > epochs:
        raise ConfigError(
            f"The trial has trained {done} epochs already, and epochs={epochs} is less. Search with as many as before, "
            "or begin the search again: overwrite=True."
        )
    if done == epochs or record.is_over:
        return
    if steps_per_epoch is not None:
        check_length(x, epochs=epochs, steps_per_epoch=steps_per_epoch)
        x = x.skip(done * steps_per_epoch)
        settings["steps_per_epoch"] = steps_per_epoch
    saving = _Saving(state, record, objective, callbacks)
    keras.utils.set_random_seed(int(np.random.SeedSequence((seed, done)).generate_state(1)[0]))
    fit(
        x,
        callbacks=[*callbacks, keras.callbacks.TerminateOnNaN(), saving],
        initial_epoch=done,
        epochs=epochs,
        **settings,
    )
    if len(record.history) < epochs and not record.is_over:
        raise DataError(
            f"Training ended after epoch {len(record.history)} of {epochs}: the data holds fewer batches than epochs * "
            "steps_per_epoch, or HyperModel.fit does not pass epochs and callbacks on to model.fit."
        )


def best_values(history: Sequence[Mapping[str, float]], objective: Any) -> dict[str, float]:
    """The values of a trial's best epoch, the objective among them.

    Args:
        history: Values of each epoch.
        objective: From keras-tuner; may join several values.

    Raises:
        ConfigError: The objective is not among the values.
        keras_tuner.errors.FailedTrialError: No epoch is sound.
    """
    if not any(objective.has_value(values) for values in history):
        found = sorted({name for values in history for name in values})
        raise ConfigError(f"The objective is {objective}, and `fit` gives {', '.join(found)}.")
    best = _best_epoch(history, objective)
    if not best:
        last = ", ".join(f"{name} {value:g}" for name, value in history[-1].items())
        raise kt.errors.FailedTrialError(
            f"The loss or the objective ({objective}) is no number in any epoch; in the last one: {last}."
        )
    values = history[best - 1]
    return {**values, objective.name: float(objective.get_value(values))}


def _best_epoch(history: Sequence[Mapping[str, float]], objective: Any) -> int:
    """The epoch with the best objective, from 1, the earlier on a tie; 0 if none is sound."""
    found, best = 0, math.nan
    for epoch, values in enumerate(history, start=1):
        if not (objective.has_value(values) and math.isfinite(values.get("loss", 0.0))):
            continue
        value = float(objective.get_value(values))
        if math.isfinite(value) and (not found or objective.better_than(value, best)):
            found, best = epoch, value
    return found


class _Saving(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes each epoch down and saves the trial, after the other callbacks.

    An epoch whose loss is no number is written down alone.
    """

    def __init__(self, state: TrialState, record: TrialRecord, objective: Any, callbacks: Sequence[Any]) -> None:
        super().__init__()
        self.state, self.record, self.objective, self.callbacks = state, record, objective, callbacks

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Gives the others, who have just begun, what they had counted."""
        self.counts = CallbackCounts(self.callbacks)
        if self.record.history:
            self.counts.assign(self.record.callbacks)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Writes the epoch down, with what the others have added to it."""
        values = {name: float(value) for name, value in (logs or {}).items() if np.ndim(value) == 0}
        self.record.history.append(values)
        self.record.is_over = bool(self.model.stop_training)
        self.record.callbacks = self.counts.read()
        self.state.write_curve(self.record)
        if math.isfinite(values.get("loss", 0.0)):
            self.state.save(self.record, best_epoch=_best_epoch(self.record.history, self.objective))
