"""A search that is gone on with is the same search, or it is refused with the difference."""

import dataclasses

import pytest

from tests.conftest import tiny_rows, write_csv
from tests.tuning.search_process import SPACE, folder_of, search, trials_of
from tf_finetune.errors import ConfigError, FinetuneError, RunError, TuningError
from tf_finetune.tuning.space import Space

TRIALS = 3


@pytest.fixture(scope="module")
def done(make_config):
    """A search that was made."""
    config = make_config()
    search(config, max_trials=TRIALS)
    return config


def changed(config, **sections):
    """A configuration with other values in its sections."""
    return dataclasses.replace(
        config, **{name: dataclasses.replace(getattr(config, name), **values) for name, values in sections.items()}
    )


OTHER_SPACES = [
    ({**SPACE, "fit.batch_size": [8, 16]}, r"space.fit.batch_size: \[8, 16, 32\].*\[8, 16\]"),
    ({**SPACE, "fit.learning_rate": {"min": 1e-5, "max": 2e-4}}, "space.fit.learning_rate.sampling"),
    ({**SPACE, "model.freeze": [None, "embeddings"]}, "space.model.freeze"),
]


@pytest.mark.parametrize(("space", "words"), OTHER_SPACES)
def test_another_space_is_refused(done, space, words):
    with pytest.raises(ConfigError, match=f"(?s)another search than the one begun.*{words}.*--max-trials"):
        search(done, space=space, max_trials=TRIALS)


OTHER_SETTINGS = [
    ("bayesian", {}, "algorithm: random.*bayesian"),
    ("random", {"objective": "val_loss"}, "objective: val_accuracy.*val_loss"),
    ("random", {"prune": "median"}, "prune: none.*median"),
]


@pytest.mark.parametrize(("algorithm", "settings", "words"), OTHER_SETTINGS)
def test_another_way_to_search_is_refused(done, algorithm, settings, words):
    with pytest.raises(ConfigError, match=f"(?s)another search.*{words}"):
        search(done, algorithm, max_trials=TRIALS, **settings)


OTHER_CONFIGS = [
    ({"fit": {"seed": 1}}, r"fit.seed: 0.*1"),
    ({"fit": {"learning_rate": 1e-4}}, "fit.learning_rate: 5e-05.*0.0001"),
    ({"fit": {"epochs": 5}}, "fit.epochs: 4.*5"),
    ({"tokens": {"max_length": 12}}, "tokens.max_length: 16.*12"),
    ({"data": {"validation_split": 0.5}}, "data.validation"),
]


@pytest.mark.parametrize(("sections", "words"), OTHER_CONFIGS)
def test_another_configuration_is_refused(done, sections, words):
    with pytest.raises((ConfigError, TuningError), match=f"(?s){words}"):
        search(changed(done, **sections), max_trials=TRIALS)


def test_other_rows_are_refused(done, tmp_path):
    other = write_csv(tmp_path / "other.csv", tiny_rows(100))
    with pytest.raises(TuningError, match="(?s)not be comparable.*data.train.*--force"):
        search(changed(done, data={"data": (str(other),)}), max_trials=TRIALS)


def test_other_rows_by_force(make_config, tmp_path):
    config = make_config()
    search(config, max_trials=2)
    before = trials_of(config)
    other = write_csv(tmp_path / "other.csv", tiny_rows(100))
    forced = changed(config, data={"data": (str(other),)}, run={"force": True})
    search(forced, max_trials=TRIALS)
    assert trials_of(config)[:2] == before
    assert len(trials_of(config)) == TRIALS


FORCED = [({"fit": {"seed": 1}}, "seed: 0.*1"), ({"fit": {"learning_rate": 1e-4}}, "5e-05.*0.0001")]


@pytest.mark.parametrize(("sections", "words"), FORCED)
def test_what_the_trials_follow_from_is_not_forced(done, sections, words):
    """With another seed or baseline the search would not draw the trials that it has."""
    with pytest.raises(ConfigError, match=f"(?s)another search.*{words}"):
        search(changed(done, **sections, run={"force": True}), max_trials=TRIALS)


def test_a_refusal_changes_nothing(done):
    before = {path: path.read_bytes() for path in folder_of(done).path.rglob("*") if path.is_file()}
    with pytest.raises(FinetuneError):
        search(changed(done, fit={"seed": 1}), max_trials=TRIALS)
    assert {path: path.read_bytes() for path in folder_of(done).path.rglob("*") if path.is_file()} == before


def test_a_search_is_not_overwritten(done):
    with pytest.raises(RunError, match="holds a search, which is not overwritten. .* tune --resume "):
        search(changed(done, run={"resume": None}), max_trials=TRIALS)


def test_no_search_to_go_on_with(make_config):
    config = make_config()
    with pytest.raises(RunError, match="holds no search. Give the folder of one."):
        search(changed(config, run={"resume": config.run.output}), max_trials=TRIALS)


def test_more_trials_without_the_space_and_no_fewer(make_config, whole):
    from tf_finetune.tuning.search import Search

    config = make_config()
    search(config, max_trials=TRIALS)
    search(config, space=Search.read(folder_of(config)).space, max_trials=5, keep=1)
    assert trials_of(config) == whole("random", max_trials=5)
    assert Search.read(folder_of(config)).settings.max_trials == 5
    search(config, max_trials=2)
    assert trials_of(config) == whole("random", max_trials=5)


DAMAGES = [
    ("search.json", lambda text: text[:50], "Cannot read"),
    ("search.json", lambda text: text.replace('"format": 1', '"format": 9'), "reads format 1"),
    ("search.json", lambda text: text.replace('"max_trials"', '"most_trials"'), "is damaged"),
    ("trials.jsonl", lambda text: text.replace("begin", "began", 1), "trials.jsonl:1 is damaged"),
]


@pytest.mark.parametrize(("name", "damage", "words"), DAMAGES)
def test_damaged_files_are_refused(make_config, name, damage, words):
    config = make_config()
    search(config, max_trials=2)
    path = folder_of(config).path / name
    path.write_text(damage(path.read_text()))
    with pytest.raises(RunError, match=words):
        search(config, max_trials=TRIALS)


REFUSED_AT_ONCE = [
    ("hyperband", {"fit.epochs": [2, 4]}, {}, "chooses the epochs"),
    ("grid", {"fit.learning_rate": {"min": 1e-5, "max": 1e-4}}, {}, "a grid needs a list of values"),
    ("random", {"fit.label_smoothing": [0.0, 0.1]}, {"objective": "val_loss"}, "a loss of its own"),
    ("random", {"tokens.max_length": [16, 128]}, {}, "tokens.max_length: 128: .*64"),
    ("random", {"model.freeze": [None, "embeddings,7"]}, {}, "model.freeze: embeddings,7: "),
]


@pytest.mark.parametrize(("algorithm", "space", "settings", "words"), REFUSED_AT_ONCE)
def test_a_space_that_cannot_be_searched_is_refused_before_a_trial(make_config, algorithm, space, settings, words):
    config = make_config()
    with pytest.raises(ConfigError, match=words):
        search(config, algorithm, space=space, **settings)
    assert not folder_of(config).trials.exists()


def test_a_space_may_be_a_file(make_config, tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text("fit.batch_size: [8, 16]\nfit.learning_rate: {min: 1e-5, max: 1e-4, sampling: log}\n")
    config = make_config()
    found = search(config, space=path, max_trials=2)
    assert list(found.trials[1].values) == ["fit.batch_size", "fit.learning_rate"]
    assert Space.from_dict({"fit.batch_size": [8, 16]}).names == ("fit.batch_size",)
