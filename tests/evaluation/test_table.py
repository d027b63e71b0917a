from __future__ import annotations

import numpy as np

from tf_finetune.evaluation.metrics import Scores, compute_scores
from tf_finetune.evaluation.table import _width, format_scores


def scores_of(pairs: list[tuple[int, int]], names: list[str]) -> Scores:
    """Scores of (true, predicted) pairs, all predicted with certainty."""
    true, predicted = np.array(pairs).T
    return compute_scores(true, np.eye(len(names))[predicted], names)


def test_the_whole_table_of_two_classes():
    scores = scores_of([(0, 0)] * 3 + [(0, 1)] + [(1, 1)] * 12, ["negative", "positive"])
    table = format_scores(scores, title="test.csv")
    lines = table.splitlines()
    assert lines[:7] == [
        "test.csv",
        "",
        "rows      16",
        "accuracy  0.9375",
        f"macro F1  {scores.macro_f1:.4f}",
        "AUROC     0.8750",
        f"log loss  {scores.log_loss:.4f}",
    ]
    assert lines[7:] == [
        "",
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
    assert "AUROC     - (undefined: no row has the label good)" in table
    assert table.startswith("rows")


def test_names_of_double_width_and_combining_marks_are_aligned():
    names = ["良い", "bad", "cafe\u0301"]
    table = format_scores(scores_of([(0, 0), (1, 1), (2, 2)], names))
    rows = [line for line in table.splitlines() if line.endswith("  1.0000     1")]
    assert len(rows) == 3
    assert {_width(line) for line in rows} == {_width(rows[0])}
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
    assert max(map(_width, table.splitlines())) <= 100
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
