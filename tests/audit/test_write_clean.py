"""The clean file has the sound rows, whole and unchanged; the list beside it says why the others are gone."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest

from tests.conftest import write_csv
from tf_finetune.audit.clean import check_clean, write_clean
from tf_finetune.audit.inspect import inspect
from tf_finetune.config import DataConfig
from tf_finetune.data import load_splits
from tf_finetune.errors import ConfigError, DataError


def review(number):
    """Thirty words that no other number has."""
    chance = random.Random(number)
    return " ".join("".join(chance.choices("abdeginorst", k=5)) for _ in range(30))


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.fixture
def config(tmp_path):
    """Eleven rows, of which three and a half are sound."""
    near = review(9).split()
    near[4] = "other"
    rows = [
        ["1", review(1), "good", 'with "quotes",\nand lines'],
        ["2", review(1), "good", "twice"],
        ["3", review(2), "good", "two labels"],
        ["4", review(2), "bad", "two labels"],
        ["5", "", "bad", "empty"],
        ["6", "10/10", "bad", "no letters"],
        ["7", review(8), "bad", "in test"],
        ["8", " ".join(near), "bad", "like one of test"],
        ["9", f"{review(4)} <br />&amp; é\u0301", "bad ", "odd but sound"],
        ["10", f"{review(4)} <br />&amp; e\u0301 end", "bad", "like the one before"],
        ["11", review(5), "", "no label"],
    ]
    train = write_csv(tmp_path / "train.csv", rows, header=("id", "text", "label", "why"))
    test = write_csv(tmp_path / "test.csv", [[review(8), "good"], [review(9), "bad"], [review(7), "bad"]])
    return DataConfig(data=(str(train),), test=(str(test),))


def test_rows_are_dropped_with_their_reasons_and_nothing_is_changed(config, tmp_path):
    before = {path: Path(path).read_bytes() for path in (*config.data, *config.test)}
    result = write_clean(inspect(config, model=None), config, str(tmp_path / "out.csv"))
    (train,), (test,) = config.data, config.test
    kept = read(result.output)
    original = read(train)
    assert kept == [row for row in original if row[0] in ("id", "1", "9", "10")]
    assert read(result.dropped_output) == [
        ["file", "row", "reason"],
        [train, "4", f"duplicate of an earlier row: {train}:2"],
        [train, "5", f"the same text has another label: {train}:6"],
        [train, "6", f"the same text has another label: {train}:5"],
        [train, "7", "empty text"],
        [train, "8", "no letters"],
        [train, "9", f"the text is also in the test data: {test}:2"],
        [train, "10", f"near duplicate of a text of the test data: {test}:3"],
        [train, "13", "no label"],
    ]
    assert result.kept == 3 and sum(result.dropped.values()) == 8
    assert before == {path: Path(path).read_bytes() for path in before}
    again = DataConfig(data=(str(result.output),), test=config.test)
    load_splits(again, seed=1)  # what fit reads
    kinds = {one.kind for one in inspect(again, model=None).findings if one.splits[0] == "train"}
    assert not kinds & {"leak", "near_leak", "conflicting_labels", "duplicates", "without_words", "empty_text"}


def test_columns_of_other_formats_are_kept(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"text": review(i), "label": i % 2, "tags": ["a", i], "sure": True, "note": None} for i in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0]]))
    config = DataConfig(data=(str(path),))
    result = write_clean(inspect(config, model=None), config, str(tmp_path / "out.csv"))
    assert read(result.output)[:2] == [
        ["text", "label", "tags", "sure", "note"],
        [review(0), "0", '["a", 0]', "true", ""],
    ]
    assert (result.kept, result.dropped) == (6, {"duplicate of an earlier row": 1})


def test_rows_of_folders_get_their_label_and_file(tmp_path):
    for label, number in (("a", 1), ("a", 2), ("b", 2), ("b", 3)):
        (tmp_path / "texts" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / label / f"{number}.txt").write_text(review(number))
    config = DataConfig(data=(str(tmp_path / "texts"),))
    result = write_clean(inspect(config, model=None), config, str(tmp_path / "out.csv"))
    assert [row[1:] for row in read(result.output)] == [["label", "file"], ["a", "a/1.txt"], ["b", "b/3.txt"]]
    assert [row[1] for row in read(result.dropped_output)] == ["row", "", ""]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.tsv", "ends in .csv"),
        ("no/out.csv", "no folder"),
        ("train.csv", "exists already"),
        ("there.csv", "there.dropped.csv exists already"),
    ],
)
def test_files_that_cannot_be_written_are_refused(config, tmp_path, name, message):
    (tmp_path / "there.dropped.csv").write_text("kept")
    with pytest.raises(ConfigError, match=message):
        check_clean(str(tmp_path / name), config)
    with pytest.raises(ConfigError, match="no --data"):
        check_clean(str(tmp_path / "x.csv"), DataConfig())


def test_a_file_that_comes_meanwhile_is_not_replaced(config, tmp_path, monkeypatch):
    found = inspect(config, model=None)
    path = tmp_path / "out.csv"
    from tf_finetune.audit import clean

    reasons = clean._reasons
    monkeypatch.setattr(clean, "_reasons", lambda traces: (path.write_text("mine"), reasons(traces))[1])
    with pytest.raises(ConfigError, match="exists already"):
        write_clean(found, config, str(path))
    assert path.read_text() == "mine"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.csv", "test.csv", "train.csv"]


def test_files_with_other_columns_and_nothing_left_are_refused(tmp_path):
    same = [(review(1), "a"), (review(1), "b")]
    one = write_csv(tmp_path / "one.csv", same)
    config = DataConfig(data=(str(one),))
    with pytest.raises(DataError, match="no row would be left"):
        write_clean(inspect(config, model=None), config, str(tmp_path / "out.csv"))
    two = write_csv(tmp_path / "two.csv", [(*row, "x") for row in same], header=("text", "label", "more"))
    config = DataConfig(data=(str(one), str(two)))
    with pytest.raises(DataError, match="must have the columns of"):
        write_clean(inspect(config, model=None), config, str(tmp_path / "out.csv"))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one.csv", "two.csv"]
