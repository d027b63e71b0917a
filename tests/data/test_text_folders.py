from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tf_finetune.config import DataConfig
from tf_finetune.data import load_splits, read_examples, read_rows
from tf_finetune.data.read import read_sources
from tf_finetune.data.readers import find_sources

Rows = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def acl_imdb(write: Callable[..., str], tmp_path: Path) -> str:
    """A folder as the Large Movie Review Dataset has it."""
    for split in ("train", "test"):
        for label in ("neg", "pos"):
            for name in ("0_9", "10_8", "2_7"):
                write(f"aclImdb/{split}/{label}/{name}.txt", f"{split} {label} {name}\n")
            write(f"aclImdb/{split}/urls_{label}.txt", "http://example.org\n")
        write(f"aclImdb/{split}/labeledBow.feat", "9 0:1\n")
    write("aclImdb/train/unsup/0_0.txt", "no label here")
    write("aclImdb/README", "read me")
    write("aclImdb/imdb.vocab", "the\n")
    return str(tmp_path / "aclImdb")


def test_splits_and_labels_are_folders(acl_imdb: str, rows_of: Rows, caplog: pytest.LogCaptureFixture) -> None:
    train = read_examples([acl_imdb])
    assert rows_of(train) == [
        (f"train {label} {name}", label) for label in ("neg", "pos") for name in ("0_9", "2_7", "10_8")
    ]
    assert train.where(1) == f"{acl_imdb}/train/neg/2_7.txt"
    assert f"{acl_imdb}/train/unsup: ignored, its texts have no label." in caplog.text
    assert read_examples([acl_imdb], split="test", label_names=("neg", "pos")).texts()[0] == "test neg 0_9"


def test_one_split_can_be_given_as_a_folder_of_labels(acl_imdb: str) -> None:
    test = read_examples([f"{acl_imdb}/test"], split="train")
    assert test.label_counts == {"neg": 3, "pos": 3}


def test_load_splits_finds_the_test_split(acl_imdb: str) -> None:
    splits = load_splits(DataConfig(data=(acl_imdb,)), seed=0)
    assert splits.test is not None
    assert splits.test.label_counts == {"neg": 3, "pos": 3}
    assert len(splits.train) + len(splits.validation) == 6
    assert any("unsup: ignored" in note for note in splits.notes)


@pytest.mark.parametrize("name", ["validation", "val", "valid", "dev", "Dev"])
def test_the_validation_split_has_many_names(write: Callable[..., str], tmp_path: Path, name: str) -> None:
    for split in ("train", name):
        for label in ("a", "b"):
            write(f"d/{split}/{label}/1.txt", f"{split} {label}")
    splits = load_splits(DataConfig(data=(str(tmp_path / "d"),)), seed=0)
    assert splits.validation.texts() == [f"{name} a", f"{name} b"]
    assert splits.test is None


def test_a_split_that_is_not_there_is_refused(acl_imdb: str, refusal: Callable[..., str]) -> None:
    message = refusal(acl_imdb, split="validation", label_names=("neg", "pos"))
    assert message.startswith(f"{acl_imdb}: has no validation split, only test, train. Give the folder that is meant")


@pytest.mark.parametrize(
    "files, message",
    [
        (["a.txt", "b.txt"], "It has .txt files, but no folders of labels. Put each text into a folder"),
        (["README"], "expected <split>/<label>/*.txt or <label>/*.txt."),
        (["deep/pos/a.txt", "deep/neg/b.txt"], "/deep meant?"),
        (["val/a/1.txt", "dev/a/1.txt"], "both dev and val are the validation split. Remove one."),
        (["train/a/1.txt", "train/b/1.txt", "more/a/1.txt"], "/more: has texts, but is no split. Beside train only"),
        (["train/a/1.txt", "train/b/1.txt", "more/1.txt"], "/more: has texts, but is no split."),
        (["a/1.txt"], "A classifier needs two or more classes. Found only 'a' in 1 rows."),
    ],
)
def test_other_layouts_are_refused(
    write: Callable[..., str], tmp_path: Path, refusal: Callable[..., str], files: list[str], message: str
) -> None:
    for i, file in enumerate(files):
        write(f"d/{file}", f"text {i}")
    assert message in refusal(str(tmp_path / "d"))


def test_what_is_passed_over_is_said(write: Callable[..., str], tmp_path: Path) -> None:
    for file in ("a/1.txt", "b/1.txt", "b/2.text", "b/.hidden", "c/1.md", ".git/1.txt", "__MACOSX/1.txt"):
        write(f"d/train/{file}", f"text of {file}")
    write("d/test/1.txt", "no label")
    root = tmp_path / "d"
    _, notes = read_sources(find_sources([str(root)]), DataConfig(), split="train")
    assert notes == (
        f"{root}/train/c: ignored, it has no .txt files.",
        f"{root}/train/b: ignored 1 entries that are no .txt files, such as 2.text.",
        f"{root}/test: ignored, its texts have no label folders.",
    )


def test_an_empty_text_file_is_a_bad_row(
    write: Callable[..., str], tmp_path: Path, refusal: Callable[..., str]
) -> None:
    write("d/a/1.txt", "x")
    empty = write("d/b/1.txt", " \n")
    assert f"1 of 2 rows cannot be used (1 with empty text): {empty} (empty text)." in refusal(str(tmp_path / "d"))


def test_pairs_are_refused(write: Callable[..., str], tmp_path: Path, refusal: Callable[..., str]) -> None:
    write("d/a/1.txt", "x")
    write("d/b/1.txt", "y")
    table = write("a.csv", "text,other,label\na,b,a\n")
    message = refusal(table, str(tmp_path / "d"), pair_column="other")
    assert message == f"{tmp_path}/d: --pair-column: folders of texts have no sentence pairs."


def test_folders_and_tables_mix(write: Callable[..., str], tmp_path: Path, rows_of: Rows) -> None:
    write("d/a/1.txt", "x")
    table = write("t.csv", "review,label\ny,b\n")
    assert rows_of(read_examples([str(tmp_path / "d"), table])) == [("x", "a"), ("y", "b")]


def test_rows_for_prediction_have_text_and_file(acl_imdb: str, write: Callable[..., str], tmp_path: Path) -> None:
    write("flat/b.txt", "second")
    write("flat/a.txt", "first")
    flat = read_rows([str(tmp_path / "flat")])
    assert flat.columns == ("text", "file")
    assert list(flat) == [
        (f"{tmp_path}/flat/a.txt", 0, {"text": "first", "file": "a.txt"}),
        (f"{tmp_path}/flat/b.txt", 0, {"text": "second", "file": "b.txt"}),
    ]
    write("flat/more/10.txt", "third")
    assert [row["file"] for _, _, row in flat] == ["a.txt", "b.txt"]
    assert [row["file"] for _, _, row in read_rows([str(tmp_path / "flat")])] == ["a.txt", "b.txt", "more/10.txt"]
    with pytest.raises(ValueError, match=f"{acl_imdb}: holds several splits. Give the folder of one"):
        read_rows([acl_imdb])
