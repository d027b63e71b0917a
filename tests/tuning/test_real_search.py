"""Searches that train a tiny BERT: real processes, real scores; and the refit of the best values."""

import csv
import hashlib
import json
import shutil

import pytest

from tests.conftest import unseen_rows, write_csv
from tf_finetune.config import Config, DataConfig, FitConfig, ModelConfig, RunConfig, TokensConfig, resolve_config
from tf_finetune.errors import RunError
from tf_finetune.run import ModelFolder
from tf_finetune.training.fit import fit
from tf_finetune.tuning.assignment import read_history
from tf_finetune.tuning.refit import refit
from tf_finetune.tuning.settings import TuneConfig
from tf_finetune.tuning.trial_config import trial_config
from tf_finetune.tuning.tune import tune

SPACE = {"fit.learning_rate": [3e-4, 1e-3, 3e-3], "fit.batch_size": [8, 16], "model.freeze": [None, "embeddings"]}


@pytest.fixture(scope="module")
def config(tiny_checkpoint, reviews_csv, tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    test = write_csv(folder / "test.csv", unseen_rows(24))
    return Config(
        data=DataConfig(data=(str(reviews_csv),), test=(str(test),), validation_split=0.25),
        tokens=TokensConfig(max_length=16, cache_dir=str(folder / "tables")),
        model=ModelConfig(model=str(tiny_checkpoint)),
        fit=FitConfig(epochs=2, batch_size=8, learning_rate=1e-3, seed=1, monitor="val_loss"),
        run=RunConfig(output=str(folder / "model"), resume="auto"),
    )


@pytest.fixture(scope="module")
def searched(config):
    return tune(config, SPACE, settings=TuneConfig(max_trials=2, keep=1))


def test_each_trial_is_a_run_without_test_rows(searched):
    assert [trial.status for trial in searched.trials] == ["completed", "completed"]
    for trial in searched.trials:
        folder = searched.folder.trial(trial.id)
        scores = [values["val_loss"] for values in read_history(folder)]
        assert trial.score == min(scores)
        assert trial.best_epoch == scores.index(trial.score) + 1
        assert set(json.loads(folder.metrics.read_text())) == {"validation"}
        assert not folder.card.exists()
        recorded = resolve_config(file=folder.config)
        assert {name: getattr(recorded.fit, name.split(".")[1]) for name in trial.values if "fit." in name} == {
            name: value for name, value in trial.values.items() if "fit." in name
        }
    first = searched.trials[0]
    assert first.is_baseline
    assert first.values == {"fit.learning_rate": 1e-3, "fit.batch_size": 8, "model.freeze": None}


def test_the_search_leaves_a_table_a_report_and_the_best_configuration(searched):
    with open(searched.folder.table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["0000", "0001"]
    assert [float(row["score"]) for row in rows] == [trial.score for trial in searched.trials]
    assert "<svg" in searched.folder.report.read_text()
    best = resolve_config(file=searched.folder.best)
    assert best.fit.learning_rate == searched.best.values["fit.learning_rate"]


def test_the_difference_is_that_of_both_trials(searched):
    if searched.best.is_baseline:
        assert searched.conclusion.difference is None
    else:
        difference = searched.conclusion.difference
        assert difference.estimate == pytest.approx(searched.best.score - searched.trials[0].score, abs=1e-5)
        assert difference.low <= difference.estimate <= difference.high


def test_the_refit_gives_the_score_again_and_scores_the_test_rows(searched, tmp_path):
    shutil.copytree(searched.folder.model.path, tmp_path / "model")
    folder = tmp_path / "model"
    text = (folder / "tune" / "best.yaml").read_text().replace(str(searched.folder.model.path), str(folder))
    (folder / "tune" / "best.yaml").write_text(text)
    found = refit(folder, seeds=2)
    assert found.is_reproduced
    assert found.score == searched.best.score
    assert found.export == folder / "1"
    assert [run.seed for run in found.runs] == [1, 2]
    assert all(run.test_scores.rows == 24 for run in found.runs)
    assert digest(ModelFolder(folder).model / "model.safetensors") == digest(
        searched.folder.trial(searched.best.id).model / "model.safetensors"
    )
    labels = [json.loads(run.run.environment.read_text())["identity"]["data"] for run in found.runs]
    assert labels[0] == labels[1], "another seed must not move rows between training and validation"
    assert found.runs[1].run.path == folder / "tune" / "refit" / "seed-2"
    assert [run.run.card.exists() for run in found.runs] == [True, False]
    before = found.runs[1].run.complete.stat().st_mtime_ns
    again = refit(folder, seeds=2)
    assert again.to_dict() == found.to_dict()
    assert again.runs[1].run.complete.stat().st_mtime_ns == before, "what is there is not trained twice"


def test_a_refit_does_not_replace_another_run(searched, tiny_run, tmp_path):
    shutil.copytree(searched.folder.model.path, tmp_path / "model")
    folder = tmp_path / "model"
    shutil.copytree(tiny_run.run.run, folder / "run", dirs_exist_ok=True)
    text = (folder / "tune" / "best.yaml").read_text().replace(str(searched.folder.model.path), str(folder))
    (folder / "tune" / "best.yaml").write_text(text)
    with pytest.raises(RunError, match=r"holds another run.*--overwrite"):
        refit(folder)


def test_a_refit_needs_a_search(tmp_path):
    with pytest.raises(RunError, match="holds no search"):
        refit(tmp_path)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["grid", "bayesian", "random"])
def test_a_real_search_by_each_algorithm(config, tmp_path, algorithm):
    run = RunConfig(output=str(tmp_path / "model"))
    changed = Config(data=config.data, tokens=config.tokens, model=config.model, fit=config.fit, run=run)
    result = tune(changed, SPACE, settings=TuneConfig(algorithm=algorithm, max_trials=5))
    assert [trial.status for trial in result.trials] == ["completed"] * 5
    assert len({tuple(trial.values.items()) for trial in result.trials}) == 5
    assert result.best.score <= result.trials[0].score


@pytest.mark.slow
def test_a_promoted_trial_goes_on_exactly(config, tmp_path):
    fit_section = FitConfig(epochs=4, batch_size=8, learning_rate=1e-3, seed=1, monitor="val_loss")
    run = RunConfig(output=str(tmp_path / "model"))
    changed = Config(data=config.data, tokens=config.tokens, model=config.model, fit=fit_section, run=run)
    result = tune(changed, SPACE, settings=TuneConfig(algorithm="hyperband", factor=2))
    promoted = [trial for trial in result.trials if trial.parent is not None]
    assert promoted
    last = max(promoted, key=lambda trial: trial.epochs)
    assert last.epochs == 4
    whole = fit(trial_config(changed, last.values, output=str(tmp_path / "whole")), uses_test=False)
    assert read_history(result.folder.trial(last.id)) == read_history(whole.run)
    parent = read_history(result.folder.trial(last.parent))
    assert read_history(whole.run)[: len(parent)] == parent
