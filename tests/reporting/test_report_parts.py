from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics

from tf_finetune.evaluation.evaluation import score_answers
from tf_finetune.evaluation.logits import softmax
from tf_finetune.explain.explanation import ExplainedText, Word
from tf_finetune.reporting.answers import Answers
from tf_finetune.reporting.columns import evaluated_column, recorded_columns
from tf_finetune.reporting.curves import precision_recall_points, roc_points
from tf_finetune.reporting.excerpt import excerpts
from tf_finetune.reporting.history import read_history
from tf_finetune.reporting.plots.confusion import plot_confusion
from tf_finetune.reporting.plots.learning import plot_loss, plot_scores


def invented(rows=200, classes=3, seed=0):
    """Labels and logits of a model that is often right."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, rows)
    return labels, (2 * np.eye(classes)[labels] + generator.normal(size=(rows, classes))).astype(np.float32)


def test_curves_are_those_of_scikit_learn():
    labels, logits = invented(rows=150)
    is_class, scores = labels == 1, np.round(logits[:, 1], 1)  # with ties
    false, true, _ = metrics.roc_curve(is_class, scores, drop_intermediate=False)
    np.testing.assert_allclose(roc_points(is_class, scores), [false, true])
    precision, recall, _ = metrics.precision_recall_curve(is_class, scores)
    np.testing.assert_allclose(precision_recall_points(is_class, scores), [recall[-2::-1], precision[-2::-1]])


def test_long_curves_are_thinned_and_keep_their_area():
    labels, logits = invented(rows=20_000, classes=2)
    false, true = roc_points(labels == 1, logits[:, 1])
    assert len(false) <= 301 and (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert metrics.auc(false, true) == pytest.approx(metrics.roc_auc_score(labels == 1, logits[:, 1]), abs=2e-3)


def test_recorded_scores_have_the_intervals_that_evaluate_gives():
    labels, logits = invented()
    found = score_answers(labels, softmax(logits), ("a", "b", "c"), resamples=200, seed=3)
    recorded = {"validation": found.to_dict() | {}, "test": found.to_dict()}
    for scores in recorded.values():
        del scores["intervals"], scores["slices"]
    whole = evaluated_column("validation", found)
    [column] = recorded_columns(recorded, None, without="validation", resamples=200, seed=3)
    assert column.name == "test" and column.values == whole.values
    for name in ("accuracy", "macro_f1", "weighted_f1", "mcc"):
        assert column.intervals[name] == whole.intervals[name]
    assert set(column.intervals) == {"accuracy", "macro_f1", "weighted_f1", "mcc"}


def test_recorded_scores_of_probabilities_are_those_after_calibration():
    labels, logits = invented()
    scores = score_answers(labels, softmax(logits), ("a", "b", "c"), resamples=100).to_dict()
    del scores["intervals"], scores["slices"]
    calibration = {"test": {"after": {"log_loss": 0.25, "brier_score": 0.5, "ece": 0.125}}, "validation": {}}
    recorded = {"validation": scores, "test": scores}
    validation, test = recorded_columns(recorded, calibration, without="given", resamples=100, seed=0)
    assert (test.values["log_loss"], test.values["ece"], test.values["auroc"]) == (0.25, 0.125, None)
    assert validation.values["log_loss"] is None and validation.values["accuracy"] == scores["accuracy"]


def test_probabilities_before_calibration_follow_from_those_after():
    labels, logits = invented(classes=4)
    logits[0] = [-90, 0, 40, 3]
    answers = Answers("given", tuple("abcd"), labels, softmax(logits, temperature=1.7), 1.7, None)
    np.testing.assert_allclose(answers.uncalibrated, softmax(logits), atol=1e-6)


def explained(text, *values):
    """A text of words with these attributions."""
    words, place = [], 0
    for word, value in zip(text.split(" "), values, strict=True):
        words.append(Word(place, place + len(word), value))
        place += len(word) + 1
    return ExplainedText(text, tuple(words), ((place - 5, place - 1),))


def test_excerpts_hold_the_strongest_words_whole_and_no_more_than_asked_for():
    words = [f"word{i}" for i in range(300)]
    values = [0.01] * 300
    values[3], values[200], values[290] = 3.0, -2.0, 1.0
    one = explained(" ".join(words), *values)
    parts = excerpts(one, 500)
    assert len(parts) > 1 and sum(len(part.text) for part in parts) <= 500
    found = {part.text[word.start : word.end]: word.attribution for part in parts for word in part.words}
    assert (found["word3"], found["word200"]) == (3.0, -2.0)
    assert set(found) <= set(words)
    assert excerpts(one, 10_000) == [one]


def test_an_excerpt_of_one_endless_word_is_short():
    one = ExplainedText("x" * 100_000, (Word(0, 100_000, 1.0),), ())
    parts = excerpts(one, 500)
    assert 0 < sum(len(part.text) for part in parts) <= 500
    assert all(0 <= word.start < word.end <= len(part.text) for part in parts for word in part.words)
    unexplained = ExplainedText("y" * 100_000, (), ())
    assert [part.text for part in excerpts(unexplained, 500)] == ["y" * 500]


def test_history_may_hold_numbers_that_are_none(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,loss,val_loss\n0,0.5,0.6\n1,nan,inf\n")
    history = read_history(tmp_path / "history.csv")
    assert list(history) == ["loss", "val_loss"] and math.isnan(history["loss"][1])
    for plot in (plot_loss, plot_scores):
        assert plot(history, best_epoch=1).startswith("<svg")


@pytest.mark.parametrize("classes", [2, 60])
def test_a_confusion_matrix_of_many_classes_stays_small(classes):
    generator = np.random.default_rng(0)
    svg = plot_confusion(generator.integers(0, 50, (classes, classes)), [f"class number {i}" for i in range(classes)])
    assert len(svg) < 1_000_000 and svg.count("class number") == 2 * classes
