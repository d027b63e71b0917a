"""`plan` says what `fit` would do and cost, refuses what `fit` would refuse, and writes nothing."""

import dataclasses
import time

import pytest

from tf_finetune.config import Config, DataConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
from tf_finetune.errors import ConfigError, RunError
from tf_finetune.training.plan import plan


@pytest.fixture
def config(tiny_checkpoint, reviews_csv, tmp_path):
    return Config(
        data=DataConfig(data=(str(reviews_csv),), validation_split=0.25),
        tokens=TokensConfig(max_length=16, cache_dir=str(tmp_path / "cache")),
        model=ModelConfig(model=str(tiny_checkpoint)),
        fit=FitConfig(epochs=2, batch_size=8),
        run=RunConfig(output=str(tmp_path / "models" / "x")),
    )


def test_it_tells_data_steps_and_cost_and_writes_nothing(config, tmp_path):
    text = "\n".join(plan(config).lines())
    for words in ("train: 72 rows (negative 36, positive 36)", "steps: 2 epochs of 9 updates of 8 rows", "parameters:"):
        assert words in text
    assert list(tmp_path.iterdir()) == []


def test_the_time_of_a_step_leaves_tracing_out(config):
    started = time.monotonic()
    estimate = plan(config)
    # tracing takes most of the call; a step of this model takes milliseconds
    assert 0 < estimate.seconds_per_update < (time.monotonic() - started) / 20
    assert estimate.seconds == pytest.approx(18 * estimate.seconds_per_update)


def test_one_update_an_epoch_can_be_timed_too(config):
    assert plan(dataclasses.replace(config, fit=FitConfig(epochs=1, batch_size=100))).seconds > 0


def test_it_refuses_the_folder_that_fit_would_refuse(config, tiny_run):
    occupied = dataclasses.replace(config, run=RunConfig(output=str(tiny_run.run.path)))
    with pytest.raises(RunError, match="holds a finished run"):
        plan(occupied)


def test_a_run_that_goes_on_is_not_planned(config):
    with pytest.raises(ConfigError, match="--dry-run shows a run that begins; --resume auto goes on with one"):
        plan(dataclasses.replace(config, run=RunConfig(resume="auto")))
