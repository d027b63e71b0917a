"""A run with XLA has few batch shapes, and says beforehand which."""

import random

import numpy as np
import pytest

from tests.conftest import BAD, GOOD, THINGS, write_csv
from tf_finetune.config import Config, DataConfig, FitConfig, ModelConfig, TokensConfig


@pytest.fixture
def prepared(tiny_checkpoint, tmp_path):
    """Prepares a run over 203 reviews of 4 to 60 words, most of them short."""
    from tf_finetune.training.inputs import load_inputs
    from tf_finetune.training.prepare import prepare

    chance = random.Random(1)
    rows = []
    for i in range(203):
        words, label = (GOOD, "positive") if i % 2 else (BAD, "negative")
        things = [chance.choice(THINGS) for _ in range(min(60, 3 + int(chance.expovariate(1 / 15))))]
        rows.append((" ".join([*things, chance.choice(words)]), label))
    data = write_csv(tmp_path / "rows.csv", rows)

    def make(batching="bucketed", **model):
        config = Config(
            data=DataConfig(data=(str(data),), validation_split=0.25),
            tokens=TokensConfig(max_length=62),
            model=ModelConfig(model=str(tiny_checkpoint), **model),
            fit=FitConfig(epochs=3, batch_size=5, gradient_accumulation=2, batching=batching),
        )
        inputs = load_inputs(config)
        return prepare(config, inputs.splits, inputs.checkpoint), config

    return make


def shapes_of(dataset):
    return {tuple(inputs["input_ids"].shape) for inputs, _ in dataset}


@pytest.mark.parametrize("batching", ["bucketed", "plain"])
def test_seven_shapes_at_most_and_all_are_named(prepared, batching):
    run, config = prepared(batching, jit_compile=True)
    training, validation = shapes_of(run.training_dataset(config)), shapes_of(run.validation_dataset(config))
    assert training == set(run.shapes.training.shapes) and validation == set(run.shapes.validation.shapes)
    assert 1 < len(training) + len(validation) <= 7
    assert {rows for rows, _ in training} == {10, 2} and {rows for rows, _ in validation} == {5, 1}
    line = next(line for line in run.lines(config) if line.startswith("XLA: "))
    assert line.startswith(f"XLA: at most {len(training) + len(validation)} batch shapes to compile (rows x tokens: ")
    assert all(f"{rows} x {length}" in line for rows, length in training | validation)
    first_epoch = run.training_dataset(config).take(run.steps_per_epoch)
    assert run.lengths.padded == sum(np.size(inputs["input_ids"]) for inputs, _ in first_epoch)


def test_without_xla_batches_are_as_long_as_they_need_to_be(prepared):
    run, config = prepared()
    assert run.shapes is None and not any(line.startswith("XLA") for line in run.lines(config))
    assert len(shapes_of(run.training_dataset(config))) > 4
