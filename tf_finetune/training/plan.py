"""`plan`: what a run would do and cost, from a few real steps; nothing is written."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from tf_finetune.config import Config
from tf_finetune.training.fit import load_inputs

__all__ = ["Plan", "plan"]

TIMED_STEPS = 4


@dataclass(frozen=True)
class Plan:
    """What `fit` would do.

    Attributes:
        rows: Split to class to rows.
        lengths: Lines on lengths, truncation and padding.
        epochs: Passes over the training rows.
        steps_per_epoch: Updates an epoch.
        rows_per_update: Rows an update.
        warmup: Updates with a rising learning rate.
        learning_rate: Rate after the warm-up.
        end_learning_rate: Rate at the end.
        parameters: All parameters, and the trainable ones.
        state_bytes: Weights, gradients and both Adam moments.
        peak_bytes: Largest resident memory of this process so far, after real steps.
        seconds_per_step: Mean wall time of an average update.
        seconds: Estimated wall time of all updates.
    """

    rows: dict[str, dict[str, int]]
    lengths: tuple[str, ...]
    epochs: int
    steps_per_epoch: int
    rows_per_update: int
    warmup: int
    learning_rate: float
    end_learning_rate: float
    parameters: tuple[int, int]
    state_bytes: int
    peak_bytes: int
    seconds_per_step: float
    seconds: float

    def lines(self) -> list[str]:
        """The plan in words, a line each."""
        data = [f"{name}: {sum(counts.values())} rows ({_counts(counts)})" for name, counts in self.rows.items()]
        return [
            *data,
            *self.lengths,
            f"steps: {self.epochs} epochs of {self.steps_per_epoch} updates of {self.rows_per_update} rows",
            f"schedule: to {self.learning_rate:g} in {self.warmup} updates, then to {self.end_learning_rate:g}",
            f"parameters: {self.parameters[0]:,}, of which {self.parameters[1]:,} are trained",
            f"memory: {self.state_bytes / 1e6:,.0f} MB of weights, gradients and Adam moments; "
            f"{self.peak_bytes / 1e6:,.0f} MB at the peak of the steps taken",
            f"time: {self.seconds_per_step:.2f} s an update, about {self.seconds / 60:.1f} min of training in all",
        ]


def plan(config: Config) -> Plan:
    """Prepares a run, takes a few real steps, and throws all away; writes nothing that stays.

    Args:
        config: The whole configuration.

    Raises:
        FinetuneError: Whatever `fit` would raise before training.
    """
    splits, checkpoint = load_inputs(config)

    from tf_finetune.model.pretrained import count_parameters
    from tf_finetune.training.prepare import prepare

    with tempfile.TemporaryDirectory() as cache:
        prepared = prepare(config, splits, checkpoint, cache_dir=cache)
        seconds_per_position = _time_steps(prepared, config)
    parameters = count_parameters(prepared.model)
    steps = prepared.steps_per_epoch * config.fit.epochs
    seconds = seconds_per_position * prepared.lengths.padded * config.fit.epochs
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return Plan(
        rows={name: part.label_counts for name, part in parts.items() if part is not None},
        lengths=tuple(prepared.lengths.lines()),
        epochs=config.fit.epochs,
        steps_per_epoch=prepared.steps_per_epoch,
        rows_per_update=prepared.rows_per_update,
        warmup=round(steps * config.fit.warmup_ratio),
        learning_rate=config.fit.learning_rate,
        end_learning_rate=config.fit.end_learning_rate,
        parameters=parameters,
        state_bytes=4 * (parameters[0] + 3 * parameters[1]),
        peak_bytes=_peak_bytes(),
        seconds_per_step=seconds / steps,
        seconds=seconds,
    )


def _time_steps(prepared: Any, config: Config) -> float:
    """Wall seconds a computed position, over a few batches of the first epoch; the first, which traces, left out."""
    dataset = prepared.training_dataset(config).take(1 + TIMED_STEPS)
    positions, seconds = 0, 0.0
    for number, (inputs, labels) in enumerate(dataset):
        started = time.monotonic()
        prepared.model.train_on_batch(inputs, labels, class_weight=prepared.class_weight)
        if number > 0 or prepared.steps_per_epoch == 1:
            seconds += time.monotonic() - started
            positions += int(inputs["input_ids"].shape[0] * inputs["input_ids"].shape[1])
    return seconds / max(positions, 1)


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{label} {count}" for label, count in counts.items())
