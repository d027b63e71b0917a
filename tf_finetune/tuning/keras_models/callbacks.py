"""`TrialCallbacks`: Keras callbacks for which several calls of `fit`, in several processes, are one training."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tf_finetune.backend import keras
from tf_finetune.errors import ConfigError
from tf_finetune.model.loss import refuse_keras3

__all__ = ["TrialCallbacks", "copy_callbacks"]

logger = logging.getLogger(__name__)

Counts = dict[str, Any]
"""Attribute to a number or None; numbers with a fraction as text, which keeps every bit, and infinity."""


def copy_callbacks(callbacks: Sequence[Any], trial: str) -> list[Any]:
    """Callbacks of a trial's own; TensorBoard writes into a folder named by the trial.

    Args:
        callbacks: Those that were given for the search.
        trial: The trial's name.

    Raises:
        ConfigError: One of them cannot be copied, or saves and restores the model by itself.
        LossError: One of them is of Keras 3.
    """
    refuse_keras3(callbacks=list(callbacks))
    copies = []
    for callback in callbacks:
        name = type(callback).__name__
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            raise ConfigError(f"{name} has no place among the callbacks: each trial is saved after each epoch already.")
        try:
            copies.append(copy.deepcopy(callback))
        except Exception as error:
            raise ConfigError(
                f"Each trial gets copies of the callbacks, and {name} cannot be copied (copy.deepcopy): {error}. "
                "Make what it holds (files, locks, models) in its on_train_begin."
            ) from error
        if isinstance(callback, keras.callbacks.TensorBoard):
            copies[-1].log_dir = str(Path(callback.log_dir) / trial)
    return copies


class TrialCallbacks(keras.callbacks.CallbackList):  # type: ignore[misc]
    """Callbacks that do not begin anew with each call of `fit`, nor in another process.

    What a callback has counted (the best value of early stopping, how long it has waited) is taken to be those of its
    attributes that are numbers and have changed since its `on_train_begin`.
    """

    def begin(self, counts: Sequence[Counts]) -> None:
        """Begins the training, or goes on with it.

        Args:
            counts: From `counted`, in the process that has trained before; empty at the beginning.
        """
        super().on_train_begin()
        self._fresh = [_numbers(callback) for callback in self.callbacks]
        if counts and len(counts) != len(self.callbacks):
            logger.warning("there are other callbacks than when the trial was begun: they begin anew")
            return
        for callback, values in zip(self.callbacks, counts):
            for name in values.keys() & vars(callback).keys():
                setattr(callback, name, _from_json(values[name]))

    def counted(self) -> list[Counts]:
        """What each callback has counted since the training was begun."""
        return [
            {name: value for name, value in _numbers(callback).items() if fresh.get(name, callback) != value}
            for callback, fresh in zip(self.callbacks, self._fresh)
        ]

    def end(self) -> None:
        """Ends the training."""
        super().on_train_end()

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Nothing: it was begun before."""

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Nothing: `end` is told apart."""


def _numbers(callback: Any) -> Counts:
    found = {}
    for name, value in vars(callback).items():
        if isinstance(value, np.number):
            value = value.item()
        if isinstance(value, (bool, int, float, type(None))):
            found[name] = repr(value) if isinstance(value, float) else value
    return found


def _from_json(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value
