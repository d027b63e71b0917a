from __future__ import annotations

from collections.abc import Callable

import pytest

from tf_finetune.data import read_rows
from tf_finetune.errors import ConfigError, DataError

Write = Callable[..., str]


def test_files_with_the_same_columns_are_one_source(write: Write) -> None:
    first, second = write("a.csv", "id,text\n1,a\n2,b\n"), write("b.jsonl", '{"text": "c", "id": 3}\n')
    source = read_rows([first, second])
    assert source.columns == ("id", "text")
    rows = [
        (first, 2, {"id": "1", "text": "a"}),
        (first, 3, {"id": "2", "text": "b"}),
        (second, 1, {"id": 3, "text": "c"}),
    ]
    assert list(source) == rows
    assert list(source) == rows


def test_different_columns_are_refused(write: Write) -> None:
    first, second = write("a.csv", "id,text\n1,a\n"), write("b.csv", "text,label\na,x\n")
    with pytest.raises(DataError) as caught:
        read_rows([first, second])
    assert str(caught.value) == f"{second}: must have the columns of {first}. Only in one of them: 'id', 'label'."


def test_rows_are_streamed(write: Write) -> None:
    path = write("a.csv", "text\n" + "good\n" * 5 + '"broken\n')
    rows = iter(read_rows([path]))
    assert [next(rows)[1] for _ in range(5)] == [2, 3, 4, 5, 6]
    with pytest.raises(DataError, match=f"{path}:7: broken quoting"):
        next(rows)


def test_empty_texts_are_rows(write: Write) -> None:
    assert [row for *_, row in read_rows([write("a.csv", 'text\n""\na\n')])] == [{"text": ""}, {"text": "a"}]


def test_options_without_effect_are_refused(write: Write) -> None:
    path = write("a.csv", "text\na\n")
    with pytest.raises(ConfigError, match="--tsv-quoting is for tsv, but the data is csv"):
        read_rows([path], tsv_quoting="csv")


def test_tfds_names_are_refused() -> None:
    with pytest.raises(DataError, match="tfds:imdb_reviews: only files and folders can be read here"):
        read_rows(["tfds:imdb_reviews"])
