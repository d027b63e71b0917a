"""Runs of other processes that several tests look at: each is trained once."""

import concurrent.futures
import dataclasses
import shutil
import time
from types import SimpleNamespace

import pytest

from tests.training.victims import HOLD, Victims
from tf_finetune.config import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
from tf_finetune.errors import RunError
from tf_finetune.run import ModelFolder
from tf_finetune.training.fit import fit


def change(config, **sections):
    """`config` with some fields replaced: change(config, fit={"epochs": 2})."""
    new = {name: dataclasses.replace(getattr(config, name), **values) for name, values in sections.items()}
    return dataclasses.replace(config, **new)


def refusal(config):
    """What `fit` says, which changes nothing on the disk."""
    folder = ModelFolder(config.run.output if config.run.resume in (None, "auto") else config.run.resume)
    before = snapshot(folder.path)
    with pytest.raises(RunError) as caught:
        fit(config)
    assert snapshot(folder.path) == before
    return str(caught.value)


def snapshot(path):
    """Everything below a folder."""
    return {found.relative_to(path): found.is_file() and found.read_bytes() for found in path.rglob("*")}


@pytest.fixture(scope="session")
def session_victims():
    """A process that forks a child for each run."""
    with Victims() as server:
        yield server


@pytest.fixture(scope="session")
def short_config(dropping_checkpoint, reviews_csv, tmp_path_factory):
    """A short run with dropout: 2 epochs of 9 updates and 3 batches of validation."""
    return Config(
        data=DataConfig(data=(str(reviews_csv),), validation_split=0.25),
        tokens=TokensConfig(max_length=16, cache_dir=str(tmp_path_factory.mktemp("tables"))),
        model=ModelConfig(model=str(dropping_checkpoint), encoder="model"),  # the quicker one to trace
        fit=FitConfig(epochs=2, batch_size=8, batching="plain", learning_rate=3e-3, seed=1),
        export=ExportConfig(export=False),
        run=RunConfig(save_every="2steps", resume="auto"),
    )


@pytest.fixture(scope="session")
def short_run(session_victims, short_config, tmp_path_factory):
    """That run when it was `finished`, and a folder of it as if it had been `killed` after 3 of its 18 updates.

    What was answered to others who wanted to write it meanwhile is in `answers`, the loss of each update in `losses`.
    """
    place = tmp_path_factory.mktemp("short")
    finished, losses, held = place / "finished", place / "losses", place / "losses.held"
    config = change(short_config, run={"output": str(finished)})
    others = ({}, {"resume": None}, {"resume": None, "overwrite": True}, {"resume": str(finished), "output": None})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        end = pool.submit(session_victims.run, config, losses=losses, kill=("update", 3, HOLD))
        while not held.exists() and not end.done():
            time.sleep(0.01)
        try:
            answers = [refusal(change(config, run=other)) for other in others]
            shutil.copytree(finished, place / "killed")  # its lock is not copied
        finally:
            held.unlink()
        assert end.result() == 0
    return SimpleNamespace(
        config=config, finished=ModelFolder(finished), killed=place / "killed", answers=answers, losses=losses
    )
