from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import pytest
from sklearn import metrics

from tf_finetune.errors import DataError
from tf_finetune.evaluation.answers import checked_answers
from tf_finetune.evaluation.metrics import ClassScores, Scores, compute_scores
from tf_finetune.evaluation.ranking import Ranking

BINARY = ("negative", "positive")


def binary_scores() -> Scores:
    positive = np.array([0.25, 0.75, 0.5, 0.875], np.float32)
    return compute_scores(np.array([0, 0, 1, 1]), np.stack([1 - positive, positive], axis=1), BINARY)


def random_case(rows: int = 200, count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(rows, count))
    probabilities = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    return generator.integers(0, count, rows).astype(np.int32), probabilities


def test_binary_scores_are_those_computed_by_hand():
    scores = binary_scores()
    # a tie goes to the first class: predictions 0, 1, 0, 1
    assert scores.confusion == ((1, 1), (1, 1))
    assert scores.accuracy == 0.5
    assert scores.macro_f1 == 0.5
    assert scores.classes == (ClassScores(0.5, 0.5, 0.5, 2), ClassScores(0.5, 0.5, 0.5, 2))
    # of the four (negative, positive) pairs of rows, 0.75 against 0.5 is the one in the wrong order
    assert scores.auroc == 0.75
    assert scores.auroc_reason is None
    # at recall 1/2 and 1: 1 of 1 and 2 of 3 rows are right
    assert scores.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert scores.weighted_f1 == 0.5
    assert scores.mcc == 0.0
    assert scores.log_loss == pytest.approx(-np.mean(np.log([0.75, 0.25, 0.5, 0.875])))
    assert scores.brier_score == pytest.approx(np.mean(np.square([0.25, 0.75, 0.5, 0.125])))
    # each row but the first two, which share a bin, is alone in its bin
    assert scores.ece == pytest.approx((abs(2 * 0.75 - 1) + abs(0.5 - 0) + abs(0.875 - 1)) / 4)
    assert (scores.rows, scores.label_names) == (4, BINARY)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("ties", [False, True])
def test_scores_equal_sklearns(count: int, ties: bool):
    labels, probabilities = random_case(count=count)
    if ties:
        probabilities = np.round(probabilities * 8 + 0.5) / 8
    names = ["a", "b", "c", "d"][:count]
    scores = compute_scores(labels, probabilities / probabilities.sum(axis=1, keepdims=True), names)
    _, exact = checked_answers(labels, probabilities / probabilities.sum(axis=1, keepdims=True), names)
    predicted = exact.argmax(axis=1)
    report = metrics.classification_report(labels, predicted, target_names=names, output_dict=True, zero_division=0)
    assert scores.accuracy == pytest.approx(report["accuracy"])
    assert scores.macro_f1 == pytest.approx(report["macro avg"]["f1-score"])
    assert scores.weighted_f1 == pytest.approx(report["weighted avg"]["f1-score"])
    for name, one in zip(names, scores.classes, strict=True):
        expected = report[name]
        assert (one.precision, one.recall, one.f1, one.support) == pytest.approx(
            (expected["precision"], expected["recall"], expected["f1-score"], expected["support"])
        )
    assert scores.mcc == pytest.approx(metrics.matthews_corrcoef(labels, predicted))
    ranked = (labels, exact[:, 1]) if count == 2 else (np.eye(count)[labels], exact)
    assert scores.auroc == pytest.approx(metrics.roc_auc_score(*ranked))
    assert scores.average_precision == pytest.approx(metrics.average_precision_score(*ranked))
    assert scores.log_loss == pytest.approx(metrics.log_loss(labels, exact))
    brier = exact[:, 1] if count == 2 else exact
    assert scores.brier_score == pytest.approx(metrics.brier_score_loss(labels, brier))
    assert scores.confusion == tuple(map(tuple, metrics.confusion_matrix(labels, predicted).tolist()))


def test_weighed_rows_are_ranked_as_sklearn_ranks_them():
    labels, probabilities = random_case(count=2)
    positive = np.round(probabilities[:, 1], 1)
    weights = np.random.default_rng(1).integers(0, 4, len(labels)).astype(float)
    auroc, average_precision = Ranking(labels == 1, positive).scores(weights)
    assert auroc == pytest.approx(metrics.roc_auc_score(labels, positive, sample_weight=weights))
    assert average_precision == pytest.approx(metrics.average_precision_score(labels, positive, sample_weight=weights))


def test_a_ranking_without_a_row_of_the_class_is_undefined():
    ranking = Ranking(np.array([True, False]), np.array([0.2, 0.9]))
    assert ranking.scores(np.array([2.0, 1.0])) == pytest.approx((0.0, 2 / 3))
    assert np.isnan(ranking.scores(np.array([0.0, 2.0]))).all()
    assert np.isnan(ranking.scores(np.array([2.0, 0.0]))).all()
    assert np.isnan(Ranking(np.array([False]), np.array([0.2])).scores(np.ones(1))).all()


def test_the_calibration_error_is_that_of_its_definition():
    labels, probabilities = random_case(rows=1000)
    probabilities[0] = [1.0, 0.0, 0.0, 0.0]
    scores = compute_scores(labels, probabilities, ["a", "b", "c", "d"])
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    error = 0.0
    for low in range(15):
        inside = (top > low / 15) & (top <= (low + 1) / 15)
        if inside.any():
            error += inside.mean() * abs(top[inside].mean() - right[inside].mean())
    assert scores.ece == pytest.approx(error, abs=1e-6)


def test_an_absent_class_is_kept_and_leaves_auroc_undefined():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = compute_scores(np.array([0, 1]), probabilities, ["a", "b", "c"])
    assert scores.classes[2] == ClassScores(0.0, 0.0, 0.0, 0)
    assert scores.accuracy == 1.0
    assert scores.macro_f1 == pytest.approx(2 / 3)
    assert scores.auroc is None
    assert scores.average_precision is None
    assert scores.auroc_reason == "undefined: no row has the label c"
    assert len(scores.confusion) == 3


def test_one_class_alone_is_scored_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = compute_scores(np.array([1, 1]), np.array([[0.4, 0.6], [0.9, 0.1]]), BINARY)
    assert (scores.accuracy, scores.auroc) == (0.5, None)
    assert scores.auroc_reason == "undefined: no row has the label negative"


def test_a_certain_and_wrong_prediction_has_a_finite_log_loss():
    scores = compute_scores(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]], np.float32), BINARY)
    assert scores.log_loss == pytest.approx(-np.log(np.finfo(np.float64).eps) / 2)


def test_rows_that_sum_to_one_only_in_half_precision_raise_no_warning():
    labels, probabilities = random_case(count=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = compute_scores(labels, probabilities.astype(np.float16), [str(i) for i in range(20)])
    assert np.isfinite(scores.log_loss)


@pytest.mark.parametrize("scores", [binary_scores(), compute_scores(np.array([1]), np.array([[0.5, 0.5]]), BINARY)])
def test_scores_survive_json(scores: Scores):
    values = scores.to_dict()
    assert Scores.from_dict(json.loads(json.dumps(values, allow_nan=False))) == scores
    assert set(values["classes"]) == set(BINARY)


@pytest.mark.parametrize("missing", [["weighted_f1", "mcc", "average_precision", "brier_score", "ece"], ["ece"]])
def test_scores_of_an_older_release_are_read_with_what_can_be_known(missing: list[str]):
    labels, probabilities = random_case()
    scores = compute_scores(labels, probabilities, ["a", "b", "c", "d"])
    values = {key: value for key, value in scores.to_dict().items() if key not in missing}
    unknown = {name: None for name in ("average_precision", "brier_score", "ece") if name in missing}
    found = Scores.from_dict(values)
    assert found == dataclasses.replace(scores, weighted_f1=found.weighted_f1, mcc=found.mcc, **unknown)
    assert (found.weighted_f1, found.mcc) == pytest.approx((scores.weighted_f1, scores.mcc))


def without_a_class(values: dict) -> dict:
    return {**values, "classes": {"negative": values["classes"]["negative"]}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: {"rows": 3}, "must be an object with the keys .*accuracy.* Received: \\['rows'\\]"),
        (lambda values: [1], "Received: list"),
        (without_a_class, "Scores are broken: KeyError\\('positive'\\)"),
        (lambda values: {**values, "more": 1}, "Received: .*'more'"),
        (
            lambda values: {**{key: values[key] for key in values if key != "mcc"}, "confusion": [["x", 1], [1, 1]]},
            "Scores are broken: .* in `confusion`",
        ),
        (lambda values: {**values, "confusion": [[1, 2]]}, "need that many `classes` and a square `confusion`"),
    ],
)
def test_broken_scores_are_refused(change, message: str):
    with pytest.raises(DataError, match=message):
        Scores.from_dict(change(binary_scores().to_dict()))


GOOD = np.array([[0.5, 0.5], [0.2, 0.8]])


@pytest.mark.parametrize(
    ("labels", "probabilities", "names", "message"),
    [
        ([0, 1], np.array([[0.5, 0.5], [np.nan, 0.5]]), BINARY, "NaN or infinity in 1 of 2 rows, first at index 1"),
        ([0, 1], np.array([[np.inf, 0.5], [0.5, 0.5]]), BINARY, "NaN or infinity in 1 of 2 rows, first at index 0"),
        ([0, 1], np.array([[0.5, 0.5], [-2.0, 3.0]]), BINARY, "at index 1: these look like logits; apply softmax"),
        ([0, 1], np.array([[0.5, 0.5], [2.0, 3.0]]), BINARY, "sum to one .*\\[2.0, 3.0\\] at index 1"),
        ([0, 1, 1], GOOD, BINARY, "must be floats \\[3, 2\\].*Received: float64 \\[2, 2\\]"),
        ([0, 1], np.ones((2, 2), int), BINARY, "Received: int64 \\[2, 2\\]"),
        ([0, 2], GOOD, BINARY, "must lie in 0..1. Received 2 at index 1"),
        ([-1, -1], GOOD, BINARY, "Received -1 at index 0 \\(2 of 2 are outside\\)"),
        ([0.0, 1.0], GOOD, BINARY, "`labels` must be integers \\[n\\]. Received: float64"),
        ([[0, 1]], GOOD, BINARY, "Received: int64 \\[1, 2\\]"),
        (np.zeros(0, int), np.zeros((0, 2)), BINARY, "nothing to score"),
        ([0, 1], GOOD, ("a", "a"), "two or more different names"),
        ([0, 0], np.ones((2, 1)), ("a",), "two or more different names"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(labels, probabilities, names, message: str):
    with pytest.raises(DataError, match=message):
        compute_scores(np.array(labels), probabilities, names)
