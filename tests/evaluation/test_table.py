from __future__ import annotations

import dataclasses

import numpy as np

from tf_finetune.evaluation.evaluation import score_answers
from tf_finetune.evaluation.layout import width
from tf_finetune.evaluation.metrics import Scores, compute_scores
from tf_finetune.evaluation.table import format_scores


def scores_of(pairs: list[tuple[int, int]], names: list[str]) -> Scores:
    """Scores of (true, predicted) pairs, all predicted with certainty."""
    true, predicted = np.array(pairs).T
    return compute_scores(true, np.eye(len(names))[predicted], names)


def test_the_whole_table_of_two_classes():
    scores = scores_of([(0, 0)] * 3 + [(0, 1)] + [(1, 1)] * 12, ["negative", "positive"])
    table = format_scores(scores, title="test.csv")
    lines = table.splitlines()
    assert lines[:13] == [
        "test.csv",
        "",
        "rows               16",
        "accuracy           0.9375",
        f"macro F1           {scores.macro_f1:.4f}",
        f"weighted F1        {scores.weighted_f1:.4f}",
        f"MCC                {scores.mcc:.4f}",
        "AUROC              0.8750",
        "average precision  0.9231",
        f"log loss           {scores.log_loss:.4f}",
        "Brier score        0.0625",
        "calibration error  0.0625",
        "",
    ]
    assert lines[13:] == [
        "class     precision  recall      F1  rows",
        "negative     1.0000  0.7500  0.8571     4",
        "positive     0.9231  1.0000  0.9600    12",
        "",
        "true \\ predicted  negative  positive",
        "negative                 3         1",
        "positive                 0        12",
    ]


def test_an_undefined_auroc_shows_its_reason():
    table = format_scores(scores_of([(0, 0)], ["bad", "good"]))
    for name in ("AUROC            ", "average precision"):
        assert f"{name}  - (undefined: no row has the label good)" in table
    assert table.startswith("rows")


def test_names_of_doublewidth_and_combining_marks_are_aligned():
    names = ["良い", "bad", "cafe\u0301"]
    table = format_scores(scores_of([(0, 0), (1, 1), (2, 2)], names))
    rows = [line for line in table.splitlines() if line.endswith("  1.0000     1")]
    assert len(rows) == 3
    assert {width(line) for line in rows} == {width(rows[0])}
    assert rows[0].startswith("良い   ")  # four cells and the gap of a name of four
    assert rows[1].startswith("bad    ")


def test_control_characters_reach_the_terminal_escaped():
    names = ["\x1b[31mred", "line\nbreak", "turn\u202eed", "c1\x9b2J"]
    table = format_scores(scores_of([(0, 0)], names), title="\x1b]0;title\x07")
    assert not {"\x1b", "\u202e", "\x9b", "\x07"} & set(table)
    for shown in ("\\x1b[31mred", "line\\nbreak", "turn\\u202eed", "c1\\x9b2J", "\\x1b]0;title\\x07"):
        assert shown in table


def test_long_names_lose_their_middle_and_stay_apart():
    names = ["quality of the product: very positive", "quality of the product: very negative", "short"]
    table = format_scores(scores_of([(0, 0), (1, 1), (2, 2)], names))
    assert "quality of th…very positive" in table
    assert "quality of th…very negative" in table


def test_names_that_shortening_makes_alike_are_numbered():
    names = ["a" * 20 + "1" + "b" * 20, "a" * 20 + "2" + "b" * 20]
    table = format_scores(scores_of([(0, 0), (1, 1)], names))
    assert table.count("b #1") == 2 + 1
    assert table.count("b #2") == 2 + 1


def test_a_matrix_too_wide_for_the_terminal_has_numbered_columns():
    names = [f"a rather long name {i:02}" for i in range(8)]
    table = format_scores(scores_of([(i, i) for i in range(8)], names))
    assert max(map(width, table.splitlines())) <= 100
    assert "8 a rather long name 07" in table
    assert table.splitlines()[-9].split()[-8:] == [str(i) for i in range(1, 9)]


def test_many_classes_show_the_most_confused_pairs_in_place_of_the_matrix():
    names = [f"c{i:02}" for i in range(13)]
    pairs = [(i, i) for i in range(13)] + [(3, 4)] * 3 + [(7, 1)]
    table = format_scores(scores_of(pairs, names))
    assert "true \\ predicted" not in table
    last = table.splitlines()[-3:]
    assert last[0].split() == ["most", "confused:", "true", "predicted", "rows", "of", "the", "class"]
    assert last[1].split() == ["c03", "c04", "3", "75.0%"]
    assert last[2].split() == ["c07", "c01", "1", "50.0%"]


def test_many_classes_without_a_mistake_say_so():
    names = [f"c{i:02}" for i in range(13)]
    assert format_scores(scores_of([(i, i) for i in range(13)], names)).endswith("No class was taken for another.")


def test_scores_that_an_older_release_lacks_are_dashes():
    scores = dataclasses.replace(scores_of([(0, 0), (1, 1)], ["bad", "good"]), brier_score=None, ece=None)
    assert "Brier score        -\ncalibration error  -\n" in format_scores(scores)


def evaluated(rows=200, **more):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, rows)
    positive = (0.6 * labels + 0.2 + generator.normal(size=rows) * 0.3).clip(0, 1)
    return score_answers(labels, np.stack([1 - positive, positive], axis=1), ["bad", "good"], resamples=100, **more)


def test_an_evaluation_has_its_intervals_beside_the_scores():
    found = evaluated(lengths=np.arange(200) + 5)
    lines = format_scores(found).splitlines()
    ends = found.intervals.scores["accuracy"]
    assert lines[0].split() == ["rows", "200", "95", "%", "interval"]
    assert lines[1].split() == ["accuracy", f"{found.accuracy:.4f}", f"{ends.low:.4f}", "to", f"{ends.high:.4f}"]
    recall = found.intervals.classes[0]["recall"]
    assert f"{found.classes[0].recall:.4f} [{recall.low:.3f}, {recall.high:.3f}]" in lines[12]
    table = lines[lines.index(next(line for line in lines if line.startswith("length"))) :]
    assert table[1].startswith("5 to 54 characters       50  0.")
    assert len(table) == 5 + 2
    assert table[-1].startswith("Intervals: 95 %, bootstrap over rows, 100 resamples (percentile, not stratified")


def test_small_slices_and_intervals_without_width_are_marked():
    lines = format_scores(evaluated(rows=40, lengths=np.arange(40))).splitlines()
    assert "10 to 19 characters *" in "\n".join(lines)
    assert "* fewer than 30 rows: too few to conclude much." in lines
    certain = score_answers(np.array([0, 1] * 20), np.eye(2)[[0, 1] * 20], ["bad", "good"], resamples=100)
    assert "An interval without width is not certainty" in format_scores(certain)
    answers = np.eye(3)[[0, 1, 2, 1, 2] * 10]  # all of the first class are right, the others are not
    of_a_class = score_answers(np.array([0, 1, 2, 2, 1] * 10), answers, ["a", "b", "c"], resamples=100)
    assert of_a_class.intervals.scores["accuracy"].low < of_a_class.intervals.scores["accuracy"].high
    assert "An interval without width is not certainty" in format_scores(of_a_class)
