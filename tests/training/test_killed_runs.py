"""A run that was killed, anywhere and several times, ends byte for byte as one that was not."""

import collections
import functools
import json
import random
from pathlib import Path

import pytest

from tests.conftest import save_tiny_tokenizer, tiny_model, unseen_rows, write_csv
from tests.training.victims import KILLED, Victims
from tf_finetune.config import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
from tf_finetune.run import ModelFolder

UPDATES = 18  # 2 epochs of 9
HASHES = ("weights_sha256", "optimizer_sha256", "history_sha256", "updates", "best_epoch", "epochs")
BERT = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
KINDS = {
    "bert": ("TFBertModel", BERT),
    "bert of two layers": ("TFBertModel", {**BERT, "num_hidden_layers": 2}),
    "deberta-v2": ("TFDebertaV2Model", {**BERT, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "distilbert": ("TFDistilBertModel", {"hidden_dim": 64, "dropout": 0.1, "attention_dropout": 0.1}),
    "roberta": ("TFRobertaModel", {**BERT, "max_position_embeddings": 66, "pad_token_id": 0}),
}
"""Classes and settings of tiny models with dropout, of one layer unless they say otherwise."""


@pytest.fixture(scope="module")
def victims():
    with Victims() as server:
        yield server


@pytest.fixture(scope="module")
def dropping(tmp_path_factory):
    """Folder of a random checkpoint of a kind, made once."""

    @functools.cache
    def make(kind):
        from tf_finetune.backend import keras

        folder = tmp_path_factory.mktemp("checkpoint") / kind
        keras.utils.set_random_seed(7)
        name, settings = KINDS[kind]
        model = tiny_model(name, len(save_tiny_tokenizer(folder)), **{"num_hidden_layers": 1} | settings)
        model.save_pretrained(str(folder), safe_serialization=True)
        return folder

    return make


@pytest.fixture(scope="module")
def configure(dropping, reviews_csv, tmp_path_factory):
    """Makes a configuration of a short run with dropout, in a folder of its own."""
    cache = tmp_path_factory.mktemp("cache")

    def make(kind="bert", *, data=None, fit=None, model=None, save_every="4steps,epoch"):
        return Config(
            data=DataConfig(data=(str(reviews_csv),), validation_split=0.25, **data or {}),
            tokens=TokensConfig(max_length=16, cache_dir=str(cache)),
            model=ModelConfig(model=str(dropping(kind)), **model or {}),
            fit=FitConfig(**{"epochs": 2, "batch_size": 8, "learning_rate": 3e-3, "seed": 1} | (fit or {})),
            export=ExportConfig(export=False),
            run=RunConfig(output=str(tmp_path_factory.mktemp("run") / "m"), save_every=save_every, resume="auto"),
        )

    return make


@pytest.fixture(scope="module")
def whole(victims, configure):
    """What a run of a kind with an encoder ends with that is not killed; made once."""
    return functools.cache(lambda kind, encoder: finish(victims, configure(kind, model={"encoder": encoder}), []))


def finish(victims, config, kills, **options):
    """Runs, and dies, and goes on until the run is finished; what it ends with, and its losses."""
    losses = Path(config.run.output + "-losses")
    for kill in kills:
        assert victims.run(config, losses=losses, kill=kill, **options) == KILLED, (kill, error_of(losses))
    assert victims.run(config, losses=losses, **options) == 0, error_of(losses)
    folder = ModelFolder(Path(config.run.output))
    assert not folder.checkpoints.exists()
    complete = json.loads(folder.complete.read_text())
    assert bool(complete["resumed_at"]) == bool(kills)  # those that came to save
    ends = {name: complete[name] for name in HASHES}
    return ends | {"metrics": folder.metrics.read_text()}, read_losses(losses)


def error_of(losses):
    error = Path(f"{losses}.error")
    return error.read_text() if error.exists() else ""


def read_losses(path):
    """Every loss that was seen of each update, as text, with the number that the optimizer had counted."""
    losses = collections.defaultdict(set)
    for line in path.read_text().splitlines():
        step, *rest = line.split()
        losses[int(step)].add(tuple(rest))
    return losses


def random_kills(seed, count, places=("update", "validation", "write")):
    """Places to die at, each kind at least once."""
    chance = random.Random(seed)
    kills = {
        "update": lambda: chance.randint(1, 8),
        "validation": lambda: chance.randint(1, 3),
        "write": lambda: chance.randint(1, 2),
        "seconds": lambda: chance.uniform(0.0, 0.2),
    }
    drawn = [*places, *chance.choices(places, k=count - len(places))]
    return [(place, kills[place]()) for place in chance.sample(drawn, count)]


def assert_same(killed, whole):
    """Both ended with the same bytes, and computed each update to the last bit each time."""
    (ends, again), (expected, once) = killed, whole
    assert again == once and sum(map(len, again.values())) == expected["updates"] == len(once)
    assert ends == expected
    assert all(counted == str(step) for step, seen in again.items() for _, counted in seen)


@pytest.mark.parametrize(
    ("kind", "encoder", "kills"),
    [("bert", "unpadded", random_kills(4, 3)), ("distilbert", "model", [("update", 6)])],
    ids=["unpadded", "model"],
)
def test_a_killed_run_ends_as_one_that_was_not(victims, configure, whole, kind, encoder, kills):
    killed = finish(victims, configure(kind, model={"encoder": encoder}), kills)
    assert_same(killed, whole(kind, encoder))
    assert killed[0]["updates"] == UPDATES


@pytest.mark.parametrize(
    ("kind", "encoder", "patch"), [("bert", "unpadded", "lose dropout"), ("distilbert", "model", "forget dropout")]
)
def test_without_dropouts_state_it_would_end_otherwise(victims, configure, kind, encoder, patch):
    """A control: what is compared sees dropout. The first process is killed when it has trained to the end."""
    config = configure(kind, model={"encoder": encoder}, save_every="4steps")
    losses, history = Path(config.run.output + "-losses"), ModelFolder(Path(config.run.output)).history
    assert victims.run(config, losses=losses, kill=("score", 1), patches=[patch]) == KILLED, error_of(losses)
    once, expected = read_losses(losses), history.read_text()
    assert victims.run(config, losses=losses, patches=[patch]) == 0, error_of(losses)
    again, found = read_losses(losses), history.read_text()
    assert [step for step in again if again[step] != once[step]] == [17, 18]  # those after the last checkpoint
    assert found != expected and len(once) == UPDATES


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["unpadded", "model"])
def test_25_kills_anywhere(victims, configure, encoder):
    """Some of the kills come at any time, from outside."""
    settings = {"kind": "bert of two layers", "fit": {"epochs": 30}, "model": {"encoder": encoder}}
    kills = random_kills(25, 25, ("update", "validation", "write", "seconds"))
    killed = finish(victims, configure(**settings), kills)
    assert_same(killed, finish(victims, configure(**settings), []))


OWN = {"encoder": "model"}
UNUSUAL_LOSS = {"class_weights": "positive=2", "label_smoothing": 0.1, "weight_decay": 0.01}
WAYS = {
    "exact batches": {"model": OWN, "fit": {"batching": "exact"}},
    "plain batches": {"fit": {"batching": "plain"}},
    "accumulated": {"model": OWN, "fit": {"gradient_accumulation": 2}},
    "token budget": {"model": OWN, "fit": {"token_budget": 40}},
    "bfloat16": {"model": {"precision": "mixed_bfloat16"}},
    "float16": {"model": {"precision": "mixed_float16"}, "patches": ["grow loss scale"]},
    "XLA": {"model": {"jit_compile": True}},
    "loss": {"model": OWN, "fit": UNUSUAL_LOSS},
    "frozen": {"kind": "bert of two layers", "model": {**OWN, "freeze": "embeddings,0"}},
    "unpadded": {
        "kind": "bert of two layers",
        "model": {"encoder": "unpadded", "freeze": "embeddings,0"},
        "fit": {"gradient_accumulation": 2, "token_budget": 40, **UNUSUAL_LOSS},
    },
    "with all that is written": {"test": 24, "model": OWN, "fit": {"monitor": "val_loss", "tracker": ("tensorboard",)}},
    "deberta-v2": {"kind": "deberta-v2"},
    "distilbert": {"kind": "distilbert"},
    "roberta": {"kind": "roberta", "model": OWN},
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_killed_run_ends_as_one_that_was_not_in_every_way(victims, configure, tmp_path, way):
    """Killed in the middle of an epoch, in a write, and in a validation whose epoch is saved already."""
    settings = {"save_every": "3steps,epoch", **WAYS[way]}
    patches = settings.pop("patches", ())
    settings["fit"] = {"epochs": 3, **settings.get("fit", {})}
    test = settings.pop("test", 0)
    settings["data"] = {"test": (str(write_csv(tmp_path / "test.csv", unseen_rows(test))),)} if test else {}
    kills = [("update", 4), ("write", 2), ("validation", 1)]
    killed, whole = (finish(victims, configure(**settings), k, patches=patches) for k in (kills, []))
    assert_same(killed, whole)


@pytest.mark.slow
def test_a_run_that_stopped_early_and_was_killed_afterwards(victims, configure):
    settings = {"fit": {"epochs": 6, "patience": 1, "learning_rate": 1e-7}, "model": OWN}
    expected = finish(victims, configure(**settings), [])
    assert expected[0]["epochs"] == 2
    assert_same(finish(victims, configure(**settings), [("update", 15), ("score", 1), ("score", 1)]), expected)


@pytest.mark.slow
def test_on_two_replicas_it_ends_close(victims, configure):
    """With one row more on one of them, which so draws more of dropout."""
    import numpy as np
    from safetensors.numpy import load_file

    def weights(kills):
        config = configure(model=OWN, fit={"batch_size": 15})
        finish(victims, config, kills, patches=["two replicas"])
        return load_file(ModelFolder(Path(config.run.output)).model / "model.safetensors")

    expected, found = weights([]), weights([("update", 5), ("validation", 1), ("write", 1)])
    assert all(np.allclose(found[name], value, atol=1e-5) for name, value in expected.items())
