"""Keras callbacks: the weights of the best epoch, and progress for a terminal or a log."""

from __future__ import annotations

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
        """Compares the epoch with the best one."""
        value = (logs or {})[self.monitor]
        if better(self.monitor, value, self.best):
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
        self._bar: Any = None
        self._last = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Opens a bar for the epoch."""
        self._last = time.monotonic()
        self._bar = tqdm(
            total=self.params["steps"],
            desc=f"epoch {epoch + 1}/{self.params['epochs']}",
            file=self.stream,
            unit="step",
            disable=not self.stream.isatty(),
            leave=False,
        )
        self._start = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Moves the bar, or writes a line every half minute."""
        self._bar.update(1)
        self._bar.set_postfix_str(_values(logs or {}), refresh=False)
        now = time.monotonic()
        if self._bar.disable and now - self._last >= LINE_EVERY_SECONDS:
            self._last = now
            steps, done = self.params["steps"], batch + 1
            rate = done / (now - self._start)
            left = (steps - done) / rate
            self._say(
                f"{self._bar.desc} step {done}/{steps}  {_values(logs or {})}  {rate:.2f} steps/s  {left:.0f} s left"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Writes the epoch's values."""
        self._bar.close()
        seconds = time.monotonic() - self._start
        self._say(f"epoch {epoch + 1}/{self.params['epochs']}  {seconds:.0f} s  {_values(logs or {})}")

    def _say(self, line: str) -> None:
        self.stream.write(line + "\n")
        self.stream.flush()


def _values(logs: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
