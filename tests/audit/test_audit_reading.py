"""What `fit` would refuse is read and reported: empty rows, unknown labels; what cannot be audited is refused."""

from __future__ import annotations

import pytest

from tests.conftest import write_csv
from tf_finetune.audit.audit import audit
from tf_finetune.audit.read import read_data
from tf_finetune.config import DataConfig
from tf_finetune.errors import ConfigError, DataError

ROWS = [("fine film", "good"), ("dull film", "bad"), ("", "good"), ("warm", ""), ("weak plot", "bad")]


@pytest.fixture
def files(tmp_path):
    return {
        "train": str(write_csv(tmp_path / "train.csv", ROWS)),
        "test": str(write_csv(tmp_path / "test.csv", [("nice", "good"), ("odd", "strange")])),
    }


def test_rows_that_cannot_be_used_are_listed(files):
    read = read_data(DataConfig(data=(files["train"],)))
    assert [(bad.split, bad.where, bad.fault) for bad in read.bad_rows] == [
        ("train", f"{files['train']}:4", "empty text"),
        ("train", f"{files['train']}:5", "no label"),
    ]
    assert read.splits["train"].texts() == ["fine film", "dull film", "weak plot"]
    assert list(read.splits) == ["train"]  # nothing is held out
    found = audit(read.splits, bad_rows=read.bad_rows)
    assert {(one.kind, one.severity, one.count) for one in found.findings} >= {
        ("empty_text", "error", 1),
        ("no_label", "error", 1),
    }


def test_labels_that_only_the_test_data_has_are_read(files):
    read = read_data(DataConfig(data=(files["train"],), test=(files["test"],)))
    assert read.splits["train"].label_names == read.splits["test"].label_names == ("bad", "good", "strange")
    assert read.splits["test"].label_counts == {"bad": 0, "good": 1, "strange": 1}
    assert "unknown_label" in {one.kind for one in audit(read.splits).findings}


def test_the_label_map_renames_and_leaves_out(files):
    mapped = DataConfig(data=(files["train"],), test=(files["test"],), label_map="good=+;bad=-;strange=")
    read = read_data(mapped)
    assert read.splits["test"].label_counts == {"+": 1, "-": 0}
    assert "left out 1 of" in read.notes[0]


def test_splits_of_folders_are_found(tmp_path):
    for split, label, text in (("train", "a", "x y"), ("train", "b", "y z"), ("test", "a", "x y")):
        folder = tmp_path / "texts" / split / label
        folder.mkdir(parents=True)
        (folder / "1.txt").write_text(text)
    read = read_data(DataConfig(data=(str(tmp_path / "texts"),)))
    assert {split: len(part) for split, part in read.splits.items()} == {"train": 2, "test": 1}
    (leak,) = (one for one in audit(read.splits).findings if one.kind == "leak")
    assert leak.rows[0].where.endswith("test/a/1.txt") and leak.rows[0].other.endswith("train/a/1.txt")


def test_a_test_split_without_labels_is_passed_over_unless_it_was_given(tmp_path, files):
    unlabelled = str(write_csv(tmp_path / "u.csv", [("some text", "")]))
    with pytest.raises(DataError, match="none of the 1 test rows can be used"):
        read_data(DataConfig(data=(files["train"],), test=(unlabelled,)))


def test_the_embedded_sample_is_read_without_data():
    assert {split: len(part) for split, part in read_data(DataConfig()).splits.items()} == {"train": 2564, "test": 366}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"test": "train"}, "would be both train and test data"),
        ({"text_column": "words"}, "no column 'words'"),
        ({"data_dir": "x"}, "--data-dir"),
    ],
)
def test_what_cannot_be_audited_is_refused(files, config, message):
    config = {key: (files[value],) if value in files else value for key, value in config.items()}
    with pytest.raises((DataError, ConfigError), match=message):
        read_data(DataConfig(data=(files["train"],), **config))


def test_one_class_is_refused(tmp_path):
    path = write_csv(tmp_path / "one.csv", [("a", "x"), ("b", "x")])
    with pytest.raises(DataError, match="two or more classes"):
        read_data(DataConfig(data=(str(path),)))
