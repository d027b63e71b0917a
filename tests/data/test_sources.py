from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tf_finetune.data import read_examples, source_kinds
from tf_finetune.data.readers import find_sources

ROWS = "text,label\na {0},x\nb {0},y\n"


def test_a_glob_is_one_data_set_in_natural_order(write: Callable[..., str], tmp_path: Path) -> None:
    for i in (10, 9, 1):
        write(f"part-{i}.csv", ROWS.format(i))
    write("README.md", "")
    examples = read_examples([str(tmp_path / "part-*.csv")])
    assert examples.texts() == [f"{letter} {i}" for i in (1, 9, 10) for letter in "ab"]


def test_formats_mix_in_one_data_set(write: Callable[..., str], tmp_path: Path) -> None:
    paths = [
        write("a.csv.gz", ROWS.format(1)),
        write("b.tsv", "label\treview\nx\tc\n"),
        write("c.jsonl", '{"sentence": "d", "sentiment": "z"}\n'),
    ]
    examples = read_examples(paths)
    assert examples.texts() == ["a 1", "b 1", "c", "d"]
    assert examples.label_names == ("x", "y", "z")
    assert source_kinds(paths) == {"csv", "tsv", "jsonl"}


def test_a_name_with_brackets_is_a_file_if_it_is_there(write: Callable[..., str]) -> None:
    assert len(read_examples([write("a[1].csv", ROWS)])) == 2


def test_a_missing_file_is_named_with_its_neighbours(write: Callable[..., str], refusal: Callable[..., str]) -> None:
    path = write("reviews.csv", ROWS)
    wrong = path.replace("reviews", "review")
    assert refusal(wrong) == f"{wrong}: there is no such file or folder. Is {path} meant?"
    far = str(Path(path).parent / "nowhere" / "a.csv")
    assert refusal(far) == f"{far}: there is no such file, nor the folder {Path(far).parent}."


def test_a_broken_link_is_named(tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "gone.csv")
    assert "is a link to" in refusal(str(tmp_path / "a.csv"))


def test_a_glob_without_match_is_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    assert refusal(str(tmp_path / "*.csv")).startswith(f"{tmp_path}/*.csv: no file matches this pattern")


@pytest.mark.parametrize("name", ["a.txt", "a.xlsx", "a.json", "a", "a.gz", "a.csv.zip"])
def test_an_unknown_format_lists_those_that_are_known(
    write: Callable[..., str], refusal: Callable[..., str], name: str
) -> None:
    path = write(name, ROWS)
    message = refusal(path)
    assert message.startswith(f"{path}: the format is not known from the end of the name.")
    assert ".csv, .tsv, .jsonl, .ndjson, .parquet, each also with .gz" in message


def test_a_glob_that_takes_in_other_files_is_refused(
    write: Callable[..., str], refusal: Callable[..., str], tmp_path: Path
) -> None:
    write("a.csv", ROWS)
    other = write("notes.md", "")
    assert refusal(str(tmp_path / "*")).startswith(f"{other}: the format is not known")


def test_a_file_given_twice_is_refused(write: Callable[..., str], refusal: Callable[..., str], tmp_path: Path) -> None:
    path = write("a.csv", ROWS)
    assert "is given twice" in refusal(path, str(tmp_path / "*.csv"))
    (tmp_path / "link.csv").symlink_to(path)
    assert "is given twice" in refusal(path, str(tmp_path / "link.csv"))


def test_a_pipe_is_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    os.mkfifo(tmp_path / "a.csv")
    assert "is no regular file" in refusal(str(tmp_path / "a.csv"))


def test_the_home_folder_may_be_abbreviated(
    write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.csv", ROWS)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(read_examples(["~/a.csv"])) == len(read_examples(["~/*.csv"])) == 2


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../imdb_reviews",
        "imdb_reviews:1.0.0",
        "huggingface:imdb",
        "glue/../sst2",
        "glue/sst2/1.0.0",
        "glue/a=1",
        "/etc",
        "Imdb",
        "imdb\n",
    ],
)
def test_tfds_names_are_names_only(refusal: Callable[..., str], name: str) -> None:
    message = refusal(f"tfds:{name}")
    assert message.startswith(f"tfds:{name}: expected tfds:NAME or tfds:NAME/CONFIG")
    assert "--data-dir" in message


def test_paths_must_be_a_list(refusal: Callable[..., str]) -> None:
    with pytest.raises(ValueError, match=r"Expected a list of paths. Received one str: write \['a.csv'\]"):
        find_sources("a.csv")
    assert "Expected at least one path" in refusal()
