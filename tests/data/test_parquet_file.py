from __future__ import annotations

import datetime
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tf_finetune.data import read_examples, read_rows

Write = Callable[..., str]


@pytest.fixture
def write_parquet(tmp_path: Path) -> Callable[..., str]:
    def write(name: str, columns: dict[str, Any], **options: Any) -> str:
        pq.write_table(pa.table(columns), tmp_path / "plain.parquet", **options)
        raw = (tmp_path / "plain.parquet").read_bytes()
        (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize("name", ["a.parquet", "a.parquet.gz"])
def test_rows_come_out_as_python_values(write_parquet: Write, name: str) -> None:
    day = datetime.date(2020, 1, 2)
    path = write_parquet(name, {"text": ["a", "b"], "label": [1, 2], "day": [day, None], "tags": [["x"], []]})
    source = read_rows([path])
    assert source.columns == ("text", "label", "day", "tags")
    assert list(source) == [
        (path, 1, {"text": "a", "label": 1, "day": day, "tags": ["x"]}),
        (path, 2, {"text": "b", "label": 2, "day": None, "tags": []}),
    ]


def test_row_numbers_run_through_row_groups(write_parquet: Write) -> None:
    path = write_parquet("a.parquet", {"text": list("abcdefg"), "label": list("xyxyxyx")}, row_group_size=2)
    examples = read_examples([path])
    assert [examples.where(i) for i in (0, 6)] == [f"{path}:1", f"{path}:7"]
    assert examples.texts() == list("abcdefg")


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["x", "y"]).dictionary_encode(),
        pa.array(["x", "y"], pa.large_string()),
        pa.array([" x", "y "]),
    ],
)
def test_strings_of_all_arrow_types_are_labels(write_parquet: Write, values: pa.Array) -> None:
    assert read_examples([write_parquet("a.parquet", {"text": values, "label": values})]).label_names == ("x", "y")


@pytest.mark.parametrize(
    "values, kind",
    [(pa.array([1, 2]), "int"), (pa.array([b"a", b"b"]), "bytes"), (pa.array([["a"], ["b"]]), "list")],
)
def test_a_text_column_must_hold_strings(
    write_parquet: Write, refusal: Callable[..., str], values: pa.Array, kind: str
) -> None:
    path = write_parquet("a.parquet", {"text": values, "label": ["x", "y"]})
    assert refusal(path) == f"{path}:1: column 'text': a text must be a string. Received {kind}."


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1" * 3])
def test_what_is_no_parquet_file_is_refused(write: Write, refusal: Callable[..., str], content: bytes) -> None:
    for name in ("a.parquet", "b.parquet.gz"):
        path = write(name, content)
        assert refusal(path).startswith(f"{path}: is no readable Parquet file (")


def test_damage_inside_is_found(write_parquet: Write, refusal: Callable[..., str]) -> None:
    path = Path(write_parquet("a.parquet", {"text": ["some text"] * 100, "label": ["x", "y"] * 50}))
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + b"\xff" * 60 + whole[64:])
    assert refusal(str(path)).startswith(f"{path}: is no readable Parquet file (")
    path.write_bytes(whole[:-100])
    assert refusal(str(path)).startswith(f"{path}: is no readable Parquet file (")


def test_broken_gzip_around_it_is_told_apart(write: Write, refusal: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "a.parquet.gz"
    path.write_bytes(b"PAR1")
    assert refusal(str(path)).startswith(f"{path}: is no complete gzip file")


def test_a_table_without_rows_is_refused(write_parquet: Write, refusal: Callable[..., str]) -> None:
    path = write_parquet("a.parquet", {"text": pa.array([], pa.string()), "label": pa.array([], pa.string())})
    assert refusal(path) == f"{path}: has a header but no rows. Add rows, or leave the file out."


def test_nulls_are_bad_rows(write_parquet: Write, refusal: Callable[..., str]) -> None:
    path = write_parquet(
        "a.parquet", {"text": ["a", None, "c", "d"], "label": pa.array([1.0, 2.0, float("nan"), None])}
    )
    assert f"{path}:2 (empty text), {path}:3 (no label), {path}:4 (no label)" in refusal(path)
