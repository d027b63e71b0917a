"""`Ledger`: the values of each epoch, the weights of the best one, and whether training is over."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tf_finetune.backend import keras
from tf_finetune.files import write_text
from tf_finetune.training.checkpoints.record import best_epoch, is_over

__all__ = ["Ledger"]


class Ledger(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes down what each epoch gave. What is best, and when to stop, follow from that alone.

    Args:
        monitor: ``val_loss``, ``val_accuracy`` or another value of the history: picks the best epoch, the earlier one
            on a tie.
        patience: Stop after this many epochs without a better value; None for never.
        path: CSV file with one row an epoch, written anew after each; None for no file.
        stops: Whether to stop for another reason, asked with the values of all epochs after each.

    Attributes:
        history: The values of each epoch.
        weights: Weights of the best epoch, as from `get_weights`; empty before the first one.
    """

    def __init__(
        self,
        monitor: str,
        *,
        patience: int | None = None,
        path: Path | None = None,
        stops: Callable[[Sequence[Mapping[str, float]]], bool] | None = None,
    ) -> None:
        super().__init__()
        self.monitor, self.patience, self.path, self.stops = monitor, patience, path, stops
        self.history: list[dict[str, float]] = []
        self.weights: list[Any] = []

    def go_on(self, history: Sequence[Mapping[str, float]], weights: Sequence[Any]) -> None:
        """Takes over what another process had written down."""
        self.history, self.weights = [dict(values) for values in history], list(weights)

    @property
    def best_epoch(self) -> int:
        """The epoch with the best monitored value, from 1; 0 if there is none."""
        return best_epoch(self.history, self.monitor)

    @property
    def is_over(self) -> bool:
        """Whether training stops early."""
        if is_over(self.history, monitor=self.monitor, patience=self.patience):
            return True
        return self.stops is not None and bool(self.history) and self.stops(self.history)

    @property
    def columns(self) -> dict[str, list[float]]:
        """Name to the values of all epochs, as in the `history` of a Keras `History`."""
        return {name: [values[name] for values in self.history] for name in (self.history or [{}])[0]}

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Writes the epoch down; keeps the weights if it is the best."""
        self.history.append({name: float(value) for name, value in (logs or {}).items()})
        if self.best_epoch == len(self.history):
            self.weights = self.model.get_weights()
        if self.path is not None:
            write_text(self.path, self._table())
        if self.is_over:
            self.model.stop_training = True

    def restore(self) -> None:
        """Puts the best weights back into the model; leaves it alone if no epoch was finished."""
        if self.weights:
            self.model.set_weights(self.weights)

    def _table(self) -> str:
        text = io.StringIO()
        names = sorted(self.history[0])
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *names])
        writer.writerows([epoch, *(values[name] for name in names)] for epoch, values in enumerate(self.history))
        return text.getvalue()
