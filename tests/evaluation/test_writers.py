from __future__ import annotations

import csv
import datetime
import decimal
import gzip
import json
import os
import random
import resource
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tf_finetune.errors import ConfigError, DataError
from tf_finetune.evaluation.writers import SUFFIXES, check_output, open_writer

COLUMNS = ["text", "stars", "share", "new"]
CHUNKS = [
    [["plain", 4, 0.5, True], ['say "hi", please', 5, 1.25, False]],
    [["two\nlines\tand a tab", None, None, None], ["", 1, 2.0, True], ["良い\r", 2, -0.5, False]],
]


def write(path: Path, chunks: list, columns: list[str] | None = None, **options) -> Path:
    with open_writer(path, COLUMNS if columns is None else columns, **options) as writer:
        for chunk in chunks:
            writer.write(chunk)
    return path


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".csv.gz", ","), (".tsv", "\t"), (".tsv.gz", "\t")])
def test_delimited_files_are_read_back_by_a_csv_reader(tmp_path: Path, suffix: str, delimiter: str):
    path = write(tmp_path / f"out{suffix}", CHUNKS)
    rows = list(csv.reader(text_of(path).splitlines(keepends=True), delimiter=delimiter))
    assert rows == [
        COLUMNS,
        ["plain", "4", "0.5", "true"],
        ['say "hi", please', "5", "1.25", "false"],
        ["two\nlines\tand a tab", "", "", ""],
        ["", "1", "2.0", "true"],
        ["良い\r", "2", "-0.5", "false"],
    ]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_json_lines_keep_types_and_missing_values(tmp_path: Path, suffix: str):
    path = write(tmp_path / f"out{suffix}", CHUNKS)
    lines = text_of(path).splitlines()
    assert [list(json.loads(line).values()) for line in lines] == [row for chunk in CHUNKS for row in chunk]
    assert list(json.loads(lines[0])) == COLUMNS
    assert "良い" in lines[-1]


def test_parquet_keeps_types_and_missing_values(tmp_path: Path):
    table = pq.read_table(write(tmp_path / "out.parquet", CHUNKS))
    assert [str(field.type) for field in table.schema] == ["string", "int64", "double", "bool"]
    assert [list(row.values()) for row in table.to_pylist()] == [row for chunk in CHUNKS for row in chunk]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_rows_give_a_file_that_has_the_columns_only(tmp_path: Path, suffix: str):
    path = write(tmp_path / f"out{suffix}", [])
    if suffix == ".parquet":
        assert pq.read_table(path).column_names == COLUMNS
    else:
        assert text_of(path).split() == ([] if "jsonl" in suffix else text_of(path).split()[:4])
        assert text_of(path).count("\n") == (0 if "jsonl" in suffix else 1)


def test_equal_rows_give_equal_gzip_bytes(tmp_path: Path):
    first, second = (write(tmp_path / name, CHUNKS).read_bytes() for name in ("a.csv.gz", "b.csv.gz"))
    assert first == second


def test_nested_values_dates_and_nan_as_text(tmp_path: Path):
    row = [{"a": [1, None]}, datetime.date(2024, 2, 29), float("nan"), decimal.Decimal("1.50")]
    line = text_of(write(tmp_path / "out.jsonl", [[row]]))
    assert list(json.loads(line).values()) == [{"a": [1, None]}, "2024-02-29", None, "1.50"]
    rows = list(csv.reader(text_of(write(tmp_path / "out.csv", [[row]])).splitlines()))
    assert rows[1] == ['{"a": [1, null]}', "2024-02-29", "", "1.50"]


def test_a_single_empty_cell_is_not_a_blank_line(tmp_path: Path):
    assert text_of(write(tmp_path / "out.csv", [[[None], ["x"]]], ["text"])) == 'text\n""\nx\n'


@pytest.mark.parametrize(
    ("first", "later", "read"),
    [
        (None, "text", [None, "text"]),
        (1.5, 2, [1.5, 2.0]),
        (1, None, [1, None]),
        ({"a": 1, "b": 2}, {"a": 3}, None),
        (
            decimal.Decimal("1.50"),
            decimal.Decimal("123456.25"),
            [decimal.Decimal("1.50"), decimal.Decimal("123456.25")],
        ),
        ([["x"], []], [], [[["x"], []], []]),
    ],
)
def test_later_parquet_chunks_that_lose_nothing(tmp_path: Path, first, later, read):
    path = tmp_path / "out.parquet"
    if read is None:
        with pytest.raises(DataError, match="column 'x' is struct"):
            write(path, [[[first]], [[later]]], ["x"])
        return
    assert pq.read_table(write(path, [[[first]], [[later]]], ["x"])).column("x").to_pylist() == read


@pytest.mark.parametrize(
    ("first", "later", "message"),
    [
        (1, "a", "column 'x' is int64 in the first 1 rows and string after them"),
        ("a", 1, "column 'x' is string in the first 1 rows and int64 after them"),
        (1, 1.5, "column 'x' is int64 in the first 1 rows and double after them"),
        (1, True, "column 'x' is int64 in the first 1 rows and bool after them"),
        (None, 1, "column 'x' is string in the first 1 rows and int64 after them"),
        ({"a": 1}, {"b": 1}, "column 'x' is struct<a: int64> in the first 1 rows"),
        (1.5, 2**60 + 1, "column 'x' has no Parquet type in the rows after 1"),
        (2**70, None, "column 'x' has no Parquet type in the rows after 0"),
        ("\ud800", None, "column 'x' has no Parquet type"),
        ({}, {}, "Write .jsonl instead"),
    ],
)
def test_parquet_columns_of_two_types_are_refused_and_leave_nothing(tmp_path: Path, first, later, message: str):
    path = tmp_path / "out.parquet"
    with pytest.raises(DataError, match=message) as caught:
        write(path, [[[first]], [[later]]], ["x"])
    assert str(caught.value).startswith(f"Cannot write {path}: ")
    assert list(tmp_path.iterdir()) == []


def test_two_types_within_a_chunk_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="column 'x' has no Parquet type in the rows after 0.*Write .jsonl instead"):
        write(tmp_path / "out.parquet", [[[1], ["a"]]], ["x"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("suffix", "value", "message"),
    [
        (".csv", b"bytes", "column 'x' holds bytes, which a text file cannot hold. Write .parquet"),
        (".jsonl", float("inf"), "JSON has no infinity"),
        (".jsonl", "\ud800", "half a surrogate pair"),
        (".tsv.gz", "\ud800", "half a surrogate pair"),
    ],
)
def test_values_that_text_cannot_hold_are_refused_and_leave_nothing(tmp_path: Path, suffix: str, value, message: str):
    with pytest.raises(DataError, match=message):
        write(tmp_path / f"out{suffix}", [[["good"]], [[value]]], ["x"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_in_the_body_leaves_nothing(tmp_path: Path, suffix: str, failure: type[BaseException]):
    with pytest.raises(failure), open_writer(tmp_path / f"out{suffix}", COLUMNS) as writer:
        writer.write(CHUNKS[0])
        raise failure
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_file_appears_only_at_the_end_and_replaces_an_old_one_then(tmp_path: Path, suffix: str):
    path = tmp_path / f"out{suffix}"
    path.write_text("old")
    with open_writer(path, COLUMNS, overwrite=True) as writer:
        writer.write(CHUNKS[0])
        assert path.read_text() == "old"
    assert path.read_bytes()[:3] != b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), open_writer(path, COLUMNS, overwrite=True):
        raise RuntimeError
    assert path.read_text() == "old"


def test_a_file_that_appeared_meanwhile_is_kept(tmp_path: Path):
    path = tmp_path / "out.csv"
    with pytest.raises(ConfigError, match="exists already"), open_writer(path, COLUMNS):
        path.write_text("theirs")
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_disk_that_takes_no_more_is_named(tmp_path: Path, suffix: str):
    path = tmp_path / f"out{suffix}"
    rows = [[random.Random(i).randbytes(1000).hex()] for i in range(200)]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(DataError, match=r"Cannot write .*: File too large. Nothing of it was kept."):
            write(path, [rows, rows], ["text"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_columns_of_one_name_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="must all have different names"):
        write(tmp_path / "out.csv", [], ["a", "a"])
    assert list(tmp_path.iterdir()) == []


def test_rows_of_another_width_are_refused(tmp_path: Path):
    for suffix in SUFFIXES:
        with pytest.raises(ValueError, match="zip"):
            write(tmp_path / f"out{suffix}", [[["a", 1]]])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.xlsx", "out", "out.parquet.gz", "csv"])
def test_unknown_suffixes_are_refused_with_the_known_ones(tmp_path: Path, name: str):
    with pytest.raises(ConfigError, match=r"must end in one of .csv, .csv.gz, .*\.parquet. Received: .*" + name):
        check_output(tmp_path / name)


def test_the_suffix_may_be_in_capitals(tmp_path: Path):
    assert check_output(tmp_path / "OUT.CSV.GZ") == ".csv.gz"


def test_places_that_cannot_be_written_are_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"there is no folder .*missing. Create it first"):
        check_output(tmp_path / "missing" / "out.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError, match="it is a folder"):
        check_output(tmp_path / "folder.csv", overwrite=True)
    (tmp_path / "out.csv").touch()
    with pytest.raises(ConfigError, match="exists already. Give another name, or --overwrite"):
        check_output(tmp_path / "out.csv")


def test_a_read_only_folder_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # permissions do not bind the superuser
    with pytest.raises(ConfigError, match="is not writable"):
        check_output(tmp_path / "out.csv")


def test_an_input_is_never_replaced_whatever_its_name(tmp_path: Path):
    source = tmp_path / "in.csv"
    source.write_text("text\nhello\n")
    (tmp_path / "link.csv").symlink_to(source)
    for output in (source, tmp_path / "link.csv", tmp_path / "." / "in.csv"):
        with pytest.raises(ConfigError, match="it is one of the input files"):
            check_output(output, inputs=[tmp_path / "gone.csv", str(source)], overwrite=True)
