"""What `fit` does for a search: stops where it is told, leaves the test rows alone, keeps what can be gone on with."""

import csv
import hashlib

import numpy as np
import pytest

from tests.conftest import unseen_rows, write_csv
from tests.training.conftest import change
from tf_finetune.errors import RunError
from tf_finetune.evaluation.logits import read_logits, write_logits
from tf_finetune.files import read_json
from tf_finetune.training.fit import fit
from tf_finetune.tuning.assignment import read_history


@pytest.fixture
def config(short_config, tmp_path):
    return change(short_config, run={"output": str(tmp_path / "run"), "resume": None})


def digest(folder):
    return hashlib.sha256((folder.model / "model.safetensors").read_bytes()).hexdigest()


def test_a_run_that_was_stopped_after_an_epoch_goes_on_as_if_it_had_not_been(config, tmp_path):
    config = change(config, fit={"epochs": 3, "monitor": "val_macro_f1"}, run={"save_every": "auto"})
    whole = fit(change(config, run={"output": str(tmp_path / "whole")}))
    seen = []

    def stops(history):
        seen.append(len(history))
        return len(history) == 2

    first = fit(change(config, run={"output": str(tmp_path / "part")}), stops=stops, keeps_checkpoints=True)
    assert seen == [1, 2]
    assert read_history(first.run) == read_history(whole.run)[:2]
    assert first.run.checkpoints.is_dir()
    first.run.complete.unlink()  # as a trial does that goes on from another one's folder
    last = fit(change(config, run={"output": str(tmp_path / "part"), "resume": "auto"}))
    assert last.run.history.read_text() == whole.run.history.read_text()
    assert digest(last.run) == digest(whole.run)
    assert not last.run.checkpoints.exists()


def test_a_run_that_should_have_stopped_before_is_not_trained_on(config, tmp_path):
    config = change(config, fit={"epochs": 3}, run={"save_every": "epoch", "output": str(tmp_path / "run")})
    first = fit(config, stops=lambda history: len(history) == 1, keeps_checkpoints=True)
    before = first.run.history.read_text()
    first.run.complete.unlink()
    again = fit(change(config, run={"resume": "auto"}), stops=lambda history: len(history) >= 1)
    assert again.run.history.read_text() == before


def test_test_rows_are_left_alone(config, tmp_path):
    test = write_csv(tmp_path / "test.csv", unseen_rows(8))
    config = change(config, data={"test": (str(test),)}, fit={"epochs": 1})
    found = fit(config, uses_test=False)
    assert found.test_scores is None
    assert set(read_json(found.run.metrics)) == {"validation"}
    assert read_json(found.run.environment)["identity"]["data"]["test"] is None


def test_macro_f1_is_monitored_and_is_that_of_the_scores(config):
    found = fit(change(config, fit={"epochs": 2, "monitor": "val_macro_f1"}))
    with open(found.run.history, newline="") as file:
        rows = list(csv.DictReader(file))
    values = [float(row["val_macro_f1"]) for row in rows]
    assert found.best_epoch == 1 + values.index(max(values))
    assert found.scores.macro_f1 == pytest.approx(max(values), abs=1e-6)


def test_the_logits_are_those_that_were_scored(tiny_run):
    labels, logits = read_logits(tiny_run.run.validation_logits)
    assert labels.dtype == np.int32
    assert len(labels) == tiny_run.scores.rows
    assert np.mean(logits.argmax(1) == labels) == pytest.approx(tiny_run.scores.accuracy)


def test_damaged_logits_are_refused(tmp_path):
    path = tmp_path / "logits.npz"
    with pytest.raises(RunError, match="Cannot read"):
        read_logits(path)
    path.write_bytes(b"no archive")
    with pytest.raises(RunError, match="Cannot read"):
        read_logits(path)
    write_logits(path, np.zeros(3), np.zeros((2, 2)))
    with pytest.raises(RunError, match="is damaged"):
        read_logits(path)
    np.savez(path, labels=np.array([{}], object), logits=np.zeros((1, 2)))  # as a pickle
    with pytest.raises(RunError, match="Cannot read"):
        read_logits(path)


def test_a_configuration_comes_back_from_its_dictionary(config):
    from tf_finetune.config import Config
    from tf_finetune.errors import ConfigError

    assert Config.from_dict(config.to_dict()) == config
    for broken in ({"fit": {"no_such": 1}}, {"no_such": {}}, {"fit": 3}, {"fit": {"epochs": 0}}):
        with pytest.raises(ConfigError):
            Config.from_dict(broken)
