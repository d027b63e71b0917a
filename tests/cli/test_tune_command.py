"""``tf-finetune tune``: what it asks of `tune` and `refit`, and what it prints."""

import json
from pathlib import Path

import pytest

from tf_finetune.evaluation.bootstrap import Interval
from tf_finetune.evaluation.metrics import compute_scores
from tf_finetune.run import ModelFolder
from tf_finetune.tuning.conclude import Conclusion
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.refit import Refit, RefitRun
from tf_finetune.tuning.report.importance import Importance
from tf_finetune.tuning.search import Search
from tf_finetune.tuning.settings import TuneConfig
from tf_finetune.tuning.space import Space
from tf_finetune.tuning.trial import Trial
from tf_finetune.tuning.tune import TuneResult

BASELINE = Trial("0000", {"fit.learning_rate": 5e-5}, "completed", score=0.8, best_epoch=2, epochs=3, planned=3)
BEST = Trial("0001", {"fit.learning_rate": 1e-4}, "completed", score=0.85, best_epoch=3, epochs=3, planned=3)
FAILED = Trial("0002", {"fit.learning_rate": 9e-2}, "failed", reason="The loss became nan.")
INTERVAL = Interval(0.05, -0.01, 0.11, 0.95, 2000, 600)


@pytest.fixture
def result(tmp_path):
    trials = (BASELINE, BEST, FAILED)
    importance = Importance("a forest", 9, r2=0.5, shares={"fit.learning_rate": 1.0})
    conclusion = Conclusion(BEST, BASELINE, INTERVAL, importance)
    return TuneResult(TuneFolder(ModelFolder(tmp_path / "model")), "val_accuracy", trials, conclusion, 12.0)


@pytest.fixture
def tuned(verb, result):
    verb = verb("tuning.tune.tune")
    verb.answer = result
    return verb


@pytest.fixture
def refitted(verb, tmp_path):
    import numpy as np

    scores = compute_scores(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]), ("a", "b"))
    runs = (
        RefitRun(42, ModelFolder(tmp_path / "model"), scores, scores),
        RefitRun(43, ModelFolder(tmp_path), scores, None),
    )
    verb = verb("tuning.refit.refit")
    verb.answer = Refit(BEST, runs, 0.85, tmp_path / "model" / "1")
    return verb


def test_flags_of_both_kinds_reach_the_search(run, tuned):
    words = (
        "tune --epochs 2 --objective val_macro_f1 --algorithm grid --max-trials 7 --workers 2 --keep 1 --space s.yaml"
    )
    assert run(*words.split()).code == 0
    (config, space), settings = tuned.calls[0][0], tuned.calls[0][1]["settings"]
    assert config.fit.epochs == 2
    assert space == "s.yaml"
    assert settings == TuneConfig(algorithm="grid", max_trials=7, objective="val_macro_f1", workers=2, keep=1)


def test_what_was_found_is_printed(run, tuned):
    outcome = run("tune")
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["trial", "val_accuracy", "epoch", "learning_rate"]
    assert lines[1].split() == ["0001", "0.8500", "3/3", "0.0001"]
    assert lines[2].split() == ["0000", "baseline", "0.8000", "2/3", "5e-05"]
    assert "3 trials, 0 pruned, 1 failed" in lines
    assert "against the baseline: +0.0500, 95 % interval -0.0100 to +0.1100" in outcome.out
    assert "chosen by the same rows" in outcome.out
    assert "fit.learning_rate  100 %" in outcome.out
    assert "tune/report.html" in outcome.out
    assert "Done in" in outcome.err


def test_json(run, tuned, refitted):
    found = json.loads(run("tune", "--json", "--refit").out)
    assert found["best"] == "0001"
    assert [trial["score"] for trial in found["trials"]] == [
        0.85 if i == 1 else 0.8 if i == 0 else None for i in range(3)
    ]
    assert found["difference"]["low"] == -0.01
    assert found["refit"]["reproduced"] is True
    assert found["refit"]["runs"][1]["test"] is None


def test_the_refit_is_told_apart(run, tuned, refitted):
    outcome = run("tune", "--refit", "--seeds", "2", "--overwrite")
    assert refitted.calls[0][1]["seeds"] == 2
    assert refitted.calls[0][1]["overwrite"] is True
    assert "val_accuracy 0.850000, trial 0.850000: the same." in outcome.out
    assert "Refit of" not in run("tune").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--seeds 3", "--seeds 3 has no effect without --refit"),
        ("--overwrite", "--overwrite has no effect without --refit"),
        ("--algorithm annealing", "--algorithm: expected one of random"),
        ("--max-trials 0 --keep none", "--max-trials: expected a whole number, at least 1"),
        ("--algorithm hyperband --prune median", "--prune median does not go with --algorithm hyperband"),
        ("--factor 2", "--factor 2 has no effect with --algorithm random"),
        ("--epochs 0", "--epochs: expected a whole number"),
        ("--monitor val_loss", "No such option '--monitor'"),
    ],
)
def test_wrong_options(run, tuned, words, message):
    outcome = run("tune", *words.split())
    assert outcome.code == 2
    assert message in outcome.err
    assert not tuned.calls


def test_a_search_that_is_gone_on_with_keeps_its_settings(run, tuned, tmp_path):
    from tf_finetune.config import Config, FitConfig

    folder = TuneFolder(ModelFolder(tmp_path / "model"))
    folder.path.mkdir(parents=True)
    space = Space.from_dict({"fit.batch_size": [8, 16]})
    settings = TuneConfig(algorithm="grid", keep=2, max_trials=3)
    Search.new(Config(fit=FitConfig(epochs=5)), space, settings, {}).write(folder)
    assert run("tune", "--resume", str(tmp_path / "model"), "--max-trials", "4").code == 0
    (config, given), found = tuned.calls[0][0], tuned.calls[0][1]["settings"]
    assert config.fit.epochs == 5
    assert given is None
    assert found == TuneConfig(algorithm="grid", keep=2, max_trials=4)
    outcome = run("tune", "--resume", str(tmp_path / "none"))
    assert outcome.code == 1
    assert "holds no search" in outcome.err


def test_a_worker_works_and_says_nothing(run, tuned, verb, monkeypatch):
    for name, value in {"TUNER_ID": "worker7", "ORACLE_IP": "127.0.0.1", "ORACLE_PORT": "8888"}.items():
        monkeypatch.setenv(f"KERASTUNER_{name}", value)
    monkeypatch.setattr("tf_finetune.tuning.work.work", work := Works())
    outcome = run("tune", "--output", "shared", "--max-hours", "2")
    assert (outcome.code, outcome.out) == (0, "")
    assert not tuned.calls
    assert work.calls == [(Path("shared"), 2.0)]


class Works:
    def __init__(self):
        self.calls = []

    def __call__(self, folder, *, max_hours):
        self.calls.append((folder.path, max_hours))
