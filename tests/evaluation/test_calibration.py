"""Temperatures and operating points of given logits."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from tf_finetune.config.threshold_for import Target, parse_threshold_for
from tf_finetune.errors import ConfigError, DataError
from tf_finetune.evaluation.calibration import calibrate_answers
from tf_finetune.evaluation.calibration_table import format_calibration
from tf_finetune.evaluation.logits import softmax
from tf_finetune.evaluation.metrics import compute_scores
from tf_finetune.evaluation.operating_point import choose_operating_point, wilson_interval
from tf_finetune.evaluation.reliability import measure_reliability
from tf_finetune.evaluation.temperature import fit_temperature
from tf_finetune.serving.decision import UNCERTAIN, decide

PAIR = ("negative", "positive")
FOUR = ("business", "science", "sport", "world")


def drawn(rows: int = 2000, classes: int = 2, temperature: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn by the softmax of logits over a temperature, which is the right one for them."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(rows, classes)) * 2 * temperature
    chances = softmax(logits, temperature=temperature).cumsum(axis=1)
    labels = (generator.random((rows, 1)) > chances).sum(axis=1).clip(max=classes - 1)
    return labels, logits.astype(np.float32)


def loss_at(labels: np.ndarray, logits: np.ndarray, temperature: float) -> float:
    """Cross-entropy, written another way."""
    scaled = logits.astype(np.float64) / temperature
    return float(np.mean([math.log(sum(map(math.exp, row))) - row[label] for row, label in zip(scaled, labels)]))


@pytest.mark.parametrize(("classes", "temperature"), [(2, 2.5), (2, 0.4), (4, 1.7)])
def test_the_temperature_is_that_of_a_grid_search(classes: int, temperature: float):
    labels, logits = drawn(400, classes, temperature)
    found = fit_temperature(labels, logits)
    grid = np.geomspace(temperature / 2, temperature * 2, 400)
    best = min(grid, key=lambda one: loss_at(labels, logits, one))
    assert found.value == pytest.approx(best, rel=0.004)
    assert found.loss_before == pytest.approx(loss_at(labels, logits, 1.0))
    assert found.loss_after == pytest.approx(loss_at(labels, logits, found.value))
    assert found.loss_after <= min(loss_at(labels, logits, one) for one in grid)
    assert (found.rows, found.reason) == (400, None)


@pytest.mark.parametrize("classes", [2, 4])
def test_calibrated_logits_have_a_temperature_near_one(classes: int):
    assert fit_temperature(*drawn(20_000, classes)).value == pytest.approx(1.0, abs=0.04)


def test_the_interval_holds_the_right_temperature_as_often_as_it_says():
    found = [fit_temperature(*drawn(300, 3, 2.0, seed)) for seed in range(400)]
    assert np.mean([one.low <= 2.0 <= one.high for one in found]) == pytest.approx(0.95, abs=0.035)


@pytest.mark.parametrize("classes", [2, 4])
def test_too_sure_a_model_is_mended_and_the_order_of_the_classes_stays(classes: int):
    labels, logits = drawn(3000, classes, 3.0)
    names = FOUR[:classes]
    found = calibrate_answers(labels, logits, names)
    before, after = found.validation.before, found.validation.after
    assert found.temperature.value == pytest.approx(3.0, rel=0.1)
    assert after.ece < 0.3 * before.ece
    assert after.log_loss < before.log_loss and after.brier_score < before.brier_score
    calibrated = softmax(logits, temperature=found.temperature.value)
    assert (np.argsort(calibrated, axis=1) == np.argsort(logits, axis=1)).all()


def test_the_scores_before_are_those_of_the_run():
    labels, logits = drawn(500, 4, 2.0)
    scores = compute_scores(labels, softmax(logits), FOUR)
    before = calibrate_answers(labels, logits, FOUR).validation.before
    assert (before.log_loss, before.brier_score, before.ece) == (scores.log_loss, scores.brier_score, scores.ece)


@pytest.mark.parametrize(
    ("labels", "logits", "reason"),
    [
        ([0, 1, 0], [[2.0, 1.0], [0.0, 0.1], [5.0, 0.0]], "all 3 rows are right, and so none tells"),
        ([1, 0], [[2.0, 1.0], [0.0, 0.1]], "no better than guessing"),
        ([0, 1], [[0.0, 0.0], [0.0, 0.0]], "no better than guessing"),
        ([0, 0, 1], [[1e-6, 0.0], [2e-6, 0.0], [0.5e-6, 0.0]], "lowest beyond 0.001"),
    ],
)
def test_rows_that_tell_no_temperature_leave_it_at_one(labels: list[int], logits: list[list[float]], reason: str):
    found = calibrate_answers(np.array(labels), np.array(logits, np.float32), PAIR)
    assert (found.temperature.value, found.temperature.low) == (1.0, None)
    assert reason in found.temperature.reason
    assert found.validation.before == found.validation.after
    assert "Not calibrated, the temperature stays 1" in format_calibration(found)


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        ([0], [[1.0, np.nan]], "NaN or infinity"),
        ([0, 2], [[1.0, 2.0]] * 2, "must lie in 0..1. Received: 0 to 2"),
        ([0], [[1.0, 2.0]] * 2, r"`labels` must be integers \[2\]"),
        ([], np.zeros((0, 2)), r"one row or more. Received: float64 \[0, 2\]"),
    ],
)
def test_logits_that_cannot_be_used_are_refused(labels, logits, message: str):
    with pytest.raises(DataError, match=message):
        fit_temperature(np.array(labels, np.int64), np.array(logits))


def test_the_reliability_is_counted_in_fifteen_bins():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.88, 0.12], [0.45, 0.55]], np.float32)
    found = measure_reliability(np.array([0, 0, 1, 1]), probabilities, PAIR)
    filled = {round(one.high, 4): one for one in found.bins if one.rows}
    assert len(found.bins) == 15 and found.bins[0].confidence is None
    assert {high: one.rows for high, one in filled.items()} == {0.6: 1, 0.9333: 3}
    assert filled[0.9333].confidence == pytest.approx(0.8933, abs=1e-4)
    assert filled[0.9333].accuracy == pytest.approx(2 / 3)
    assert found.ece == pytest.approx(sum(o.rows * abs(o.confidence - o.accuracy) for o in filled.values()) / 4)


# 20 rows predicted as positive, from 0.99 down to 0.80; the 4th, 12th and 16th and all after it are wrong.
FALLING = np.round(0.99 - 0.01 * np.arange(20), 2)
RIGHT = np.array([i not in (3, 11, 15, 16, 17, 18, 19) for i in range(20)])


def of_two_classes(predicted: np.ndarray = FALLING, right: np.ndarray = RIGHT) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of these rows, out of order, and five rows of the other class."""
    positive = np.append(predicted, np.full(5, 0.2))
    labels = np.append(right.astype(int), [0, 0, 0, 1, 1])
    order = np.random.default_rng(0).permutation(len(labels))
    return labels[order], np.stack([1 - positive, positive], axis=1).astype(np.float32)[order]


@pytest.mark.parametrize(
    ("target", "accepted", "right"),
    [
        ("precision=0.9", 11, 10),  # 10 of 11; 10 of 12 and 12 of 14 are less
        ("precision=0.86", 15, 13),  # 13 of 15 are 0.867, beyond the dip after the 12th
        ("precision=0.1", 20, 13),
        ("recall=0.8", 14, 12),  # of 15 positive rows, two are predicted as negative
        ("recall=0.1", 10, 9),  # never fewer than ten
        ("coverage=0.6", 12, 10),
        ("coverage=0.61", 13, 11),
    ],
)
def test_the_threshold_of_a_class_is_that_counted_by_hand(target: str, accepted: int, right: int):
    labels, probabilities = of_two_classes()
    point = choose_operating_point(labels, probabilities, PAIR, parse_threshold_for(target))
    negative, positive = point.classes
    assert (positive.predicted, positive.accepted, positive.right, positive.rows) == (20, accepted, right, 15)
    assert positive.threshold == pytest.approx(FALLING[accepted - 1], abs=2e-6)
    assert positive.reason is None
    assert (positive.coverage, positive.precision, positive.recall) == (accepted / 20, right / accepted, right / 15)
    assert (negative.threshold, negative.accepted, negative.precision) == (None, 0, None)
    assert negative.reason == "only 5 rows are predicted as it; at least 10 are needed"
    overall = point.overall
    assert (overall.predicted, overall.accepted, overall.right, overall.coverage) == (
        25,
        accepted,
        right,
        accepted / 25,
    )
    decisions = decide(probabilities, PAIR, [one.threshold for one in point.classes])
    assert decisions.count("positive") == accepted and decisions.count(UNCERTAIN) == 25 - accepted


def test_a_precision_that_is_not_reached_accepts_no_row_and_a_recall_all():
    labels, probabilities = of_two_classes()
    strict = choose_operating_point(labels, probabilities, PAIR, Target("precision", 0.95)).classes[1]
    assert (strict.threshold, strict.accepted) == (None, 0)
    assert strict.reason == "the best precision of 10 rows or more is 0.9091"
    greedy = choose_operating_point(labels, probabilities, PAIR, Target("recall", 0.9)).classes[1]
    assert (greedy.accepted, greedy.threshold) == (20, pytest.approx(0.8, abs=2e-6))
    assert greedy.reason == "the best recall of 10 rows or more is 0.8667"


def test_rows_of_equal_probability_are_accepted_together():
    labels, probabilities = of_two_classes(np.append(np.full(14, 0.9), np.full(6, 0.9 + 1e-6)))
    point = choose_operating_point(labels, probabilities, PAIR, Target("coverage", 0.5))
    assert point.classes[1].accepted == 20


@pytest.mark.parametrize("target", ["precision=0.8", "recall=0.5", "coverage=0.7"])
def test_four_classes_have_a_threshold_each_that_reaches_the_target(target: str):
    labels, logits = drawn(4000, 4, 2.0)
    found = calibrate_answers(labels, logits, FOUR, target=parse_threshold_for(target), test=drawn(500, 4, 2.0, seed=5))
    point = found.operating_point
    for one in point.classes:
        assert getattr(one, point.target.kind) >= point.target.value
        assert 0.25 < one.threshold < 1
    decisions = decide(softmax(logits, temperature=found.temperature.value), FOUR, [c.threshold for c in point.classes])
    assert len(decisions) - decisions.count(UNCERTAIN) == point.overall.accepted < 4000
    for name, one in zip(FOUR, point.classes):
        assert decisions.count(name) == one.accepted
    assert found.test.rows == 500 and found.test.after.ece < found.test.before.ece
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["operating_point"]["classes"]["sport"]["threshold"] == point.classes[2].threshold
    text = format_calibration(found)
    assert all(name in text for name in FOUR) and "test before" in text and str(point.target) in text


def test_the_wilson_interval_is_that_of_scipy():
    from scipy.stats import binomtest

    for hits, rows in itertools.product((0, 3, 10), (10, 15)):
        expected = binomtest(hits, rows).proportion_ci(method="wilson")
        assert wilson_interval(hits, rows) == pytest.approx((expected.low, expected.high))
    assert wilson_interval(0, 0) is None


def test_a_class_may_not_be_called_as_a_decision_is():
    labels, probabilities = of_two_classes()
    with pytest.raises(ConfigError, match="a class is called 'uncertain'.*--label-map"):
        choose_operating_point(labels, probabilities, ("certain", "uncertain"), Target("recall", 0.9))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accuracy=0.9", "expected precision=, recall= or coverage=.*Received: 'accuracy'"),
        ("precision", "expected precision=, recall= or coverage="),
        ("precision=1", "above 0 and below 1, as in precision=0.95. Received: '1'"),
        ("recall=0", "above 0 and below 1"),
        ("recall=-0.5", "above 0 and below 1"),
        ("coverage=nan", "above 0 and below 1"),
        ("coverage=95%", "above 0 and below 1"),
        ("precision=0.9=0.9", "above 0 and below 1"),
    ],
)
def test_a_target_that_is_none_is_refused(text: str, message: str):
    with pytest.raises(ConfigError, match=message):
        parse_threshold_for(text)
