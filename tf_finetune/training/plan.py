"""`plan`: what a run would do and cost, from a few real steps; nothing is written."""

from __future__ import annotations

import dataclasses
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from tf_finetune.config import Config
from tf_finetune.errors import ConfigError
from tf_finetune.training.fit import output_folder
from tf_finetune.training.inputs import describe_inputs, load_inputs
from tf_finetune.training.occupy import refuse_occupied
from tf_finetune.training.soundness import log_findings

__all__ = ["Plan", "plan"]

TIMED_STEPS = 4


@dataclass(frozen=True)
class Plan:
    """What `fit` would do.

    Attributes:
        inputs: Lines on the model, the data and its classes.
        preparation: Lines on lengths, padding, steps and schedule.
        parameters: All parameters, and the trainable ones.
        state_bytes: Weights, gradients and both Adam moments.
        peak_bytes: Largest resident memory of this process so far, after real steps.
        seconds_per_update: Mean wall time of an average update.
        seconds: Estimated wall time of all updates, validation left out.
    """

    inputs: tuple[str, ...]
    preparation: tuple[str, ...]
    parameters: tuple[int, int]
    state_bytes: int
    peak_bytes: int
    seconds_per_update: float
    seconds: float

    def lines(self) -> list[str]:
        """The plan in words, a line each."""
        return [
            *self.inputs,
            *self.preparation,
            f"parameters: {self.parameters[0]:,}, of which {self.parameters[1]:,} are trained",
            f"memory: {self.state_bytes / 1e6:,.0f} MB of weights, gradients and Adam moments; "
            f"{self.peak_bytes / 1e6:,.0f} MB at the peak of the steps taken",
            f"time: {self.seconds_per_update:.3g} s an update, about {_duration(self.seconds)} of training in all",
        ]


def plan(config: Config) -> Plan:
    """Prepares a run, takes a few real steps, and throws all away; writes nothing that stays.

    Args:
        config: The whole configuration.

    Raises:
        ConfigError: It is to go on with a run, which is planned already.
        FinetuneError: Whatever `fit` would raise before training.
    """
    if config.run.resume is not None:
        raise ConfigError(f"--dry-run shows a run that begins; --resume {config.run.resume} goes on with one.")
    refuse_occupied(output_folder(config), overwrite=config.run.overwrite)
    with tempfile.TemporaryDirectory() as cache:
        # the user's cache folder may not be there yet, and must not come to be
        config = dataclasses.replace(config, tokens=dataclasses.replace(config.tokens, cache_dir=cache))
        inputs = load_inputs(config)
        log_findings(inputs.findings)

        from tf_finetune.model.pretrained import count_parameters
        from tf_finetune.training.prepare import prepare

        prepared = prepare(config, inputs.splits, inputs.checkpoint)
        seconds_per_position = _time_steps(prepared, config)
    parameters = count_parameters(prepared.model)
    seconds = seconds_per_position * prepared.lengths.padded * config.fit.epochs
    return Plan(
        inputs=tuple(describe_inputs(inputs)),
        preparation=tuple(prepared.lines(config)),
        parameters=parameters,
        state_bytes=4 * (parameters[0] + 3 * parameters[1]),
        peak_bytes=_peak_bytes(),
        seconds_per_update=seconds / (prepared.steps_per_epoch * config.fit.epochs),
        seconds=seconds,
    )


def _time_steps(prepared: Any, config: Config) -> float:
    """Wall seconds a computed position, over a few batches of the first epoch.

    The first batch is left out, since the graph is traced for it. `fit` traces one graph for all shapes of a dataset,
    `train_on_batch` one for each.
    """
    from tf_finetune.backend import keras

    dataset = prepared.training_dataset(config).take(1 + TIMED_STEPS)
    if prepared.shapes or prepared.encoder.unpadded:  # XLA compiles each shape apart, or parts for each size
        prepared.model.fit(dataset, class_weight=prepared.class_weight, verbose=0)
    positions = [_positions(inputs, prepared) for inputs, _ in dataset]
    ends: list[float] = []
    tick = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: ends.append(time.monotonic()))
    started = time.monotonic()
    prepared.model.fit(dataset, class_weight=prepared.class_weight, callbacks=[tick], verbose=0)
    if len(positions) == 1:
        return (ends[0] - started) / positions[0]
    return (ends[-1] - ends[0]) / sum(positions[1:])


def _positions(inputs: Any, prepared: Any) -> int:
    """Positions that a batch computes, padding included."""
    lengths = inputs["attention_mask"].numpy().sum(axis=1)  # [batch]
    if prepared.encoder.unpadded:
        return int(lengths.sum())
    rows, length = inputs["input_ids"].shape
    return prepared.cuts.positions(lengths[None]) if prepared.cuts.needed else int(rows * length)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 600 else f"{seconds:.0f} s"


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
