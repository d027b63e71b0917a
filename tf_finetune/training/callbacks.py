"""Keras callbacks: the weights of the best epoch, and progress for a terminal or a log."""

from __future__ import annotations

import math
import time
from typing import Any, TextIO

from tqdm import tqdm

from tf_finetune.backend import keras

__all__ = ["KeepBest", "Progress", "better"]

LINE_EVERY_SECONDS = 30.0


def better(monitor: str, value: float, best: float | None) -> bool:
    """Whether a monitored value beats the best so far: lower for losses, higher for all else. Never for NaN."""
    if best is None:
        return value == value
    return value < best if monitor.endswith("loss") else value > best


class KeepBest(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps a copy of the weights of the epoch with the best monitored value.

    Args:
        monitor: ``val_loss`` or ``val_accuracy``. On a tie the earlier epoch stays.

    Attributes:
        best: The best value so far.
        best_epoch: Its epoch, from 1; 0 before the first one.
    """

    def __init__(self, monitor: str) -> None:
        super().__init__()
        self.monitor = monitor
        self.best: float | None = None
        self.best_epoch = 0
        self._weights: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compares the epoch with the best one; weights whose training loss is no number are never the best."""
        value = (logs or {})[self.monitor]
        if math.isfinite((logs or {}).get("loss", 0.0)) and better(self.monitor, value, self.best):
            self.best, self.best_epoch = value, epoch + 1
            self._weights = self.model.get_weights()

    def restore(self) -> None:
        """Puts the best weights back into the model; leaves it alone if no epoch was finished."""
        if self._weights:
            self.model.set_weights(self._weights)


class Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """Shows loss, metrics, rate and time left: a bar on a terminal, plain lines elsewhere.

    Args:
        stream: Where to write, standard error as a rule.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self._title = ""
        self._started = self._said = 0.0
        self._bar: Any = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Opens a bar for the epoch."""
        self._title = f"epoch {epoch + 1}/{self.params['epochs']}"
        self._started = self._said = time.monotonic()
        if self.stream.isatty():
            self._bar = tqdm(total=self.params["steps"], desc=self._title, file=self.stream, unit="step", leave=False)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Moves the bar, or writes a line every half minute."""
        now = time.monotonic()
        if self._bar is not None:
            self._bar.set_postfix_str(_values(logs or {}), refresh=False)
            self._bar.update(1)
        elif now - self._said >= LINE_EVERY_SECONDS:
            self._said = now
            steps, done = self.params["steps"], batch + 1
            rate = done / (now - self._started)
            left = (steps - done) / rate
            self._say(
                f"{self._title} step {done}/{steps}  {_values(logs or {})}  {rate:.2f} steps/s  {left:.0f} s left"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Writes the epoch's values."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self._say(f"{self._title}  {time.monotonic() - self._started:.0f} s  {_values(logs or {})}")

    def _say(self, line: str) -> None:
        self.stream.write(line + "\n")
        self.stream.flush()


def _values(logs: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
