"""Slices by length, class and column."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import metrics

from tests.conftest import write_csv
from tf_finetune.data import read_examples
from tf_finetune.errors import ConfigError, DataError
from tf_finetune.evaluation import slice_columns
from tf_finetune.evaluation.slice_columns import ColumnValues, read_columns
from tf_finetune.evaluation.slices import slice_by_class, slice_by_column, slice_by_length

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(0, 3, 400)
ANSWERS = np.where(GENERATOR.random(400) < 0.7, LABELS, GENERATOR.integers(0, 3, 400))


def column(values) -> ColumnValues:
    names = list(dict.fromkeys(values))
    return ColumnValues("genre", tuple(names), np.array([names.index(value) for value in values], np.int32))


def test_slices_by_column_have_sklearns_scores_and_begin_with_the_largest():
    values = ["b"] * 100 + ["a"] * 280 + ["c"] * 20
    found = slice_by_column(LABELS, ANSWERS, column(values), resamples=200)
    assert (found.kind, found.by) == ("column", "genre")
    assert [(one.name, one.rows, one.is_small) for one in found.slices] == [
        ("a", 280, False),
        ("b", 100, False),
        ("c", 20, True),
    ]
    for one in found.slices:
        rows = np.array(values) == one.name
        assert one.accuracy.estimate == pytest.approx((LABELS == ANSWERS)[rows].mean())
        assert one.macro_f1.estimate == pytest.approx(metrics.f1_score(LABELS[rows], ANSWERS[rows], average="macro"))
        for score in (one.accuracy, one.macro_f1):
            assert score.low < score.estimate < score.high


def test_macro_f1_of_a_slice_is_over_the_classes_that_occur_in_it():
    labels, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 2])
    found = slice_by_column(labels, predicted, column(["x"] * 5 + ["y"]), resamples=100)
    assert found.slices[0].macro_f1.estimate == pytest.approx(0.8)
    assert found.slices[1].macro_f1.estimate == 1.0


def test_rare_values_share_a_slice():
    values = [f"v{i % 30}" for i in range(400)]
    found = slice_by_column(LABELS, ANSWERS, column(values), resamples=100)
    assert len(found.slices) == 21
    assert found.slices[-1].name == "(10 other values)"
    assert sum(one.rows for one in found.slices) == 400


def test_slices_by_length_are_quarters():
    lengths = np.arange(400)[::-1] + 3
    found = slice_by_length(LABELS, ANSWERS, lengths, resamples=100)
    assert [one.name for one in found.slices] == [
        "3 to 102 characters",
        "103 to 202 characters",
        "203 to 302 characters",
        "303 to 402 characters",
    ]
    assert {one.rows for one in found.slices} == {100}
    assert found.slices[0].accuracy.estimate == pytest.approx((LABELS == ANSWERS)[300:].mean())


def test_rows_of_one_length_stay_together():
    lengths = np.array([7] * 390 + [1] * 10)
    found = slice_by_length(LABELS, ANSWERS, lengths, resamples=100)
    assert [(one.name, one.rows) for one in found.slices] == [("1 to 7 characters", 400)]
    lengths = np.array([7] * 200 + [9] * 200)
    found = slice_by_length(LABELS, ANSWERS, lengths, resamples=100)
    assert [(one.name, one.rows) for one in found.slices] == [("7 characters", 200), ("9 characters", 200)]


def test_the_accuracy_of_a_class_is_its_recall():
    found = slice_by_class(LABELS, ANSWERS, ["a", "b", "c", "d"], resamples=100)
    assert [one.name for one in found.slices] == ["a", "b", "c"]
    recalls = metrics.recall_score(LABELS, ANSWERS, average=None)
    assert [one.accuracy.estimate for one in found.slices] == pytest.approx(list(recalls))
    assert {one.macro_f1 for one in found.slices} == {None}


def as_dict(values: ColumnValues) -> list[str]:
    return [values.values[code] for code in values.codes]


ROWS = [
    ("good", "p", "drama", 2001),
    ("", "p", "lost", 2002),
    ("bad", "n", "", 2001),
    ("dull", "out", "lost", 2003),
    ("fine", "p", "comedy", 2004),
]


def files(folder: Path) -> dict[str, Path]:
    names = ("text", "label", "genre", "year")
    rows = [dict(zip(names, row, strict=True)) for row in ROWS]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet")
    with open(folder / "a.tsv", "w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([names, *ROWS])
    return {"csv": write_csv(folder / "a.csv", ROWS, header=names), **{k: folder / f"a.{k}" for k in KINDS[1:]}}


KINDS = ("csv", "tsv", "jsonl", "parquet")


@pytest.mark.parametrize("kind", KINDS)
def test_columns_belong_to_the_rows_that_were_kept(tmp_path: Path, kind: str):
    found = files(tmp_path)
    paths = [str(found[kind]), str(found["csv" if kind == "jsonl" else "jsonl"])]
    examples = read_examples(paths, on_bad_row="skip", label_map="p=p;n=n;out=")
    genre, year = read_columns(examples, paths, ["genre", "year"])
    assert (genre.name, year.name) == ("genre", "year")
    assert as_dict(genre) == ["drama", "(empty)", "comedy"] * 2
    assert as_dict(year) == ["2001", "2001", "2004"] * 2
    assert genre.codes.dtype == np.int32


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path):
    path = str(write_csv(tmp_path / "a.csv", [("x", "n"), ("y", "p")]))
    with pytest.raises(DataError, match="--slice-by: there is no column 'genre'. Columns found: 'text', 'label'"):
        read_columns(read_examples([path]), [path], ["genre"])
    with pytest.raises(ConfigError, match="name each column once"):
        read_columns(read_examples([path]), [path], ["label", "label"])


def test_a_folder_has_no_columns(tmp_path: Path):
    for label in ("n", "p"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.txt").write_text(label)
    with pytest.raises(ConfigError, match="is a folder of texts, which has no columns"):
        read_columns(read_examples([str(tmp_path)]), [str(tmp_path)], ["genre"])


def test_values_that_are_no_single_ones_are_refused(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x", "label": "n", "tags": ["a"]}\n{"text": "y", "label": "p", "tags": []}\n')
    with pytest.raises(DataError, match=r"a.jsonl:1: --slice-by tags: expected one value a row. Received: list"):
        read_columns(read_examples([str(path)]), [str(path)], ["tags"])


def test_a_column_of_too_many_values_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(slice_columns, "MOST_VALUES", 3)
    path = str(write_csv(tmp_path / "a.csv", [(f"text {i}", "np"[i % 2]) for i in range(4)]))
    with pytest.raises(DataError, match=r"--slice-by text: the column has over 3 different values"):
        read_columns(read_examples([path]), [path], ["text"])


def test_data_that_changed_meanwhile_is_refused(tmp_path: Path):
    path = tmp_path / "a.csv"
    write_csv(path, [("x", "n"), ("y", "p")])
    examples = read_examples([str(path)])
    write_csv(path, [("x", "n")])
    with pytest.raises(DataError, match="a.csv:3: the row is gone"):
        read_columns(examples, [str(path)], ["label"])
