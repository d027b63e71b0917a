"""`Progress`: the Keras callback that shows how training goes, on a terminal or in a log."""

from __future__ import annotations

import time
from typing import Any, TextIO

from tqdm import tqdm

from tf_finetune.backend import keras

__all__ = ["Progress"]

LINE_EVERY_SECONDS = 30.0


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
