"""Configurations of searches that take milliseconds, and a process for those that are killed."""

import contextlib
import functools
import itertools
import os
import signal
import time
from pathlib import Path

import pytest

from tests.tuning.search_process import SECONDS, Searches, search, trials_of
from tf_finetune.config import Config, DataConfig, FitConfig, ModelConfig, RunConfig, TokensConfig


def pytest_collection_modifyitems(items):
    """keras-tuner asks for the current thread by names of old, thousands of times."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore:All-NaN axis:RuntimeWarning"))


@pytest.fixture(scope="session")
def make_config(tiny_checkpoint, reviews_csv, tmp_path_factory):
    """Makes the configuration of a search that begins, or goes on, in a folder of its own."""
    root, numbers = tmp_path_factory.mktemp("searches"), itertools.count()

    def make(*, run=None, data=None, tokens=None, **fit):
        output = str(root / f"search-{next(numbers)}")
        return Config(
            data=DataConfig(**{"data": (str(reviews_csv),), "validation_split": 0.25} | (data or {})),
            tokens=TokensConfig(**{"max_length": 16, "cache_dir": str(root / "cache")} | (tokens or {})),
            model=ModelConfig(model=str(tiny_checkpoint)),
            fit=FitConfig(**{"epochs": 4, "seed": 0, "monitor": "val_accuracy"} | fit),
            run=RunConfig(**{"output": output, "resume": "auto", "max_hours": SECONDS / 3600} | (run or {})),
        )

    yield make
    left = processes_in(root)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    assert not left, "processes are left behind"


def processes_in(folder, seconds=20.0):
    """Processes with a path in a folder among their arguments, that do not end within some seconds."""
    deadline = time.monotonic() + seconds
    while found := [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if names(path, folder)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return found


def names(path, folder):
    try:
        return str(folder).encode() in path.read_bytes()
    except OSError:
        return False


@pytest.fixture(scope="session")
def searches():
    """The process that forks one for each search."""
    with Searches() as server:
        yield server


@pytest.fixture(scope="session")
def whole(make_config):
    """The trials of a search that was not interrupted; made once."""

    def make(algorithm, **settings):
        config = make_config()
        search(config, algorithm, **settings)
        return trials_of(config)

    return functools.cache(make)
