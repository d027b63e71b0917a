"""Callbacks of a trial: copied for it, and counting on where they were in another process."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tf_finetune.backend import keras
from tf_finetune.errors import ConfigError
from tf_finetune.model.loss import refuse_keras3

__all__ = ["CallbackCounts", "copy_callbacks"]

logger = logging.getLogger(__name__)

Counts = dict[str, Any]
"""Attribute to a number or None; a float as text, which keeps every bit, and infinity."""


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


class CallbackCounts:
    """What callbacks have counted: the best value of early stopping, how long it has waited.

    That is taken to be their attributes that are numbers and have changed since `on_train_begin`.

    Args:
        callbacks: Callbacks whose `on_train_begin` was just called.
    """

    def __init__(self, callbacks: Sequence[Any]) -> None:
        self.callbacks = callbacks
        self._fresh = [_numbers(callback) for callback in callbacks]

    def read(self) -> list[Counts]:
        """The counts of each callback."""
        return [
            {name: value for name, value in _numbers(callback).items() if name not in fresh or fresh[name] != value}
            for callback, fresh in zip(self.callbacks, self._fresh)
        ]

    def assign(self, counts: Sequence[Counts]) -> None:
        """Gives the callbacks what `read` returned in another process; nothing, if they are others than there."""
        if len(counts) != len(self.callbacks):
            logger.warning("there are other callbacks than when the trial was begun: they begin anew")
            return
        for callback, values in zip(self.callbacks, counts):
            for name in values.keys() & vars(callback).keys():
                value = values[name]
                setattr(callback, name, float(value) if isinstance(value, str) else value)


def _numbers(callback: Any) -> Counts:
    found: Counts = {}
    for name, value in vars(callback).items():
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, (bool, int, float, type(None))):
            found[name] = repr(value) if isinstance(value, float) else value
    return found
