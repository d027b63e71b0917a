"""`Checkpointing`: the Keras callback that writes checkpoints, and stops a run that was asked to."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Mapping
from typing import Any

from tf_finetune.backend import keras
from tf_finetune.config.save_every import SavePolicy
from tf_finetune.training.checkpoints.record import Record
from tf_finetune.training.checkpoints.state import TrainingState
from tf_finetune.training.checkpoints.store import CheckpointStore, Saved
from tf_finetune.training.ledger import Ledger
from tf_finetune.training.stopping import TEMPORARY_FAILURE, StopRequest
from tf_finetune.training.workers import Workers

__all__ = ["Checkpointing", "StopTraining"]

logger = logging.getLogger(__name__)

GUESSED_RATE = 250e6
"""Bytes a second that the first checkpoint is expected to be written with; the next ones go by the last one."""


class StopTraining(Exception):
    """The run was asked to stop, and is saved as far as it has come."""


class Checkpointing(keras.callbacks.Callback):  # type: ignore[misc]
    """Saves a run while it trains, and stops it where nothing is lost. Comes after the `Ledger`, which it saves.

    A run whose loss is no number any more is not saved.

    Args:
        store: Where to save.
        state: What to save.
        ledger: What else to save.
        policy: When to save.
        stop: Whether to stop, asked after each update and each validation batch.
        record: How far the run has come before.
        workers: Who trains together.

    Attributes:
        record: How far the run has come.
        seconds: Wall time of all checkpoints written.
    """

    def __init__(
        self,
        store: CheckpointStore,
        state: TrainingState,
        ledger: Ledger,
        *,
        policy: SavePolicy,
        stop: StopRequest,
        record: Record,
        workers: Workers,
    ) -> None:
        super().__init__()
        self.workers = workers
        self.store, self.state, self.ledger, self.policy, self.stop = store, state, ledger, policy, stop
        self.record = record
        self._saved: Record | None = record
        self.seconds = 0.0
        self._cost = state.size / GUESSED_RATE
        self._began = self._saved_at = time.monotonic()
        self._is_sound = True
        self._metrics: dict[str, Any] = {}

    def go_on(self, saved: Saved, *, forced: tuple[str, ...] = ()) -> None:
        """Gives model, optimizer, dropout and ledger what a checkpoint holds; the metrics when the epoch goes on.

        If epochs have another number of updates than in the checkpoint, the one that was begun is begun again.

        Args:
            saved: The checkpoint.
            forced: What differs from the run that has written it, a line each.
        """
        self.state.assign(saved.state)
        self.ledger.go_on(saved.record.history, [value.numpy() for value in saved.best])
        record, steps = saved.record, self.record.steps_per_epoch
        if record.steps_per_epoch != steps:
            record = dataclasses.replace(
                record, step=len(record.history) * steps, steps_per_epoch=steps, unvalidated=None
            )
            self.state.count(record.step)
        if record.step % steps:
            self._metrics = {name: value for name, value in saved.state.items() if name.startswith("metrics/")}
        self.record = self._saved = dataclasses.replace(
            record, resumed_at=(*record.resumed_at, record.step), forced=(*record.forced, *forced)
        )
        if self.workers.any(bool(forced))[0]:
            self._saved = None
            self.save()  # so that it stays recorded, also if the process is killed at once

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Gives the metrics what they had counted in the begun epoch: `fit` has just reset them."""
        variables = self.state.variables()
        for name, value in self._metrics.items():
            variables[name].assign(value)
        self._metrics = {}

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Counts the update, and saves or stops if it is time to."""
        values = {name: float(value) for name, value in (logs or {}).items()}
        self._is_sound = math.isfinite(values.get("loss", 0.0))
        step = self.record.step + 1
        trained = step % self.record.steps_per_epoch == 0
        self.record = dataclasses.replace(self.record, step=step, unvalidated=values if trained else None)
        self._save_or_stop(self._is_due())

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Stops in the middle of a validation if asked to, which is begun again then."""
        self._save_or_stop(False)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Notes that the epoch was validated, and saves if it is time to."""
        self.record = dataclasses.replace(self.record, history=tuple(self.ledger.history), unvalidated=None)
        self._save_or_stop(self.policy.epochs and self._has_time())

    def _is_due(self) -> bool:
        seconds, steps = self.policy.seconds, self.policy.steps
        waited = time.monotonic() - self._saved_at
        by_time = seconds is not None and waited >= seconds
        by_steps = steps is not None and self.record.step % steps == 0
        return (by_time or by_steps) and self._has_time()

    def _has_time(self) -> bool:
        """Whether another checkpoint as dear as the last one is within the share of time that they may take."""
        if self.policy.share is None:
            return True
        return self.seconds + self._cost <= self.policy.share * (time.monotonic() - self._began)

    def save(self) -> None:
        """Writes a checkpoint, unless there is one already, or the loss is no number."""
        if self.record == self._saved or not self._is_sound:
            return
        began = time.monotonic()
        values = self.state.read()  # by all workers, who have counted their own metrics
        if self.workers.is_chief:
            self.store.save(Saved(self.record, values, tuple(self.ledger.weights)))
        self._saved_at, self._saved = time.monotonic(), self.record
        self._cost = self._saved_at - began
        self.seconds += self._cost
        logger.debug("checkpoint at update %d in %.2f s", self.record.step, self._cost)

    def _save_or_stop(self, is_due: bool) -> None:
        """Saves if it is due or the run is to stop, here or at another worker, and stops."""
        stops, saves = self.workers.any(self.stop.is_due, is_due)
        if stops or saves:
            self.save()
        if stops:
            if not self.stop.reason:
                self.stop.reason, self.stop.exit_code = "another worker was stopped", TEMPORARY_FAILURE
            raise StopTraining
