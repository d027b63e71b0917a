from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from tf_finetune.errors import DataError
from tf_finetune.evaluation import resampling
from tf_finetune.evaluation.bootstrap import METRICS, Interval, paired_bootstrap
from tf_finetune.evaluation.metrics import compute_scores


def two_models(rows=300, classes=4, seed=3):
    """Labels, and logits of a weak and of a better model; no row has the last class."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes - 1, rows).astype(np.int32)
    true = np.eye(classes)[labels]
    weak, better = (strength * true + generator.normal(size=true.shape) for strength in (1.0, 2.0))
    return labels, weak.astype(np.float32), better.astype(np.float32)


def probabilities(logits):
    exact = np.exp(logits.astype(np.float64))
    return exact / exact.sum(axis=1, keepdims=True)


def score(labels, logits, metric):
    predicted = logits.argmax(axis=1)
    classes = np.arange(logits.shape[1])
    if metric == "accuracy":
        return metrics.accuracy_score(labels, predicted)
    if metric == "macro_f1":
        return metrics.f1_score(labels, predicted, labels=classes, average="macro", zero_division=0)
    return metrics.log_loss(labels, probabilities(logits), labels=classes)


@pytest.mark.parametrize("metric", METRICS)
def test_the_estimate_is_the_difference_of_the_scores_that_evaluate_shows(metric):
    labels, weak, better = two_models()
    found = paired_bootstrap(labels, weak, better, metric=metric, resamples=100)
    names = ["a", "b", "c", "d"]
    first, second = (compute_scores(labels, probabilities(logits), names) for logits in (weak, better))
    field = "log_loss" if metric == "loss" else metric
    assert found.estimate == pytest.approx(getattr(second, field) - getattr(first, field), abs=1e-9)
    assert (found.rows, found.resamples, found.level) == (300, 100, 0.95)


@pytest.mark.parametrize("metric", METRICS)
def test_the_interval_is_that_of_scipy_with_sklearns_scores(metric):
    labels, weak, better = two_models(rows=120)
    found = paired_bootstrap(labels, weak, better, metric=metric, resamples=4000, seed=1)

    def difference(rows):
        return score(labels[rows], better[rows], metric) - score(labels[rows], weak[rows], metric)

    expected = stats.bootstrap(
        (np.arange(120),), difference, n_resamples=300, method="percentile", vectorized=False, rng=2
    ).confidence_interval
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.12 * width)
    assert found.high == pytest.approx(expected.high, abs=0.12 * width)


def test_the_interval_of_a_mean_is_as_wide_as_theory_says():
    """Of many rows: 1.96 standard errors of the paired differences to each side."""
    labels, weak, better = two_models(rows=2000)
    found = paired_bootstrap(labels, weak, better, metric="loss", resamples=5000)
    rows = np.arange(2000)
    changes = np.log(probabilities(weak)[rows, labels]) - np.log(probabilities(better)[rows, labels])
    error = changes.std() / np.sqrt(2000)
    assert found.estimate == pytest.approx(changes.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_both_answers_to_a_row_stay_together():
    """Apart, two models that agree on nearly all rows would seem to differ by chance far more."""
    labels, _, logits = two_models(rows=1000)
    changed = logits.copy()
    changed[0] = -changed[0]
    found = paired_bootstrap(labels, logits, changed, metric="accuracy")
    assert found.high - found.low <= 0.006
    assert paired_bootstrap(labels, logits, logits, metric="macro_f1") == Interval(0.0, 0.0, 0.0, 0.95, 2000, 1000)


def test_nineteen_of_twenty_intervals_hold_the_true_difference():
    held = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        labels = np.zeros(200, np.int32)
        right = generator.random((2, 200)) < [[0.7], [0.8]]
        first, second = (np.where(hit[:, None], [1.0, 0.0], [0.0, 1.0]).astype(np.float32) for hit in right)
        found = paired_bootstrap(labels, first, second, metric="accuracy", resamples=500, seed=seed)
        held += found.low <= 0.1 <= found.high
    assert 180 <= held <= 198


@pytest.mark.parametrize("metric", METRICS)
def test_chunks_draw_no_other_rows_than_one_piece(metric, monkeypatch):
    labels, weak, better = two_models()
    whole = paired_bootstrap(labels, weak, better, metric=metric)
    assert paired_bootstrap(labels, weak, better, metric=metric) == whole
    assert paired_bootstrap(labels, weak, better, metric=metric, seed=1) != whole
    monkeypatch.setattr(resampling, "CHUNK", 1000)
    assert paired_bootstrap(labels, weak, better, metric=metric) == whole


@pytest.mark.parametrize("metric", METRICS)
def test_many_rows_need_little_memory(metric):
    labels, weak, better = two_models(rows=100_000, classes=3)
    tracemalloc.start()
    found = paired_bootstrap(labels, weak, better, metric=metric, resamples=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80e6
    assert found.high - found.low < 0.02


def test_one_row_and_huge_logits_are_scored():
    logits = np.array([[1e30, -1e30]], np.float32)
    found = paired_bootstrap(np.array([1]), logits, -logits, metric="loss")
    assert found.low == found.estimate == found.high == pytest.approx(np.log(np.finfo(np.float64).eps))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "auroc"}, "one of accuracy, macro_f1, loss"),
        ({"resamples": 10}, "at least 100. Received: 10"),
        ({"labels": np.zeros(4)}, "must be integers .* float64"),
        ({"labels": np.zeros(0, np.int32)}, "one or more"),
        ({"labels": np.array([0, 1, 2, 3])}, r"must lie in 0\.\.2. Received: 0 to 3"),
        ({"second": np.zeros((3, 3), np.float32)}, r"`second` must be floats \[4, classes\].*\[3, 3\]"),
        ({"second": np.zeros((4, 2), np.float32)}, "the same classes. Received: 3 and 2"),
        ({"first": np.full((4, 3), np.nan, np.float32)}, "`first` holds NaN"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    arguments = {
        "labels": np.array([0, 1, 2, 0]),
        "first": np.zeros((4, 3), np.float32),
        "second": np.zeros((4, 3), np.float32),
        "metric": "accuracy",
    }
    with pytest.raises(DataError, match=message):
        paired_bootstrap(**{**arguments, **change})
