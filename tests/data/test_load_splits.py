from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tf_finetune.config import DataConfig
from tf_finetune.data import load, load_splits
from tf_finetune.errors import ConfigError, DataError

Write = Callable[..., str]


def rows(prefix: str, count: int, labels: str = "xy") -> str:
    return "text,label\n" + "".join(f"{prefix} {i},{labels[i % len(labels)]}\n" for i in range(count))


@pytest.fixture
def train(write: Write) -> str:
    return write("train.csv", rows("train", 100))


def test_validation_and_test_data_are_taken_as_given(write: Write, train: str) -> None:
    validation, test = write("val.csv", rows("val", 10)), write("test.csv", rows("test", 4, "x"))
    splits = load_splits(DataConfig(data=(train,), validation=(validation,), test=(test,)), seed=0)
    assert (len(splits.train), len(splits.validation)) == (100, 10)
    assert splits.test is not None
    assert splits.test.label_counts == {"x": 4, "y": 0}
    assert splits.notes == ()


def test_validation_data_is_split_off_and_test_data_is_not(train: str) -> None:
    splits = load_splits(DataConfig(data=(train,), validation_split=0.2), seed=5)
    assert splits.train.label_counts == {"x": 40, "y": 40}
    assert splits.validation.label_counts == {"x": 10, "y": 10}
    assert splits.test is None
    assert splits.notes == (
        "No validation data: held out 20 of 100 training rows with seed 5 (--validation-split 0.2).",
    )
    assert not set(splits.train.texts()) & set(splits.validation.texts())


def test_the_sample_is_drawn_after_the_split(train: str) -> None:
    config = DataConfig(data=(train,))
    whole = load_splits(config, seed=1)
    part = load_splits(DataConfig(data=(train,), max_train_samples=10), seed=1)
    assert part.train.label_counts == {"x": 5, "y": 5}
    assert part.validation.fingerprint == whole.validation.fingerprint
    assert set(part.train.texts()) < set(whole.train.texts())
    assert part.notes[-1] == "Training on 10 of 90 rows (--max-train-samples), drawn with seed 1."


def test_the_same_seed_gives_the_same_splits(train: str) -> None:
    first, again, other = (load_splits(DataConfig(data=(train,)), seed=seed) for seed in (1, 1, 2))
    assert first.train.fingerprint == again.train.fingerprint
    assert first.validation.fingerprint != other.validation.fingerprint


def test_a_class_too_small_to_hold_out_is_said(write: Write) -> None:
    path = write("a.csv", rows("t", 40) + "single,z\n")
    splits = load_splits(DataConfig(data=(path,)), seed=0)
    assert splits.train.label_counts["z"] == 1
    assert "Too few distinct texts to hold out any of 'z'." in splits.notes


@pytest.mark.parametrize("role", ["validation", "test"])
def test_unknown_labels_are_refused(write: Write, train: str, role: str) -> None:
    other = write("other.csv", "text,label\na,x\nb,z\n")
    config = DataConfig(data=(train,), **{role: (other,)})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=f"training data lacks: 'z' .1 rows, first {other}:3.*Known labels: 'x', 'y'"):
        load_splits(config, seed=0)


@pytest.mark.parametrize("role", ["validation", "test"])
def test_one_file_has_one_role(train: str, role: str) -> None:
    config = DataConfig(data=(train,), **{role: (train,)})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=f"would be both train and {role} data"):
        load_splits(config, seed=0)


def test_the_test_split_of_a_folder_is_not_used_for_choosing(write: Write, tmp_path: Path) -> None:
    for file in ("train/a/1", "train/b/1", "test/a/1", "test/b/1"):
        write(f"d/{file}.txt", file)
    config = DataConfig(data=(str(tmp_path / "d"),), validation=(str(tmp_path / "d" / "test"),))
    with pytest.raises(DataError, match="would be both validation and test data"):
        load_splits(config, seed=0)


def test_a_split_option_beside_validation_data_is_refused(write: Write, train: str, tmp_path: Path) -> None:
    validation = write("val.csv", rows("val", 10))
    with pytest.raises(ConfigError, match="without effect: --validation-split, because there is validation data"):
        load_splits(DataConfig(data=(train,), validation=(validation,), validation_split=0.3), seed=0)
    for file in ("train/a/1", "train/b/1", "val/a/1", "val/b/1"):
        write(f"d/{file}.txt", file)
    with pytest.raises(ConfigError, match="without effect: --validation-split"):
        load_splits(DataConfig(data=(str(tmp_path / "d"),), validation_split=0.3), seed=0)


def test_options_count_for_all_sources_together(write: Write, train: str) -> None:
    validation = write("val.tsv", 'text\tlabel\n"a"\tx\n')
    splits = load_splits(DataConfig(data=(train,), validation=(validation,), tsv_quoting="csv"), seed=0)
    assert splits.validation.texts() == ["a"]
    with pytest.raises(ConfigError, match="--data-dir is for tfds, but the data is csv, tsv"):
        load_splits(DataConfig(data=(train,), validation=(validation,), data_dir="d"), seed=0)


def test_unlabelled_data_that_was_asked_for_is_refused(write: Write, train: str) -> None:
    test = write("test.csv", "text,label\na,\nb,\n")
    with pytest.raises(DataError, match="none of the 2 rows has a label"):
        load_splits(DataConfig(data=(train,), test=(test,)), seed=0)


def test_nothing_is_left_in_the_spool_folder(train: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    splits = load_splits(DataConfig(data=(train,)), seed=0, spool_dir=str(spool))
    assert not list(spool.iterdir())
    assert len(splits.train.texts()) == 90


@pytest.fixture
def sample(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Path(write("sample/reviews.csv", rows("s", 40))), Path(write("sample/reviews_test.csv", rows("t", 6)))
    monkeypatch.setattr(load, "sample_files", lambda: files)


def test_without_data_the_embedded_sample_is_used_and_said(sample: None) -> None:
    splits = load_splits(DataConfig(validation_split=0.25, max_train_samples=20), seed=0)
    assert splits.notes[0] == "No --data given: using the embedded sample of reviews."
    assert splits.test is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (20, 10, 6)


@pytest.mark.parametrize(
    "option",
    [{"label_map": "x=a"}, {"encoding": "cp1252"}, {"text_column": "text"}, {"data_dir": "d"}, {"test": ("t.csv",)}],
)
def test_options_about_data_need_data(sample: None, option: dict[str, Any]) -> None:
    flag = "--" + next(iter(option)).replace("_", "-")
    with pytest.raises(ConfigError, match=f"Options without effect: {flag} has no effect without --data"):
        load_splits(DataConfig(**option), seed=0)


def test_the_embedded_sample_is_installed_and_apart_from_its_test_part() -> None:
    splits = load_splits(DataConfig(), seed=42)
    assert splits.test is not None
    assert splits.train.label_names == ("negative", "positive")
    assert len(splits.train) + len(splits.validation) >= 500


def test_a_sample_that_is_not_installed_is_a_data_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
    with pytest.raises(DataError, match="reviews.csv: the embedded sample is not installed. Install the package again"):
        load.sample_files()


def test_the_seed_of_the_split_is_told_apart_from_that_of_the_run(train: str) -> None:
    wanted = load_splits(DataConfig(data=(train,)), seed=1)
    found = load_splits(DataConfig(data=(train,), split_seed=1), seed=2)
    assert found.validation.fingerprint == wanted.validation.fingerprint
    assert found.is_drawn
    assert "with seed 1 " in found.notes[0]


def test_a_seed_of_the_split_without_a_split_is_refused(write: Write, train: str) -> None:
    validation = write("val.csv", rows("val", 10))
    assert not load_splits(DataConfig(data=(train,), validation=(validation,)), seed=0).is_drawn
    with pytest.raises(ConfigError, match="without effect: --split-seed"):
        load_splits(DataConfig(data=(train,), validation=(validation,), split_seed=3), seed=0)
    drawn = DataConfig(data=(train,), validation=(validation,), split_seed=3, max_train_samples=10)
    first, second = (load_splits(drawn, seed=seed) for seed in (0, 1))
    assert first.is_drawn
    assert first.train.fingerprint == second.train.fingerprint
