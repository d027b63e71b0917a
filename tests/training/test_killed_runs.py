"""A run that was killed, anywhere and several times, ends byte for byte as one that was not."""

import collections
import json
import random
from pathlib import Path

import pytest

from tests.training.victims import KILLED, Victims
from tf_finetune.config import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
from tf_finetune.run import ModelFolder

UPDATES = 18  # 2 epochs of 9
HASHES = ("weights_sha256", "optimizer_sha256", "history_sha256", "updates", "best_epoch", "epochs")


@pytest.fixture(scope="module")
def victims():
    with Victims() as server:
        yield server


@pytest.fixture
def configure(dropping_checkpoint, reviews_csv, tmp_path):
    """Makes a configuration of a short run with dropout."""

    def make(name, *, fit=None, model=None, **run):
        return Config(
            data=DataConfig(data=(str(reviews_csv),), validation_split=0.25),
            tokens=TokensConfig(max_length=16, cache_dir=str(tmp_path / "cache")),
            model=ModelConfig(model=str(dropping_checkpoint), **model or {}),
            fit=FitConfig(**{"epochs": 2, "batch_size": 8, "learning_rate": 3e-3, "seed": 1} | (fit or {})),
            export=ExportConfig(export=False),
            run=RunConfig(output=str(tmp_path / name), save_every="4steps,epoch", resume="auto", **run),
        )

    return make


def finish(victims, config, kills, **options):
    """Runs, and dies, and goes on until the run is finished; what it ends with, and its losses."""
    losses = Path(config.run.output + "-losses")
    for kill in kills:
        assert victims.run(config, losses=losses, kill=kill, **options) == KILLED, kill
    code = victims.run(config, losses=losses, **options)
    error = Path(f"{losses}.error")
    assert code == 0, error.read_text() if error.exists() else code
    folder = ModelFolder(Path(config.run.output))
    assert not folder.checkpoints.exists()
    complete = json.loads(folder.complete.read_text())
    assert bool(complete["resumed_at"]) == bool(kills)  # those that came to save
    return {name: complete[name] for name in HASHES}, read_losses(losses)


def read_losses(path):
    """Every loss that was seen of each update, as text."""
    losses = collections.defaultdict(set)
    for line in path.read_text().splitlines():
        step, loss = line.split()
        losses[int(step)].add(loss)
    return losses


def random_kills(seed, count):
    """Places to die at, with one inside a write and one inside a validation among them."""
    chance = random.Random(seed)
    places = ["update", "write", "validation", *chance.choices(["update", "write", "validation"], k=count - 3)]
    most = {"update": 3, "write": 1, "validation": 1}
    return [(place, chance.randint(1, most[place])) for place in chance.sample(places, count)]


@pytest.mark.parametrize("encoder", ["unpadded", "model"])
def test_a_killed_run_ends_as_one_that_was_not(victims, configure, encoder):
    model = {"encoder": encoder}
    whole, once = finish(victims, configure("whole", model=model), [])
    kills = [("update", 6), *random_kills(7, 3)]
    killed, again = finish(victims, configure("killed", model=model), kills)
    assert killed == whole
    assert whole["updates"] == UPDATES == len(once)
    assert again == once and sum(map(len, again.values())) == UPDATES  # each re-executed one to the last bit
