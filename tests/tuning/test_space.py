"""What may be searched, and what each mistake is told."""

import pytest

from tf_finetune.errors import ConfigError
from tf_finetune.tuning.space import Space, read_space

RATE = "fit.learning_rate"


def test_lists_and_ranges():
    given = {
        RATE: {"min": "1e-5", "max": 2e-4, "sampling": "log"},
        "fit.batch_size": (8, 16),
        "fit.epochs": {"min": 2, "max": 6, "step": 2},
        "model.freeze": [None, "embeddings"],
        "fit.weight_decay": {"min": 0, "max": 1},
        "data.max_train_samples": [100, None],
    }
    space = Space.from_dict(given)
    assert space.names == tuple(given)
    rate, batch, epochs, freeze, decay, samples = space.dimensions
    assert (rate.low, rate.high, rate.step, rate.log, rate.values) == (1e-5, 2e-4, None, True, ())
    assert (batch.values, batch.is_ordered) == ((8, 16), True)
    assert (epochs.low, epochs.high, epochs.step, epochs.log) == (2, 6, 2, False)
    assert (freeze.values, freeze.is_ordered, samples.is_ordered) == ((None, "embeddings"), False, False)
    assert isinstance(decay.low, float) and isinstance(epochs.low, int)


def test_a_space_is_itself_again():
    space = Space.from_dict({RATE: {"min": 1e-5, "max": 2e-4, "sampling": "log"}, "fit.epochs": {"min": 2, "max": 6}})
    assert Space.from_dict(space.to_dict()) == space
    assert space.to_dict()["fit.epochs"] == {"min": 2, "max": 6}


MISTAKES = [
    ({}, "The space is empty: there is nothing to search. Name options, as in fit.batch_size."),
    ({"learning_rate": [1e-5, 2e-5]}, "`learning_rate`: expected a dotted name. Did you mean fit.learning_rate?"),
    ({"rate": [1, 2]}, "`rate`: expected a dotted name, as in fit.learning_rate."),
    ({"fits.learning_rate": [1, 2]}, "`fits.learning_rate`: expected a dotted name"),
    ({"fit.learning_rat": [1, 2]}, "learning_rat.*learning_rate"),
    ({"fit.seed": [1, 2]}, "fit.seed cannot be searched: a better seed is luck"),
    ({"fit.monitor": ["val_loss", "val_accuracy"]}, "fit.monitor cannot be searched: it is the objective"),
    ({"model.devices": ["cpu", "gpu"]}, "model.devices cannot be searched: it has no effect on the score."),
    ({"data.validation_split": [0.1, 0.2]}, "scores are compared on the same validation rows."),
    ({"run.save_every": ["auto", "epoch"]}, "run.save_every cannot be searched: it has no effect on the score."),
    ({RATE: 3e-5}, "fit.learning_rate: expected a list of values, or min and max. Received: 3e-05. One value for all"),
    ({RATE: [3e-5]}, r"fit.learning_rate: expected two or more values, all different. Received: \[3e-05\]."),
    ({RATE: [3e-5, 3e-5]}, "two or more values, all different"),
    ({"fit.batch_size": [8, 16, 8]}, "two or more values, all different"),
    ({RATE: [-1, 1e-5]}, "fit.learning_rate: expected .*Received: -1"),
    ({"fit.batch_size": [8, 16.5]}, "fit.batch_size: expected .*Received: 16.5"),
    ({RATE: {"min": 1e-5, "max": 1e-4, "log": True}}, "a range has min, max, step, sampling. Received: 'log'."),
    ({"model.freeze": {"min": 1, "max": 2}}, "model.freeze: expected a list of values: it is no number"),
    ({RATE: {"min": 1e-5}}, "fit.learning_rate: a range needs both min and max."),
    ({RATE: {"min": "low", "max": 1e-4}}, "fit.learning_rate: expected .*Received: 'low'"),
    ({RATE: {"min": 1e-4, "max": 1e-5}}, "min must be below max. Received: 0.0001 and 1e-05."),
    ({"fit.patience": {"min": None, "max": 3}}, "min must be below max. Received: None and 3."),
    ({RATE: {"min": 1e-5, "max": 1e-4, "sampling": "cubic"}}, "sampling is linear or log. Received: 'cubic'."),
    ({"fit.weight_decay": {"min": 0.0, "max": 1, "sampling": "log"}}, "must lie above 0. Received: min 0.0."),
    ({RATE: {"min": 1e-5, "max": 1e-4, "step": 1e-5, "sampling": "log"}}, "a step does not go with sampling: log."),
    (
        {RATE: {"min": 1e-5, "max": 1e-4, "step": 1}},
        "step must be a number above 0 and at most max - min. Received: 1.",
    ),
    ({"fit.epochs": {"min": 1, "max": 4, "step": 1.5}}, "step must be a whole number above 0"),
    ({"fit.epochs": {"min": 1, "max": 4, "step": 0}}, "step must be a whole number above 0"),
    ({"fit.epochs": {"min": 1, "max": 4, "step": True}}, "step must be a whole number above 0"),
    ({"fit.epochs": {"min": 1, "max": 4, "step": float("inf")}}, "step must be a whole number above 0"),
]


@pytest.mark.parametrize(("space", "words"), MISTAKES)
def test_each_mistake_is_named(space, words):
    with pytest.raises(ConfigError, match=words):
        Space.from_dict(space)


def test_all_mistakes_are_named_at_once():
    with pytest.raises(ConfigError, match=r"(?s)^2 faults.*space: fit.seed.*space: fit.epochs: expected a list"):
        Space.from_dict({"fit.seed": [1, 2], "fit.batch_size": [8, 16], "fit.epochs": 3})


def test_a_space_file(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(
        "# what to try\nfit.batch_size: [8, 16]\nfit.learning_rate:\n  min: 1e-5\n  max: 1e-4\n  sampling: log\n"
        "model.freeze: [null, embeddings]\n"
    )
    space = read_space(path)
    assert space.names == ("fit.batch_size", RATE, "model.freeze")
    assert space.dimensions[2].values == (None, "embeddings")


FILES = [
    ("fit.batch_size: [8, 16]\nfit.seed: [1, 2]\n", r"space.yaml:2: fit.seed cannot be searched"),
    ("fit.batch_size: [8, 16]\nfit.batch_size: [8, 32]\n", r"space.yaml:2"),
    ("- fit.batch_size\n", "space.yaml"),
    ("fit.batch_size: [8, 16\n", "space.yaml"),
    ("", "expected names with values. Received: nothing."),
    ("fit:\n  batch_size: 8\n", "space.yaml:1: `fit`: expected a dotted name"),
    ("fit.batch_size: !!python/object/apply:os.system ['true']\n", "space.yaml"),
]


@pytest.mark.parametrize(("text", "words"), FILES)
def test_mistakes_of_a_file_have_their_line(tmp_path, text, words):
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_space(path)


def test_no_file(tmp_path):
    with pytest.raises(ConfigError, match="--space.*missing.yaml|missing.yaml.*--space|missing.yaml"):
        read_space(tmp_path / "missing.yaml")
