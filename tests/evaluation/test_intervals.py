"""Intervals of the scores of one model."""

from __future__ import annotations

import dataclasses
import json
import sys
import tracemalloc

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from tf_finetune.errors import DataError
from tf_finetune.evaluation import resampling
from tf_finetune.evaluation.bootstrap import Interval
from tf_finetune.evaluation.evaluation import score_answers
from tf_finetune.evaluation.intervals import OF_COUNTS, OF_WEIGHTS, _reflected, score_intervals
from tf_finetune.evaluation.metrics import compute_scores
from tf_finetune.evaluation.ranking import mean_scores, rankings


def answers(rows: int = 150, classes: int = 2, seed: int = 3) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Labels, probabilities of a fair model, and label names."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, rows)
    logits = 1.5 * np.eye(classes)[labels] + generator.normal(size=(rows, classes))
    exact = np.exp(logits)
    return labels, exact / exact.sum(axis=1, keepdims=True), [f"c{i}" for i in range(classes)]


SKLEARNS = {
    "accuracy": lambda labels, exact: metrics.accuracy_score(labels, exact.argmax(1)),
    "weighted_f1": lambda labels, exact: metrics.f1_score(labels, exact.argmax(1), average="weighted"),
    "mcc": lambda labels, exact: metrics.matthews_corrcoef(labels, exact.argmax(1)),
    "auroc": lambda labels, exact: metrics.roc_auc_score(np.eye(3)[labels], exact),
    "average_precision": lambda labels, exact: metrics.average_precision_score(np.eye(3)[labels], exact),
    "brier_score": lambda labels, exact: metrics.brier_score_loss(labels, exact, labels=[0, 1, 2]),
}


@pytest.mark.parametrize("name", SKLEARNS)
def test_the_interval_is_that_of_scipy_with_sklearns_scores(name: str):
    labels, exact, names = answers(rows=100, classes=3)
    found = score_intervals(labels, exact, names, resamples=3000, seed=1).scores[name]
    expected = stats.bootstrap(
        (np.arange(100),),
        lambda rows: SKLEARNS[name](labels[rows], exact[rows]),
        n_resamples=120,
        method="percentile",
        vectorized=False,
        rng=2,
    ).confidence_interval
    span = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.25 * span)
    assert found.high == pytest.approx(expected.high, abs=0.25 * span)


@pytest.mark.parametrize("classes", [2, 4])
def test_every_score_lies_in_its_interval(classes: int):
    labels, exact, names = answers(classes=classes)
    scores, found = compute_scores(labels, exact, names), score_intervals(labels, exact, names, resamples=200)
    assert set(found.scores) == {*OF_COUNTS, *OF_WEIGHTS}
    for name, interval in found.scores.items():
        assert interval.estimate == pytest.approx(getattr(scores, name))
        assert interval.low < interval.estimate < interval.high, name
        assert (interval.level, interval.rows) == (0.95, 150)
    for one, of_class in zip(scores.classes, found.classes, strict=True):
        for name in ("precision", "recall", "f1"):
            assert of_class[name].estimate == pytest.approx(getattr(one, name))
            assert of_class[name].low < of_class[name].estimate < of_class[name].high


def test_the_interval_of_a_mean_is_as_wide_as_theory_says():
    """1.96 standard errors to each side."""
    labels, exact, names = answers(rows=3000)
    found = score_intervals(labels, exact, names, resamples=1500).scores
    losses = -np.log(exact[np.arange(3000), labels])
    right = exact.argmax(axis=1) == labels
    for name, values in (("log_loss", losses), ("accuracy", right), ("brier_score", (exact[:, 1] - labels) ** 2)):
        error = values.std() / np.sqrt(3000)
        assert found[name].high - found[name].low == pytest.approx(2 * 1.96 * error, rel=0.08), name


def test_equal_seeds_give_equal_intervals_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    labels, exact, names = answers()
    whole = score_intervals(labels, exact, names, resamples=200, seed=4)
    monkeypatch.setattr(resampling, "CHUNK", 100)
    assert score_intervals(labels, exact, names, resamples=200, seed=4) == whole
    other = score_intervals(labels, exact, names, resamples=200, seed=5)
    assert other.scores["log_loss"] != whole.scores["log_loss"]
    assert other.scores["accuracy"].estimate == whole.scores["accuracy"].estimate


def test_a_class_without_rows_leaves_no_interval_of_its_ranking():
    found = score_intervals(np.array([0, 0]), np.array([[0.9, 0.1], [0.4, 0.6]]), ["a", "b"], resamples=100)
    assert set(found.scores) == {*OF_COUNTS, "log_loss", "brier_score", "ece"}


def test_after_a_class_without_rows_no_other_one_is_ranked(monkeypatch: pytest.MonkeyPatch):
    ranked = rankings(np.array([1, 2, 1]), np.full((3, 3), 1 / 3))  # not one row of the first class
    for later in ranked[1:]:
        monkeypatch.setattr(later, "scores", None)  # would fail
    assert np.isnan(mean_scores(ranked, np.ones(3))).all()


def test_resamples_without_a_class_are_left_out_of_the_ranking():
    labels = np.array([1, *[0] * 30])
    exact = np.linspace(0.9, 0.1, 31)
    found = score_intervals(labels, np.stack([1 - exact, exact], axis=1), ["a", "b"], resamples=1000).scores["auroc"]
    assert (found.low, found.high) == (1.0, 1.0)
    assert found.resamples == pytest.approx(1000 * (1 - (30 / 31) ** 31), abs=60)


def test_the_interval_of_the_calibration_error_takes_away_what_resampling_adds():
    percentile = Interval(0.5, 0.4, 0.7, 0.95, 100, 10)
    assert _reflected(percentile) == Interval(0.5, pytest.approx(0.3), pytest.approx(0.6), 0.95, 100, 10)
    assert _reflected(Interval(0.1, 0.12, 0.3, 0.95, 100, 10)) == Interval(0.1, 0.0, 0.1, 0.95, 100, 10)
    labels, exact, names = answers(rows=400)
    rows_of = np.random.default_rng(0).integers(0, 400, (300, 400))
    drawn = [compute_scores(labels[rows], exact[rows], names).ece for rows in rows_of]
    found = score_intervals(labels, exact, names, resamples=2000).scores["ece"]
    assert found.high == pytest.approx(2 * found.estimate - np.quantile(drawn, 0.025), abs=0.01)


def test_of_rows_that_are_all_right_the_bootstrap_cannot_tell():
    found = score_intervals(np.array([0, 1] * 20), np.eye(2)[[0, 1] * 20], ["a", "b"], resamples=100)
    assert (found.scores["accuracy"].low, found.scores["accuracy"].high) == (1.0, 1.0)
    assert (found.scores["ece"].low, found.scores["ece"].high) == (0.0, 0.0)


def test_memory_does_not_grow_with_the_resamples():
    labels, exact, names = answers(rows=100_000)
    tracemalloc.start()
    score_intervals(labels, exact, names, resamples=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6


def test_too_few_resamples_and_logits_are_refused():
    labels, exact, names = answers()
    with pytest.raises(DataError, match="at least 100. Received: 99"):
        score_intervals(labels, exact, names, resamples=99)
    with pytest.raises(DataError, match="look like logits"):
        score_intervals(labels, exact * 9, names)


def test_an_evaluation_is_its_scores_and_json():
    labels, exact, names = answers(classes=4)
    found = score_answers(labels, exact, names, lengths=np.arange(150), resamples=100, seed=2)
    scores = compute_scores(labels, exact, names)
    assert all(getattr(found, field.name) == getattr(scores, field.name) for field in dataclasses.fields(scores))
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert {key: values[key] for key in scores.to_dict()} == scores.to_dict()
    accuracy = found.intervals.scores["accuracy"]
    assert values["intervals"]["scores"]["accuracy"] == [accuracy.low, accuracy.high]
    assert values["intervals"]["classes"]["c3"]["f1"][0] == found.intervals.classes[3]["f1"].low
    assert (values["intervals"]["resamples"], values["intervals"]["seed"], values["intervals"]["level"]) == (
        100,
        2,
        0.95,
    )
    assert "percentile bootstrap" in values["intervals"]["method"]
    assert [slicing["kind"] for slicing in values["slices"]] == ["length", "class"]


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 4])
def test_nineteen_of_twenty_intervals_hold_the_true_score(classes: int):
    """300 rows of a model whose true scores are those of a million rows."""
    tested = ("accuracy", "macro_f1", "weighted_f1", "mcc", "auroc", "average_precision", "log_loss", "brier_score")
    true = compute_scores(*answers(rows=1_000_000, classes=classes, seed=0))
    held = dict.fromkeys(tested, 0)
    for seed in range(1, 401):
        found = score_intervals(*answers(rows=300, classes=classes, seed=seed), resamples=500, seed=seed).scores
        for name in tested:
            held[name] += found[name].low <= getattr(true, name) <= found[name].high
    shares = {name: f"{count / 400:.1%}" for name, count in held.items()}
    sys.stdout.write(f"{classes} classes: {shares}\n")  # pytest -rP shows it
    # the standard deviation of the share is 1.1 points; percentile intervals hold a little less than they say
    assert all(0.91 <= count / 400 <= 0.985 for count in held.values()), held
