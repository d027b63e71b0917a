from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tf_finetune.data import read_examples, read_rows
from tf_finetune.data.readers import text_stream
from tf_finetune.data.readers.text_stream import check_encoding, read_lines
from tf_finetune.errors import ConfigError, DataError

ROWS = "text,label\nschön,good\nübel,bad\n"


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "A.CSV.GZ"])
@pytest.mark.parametrize(
    "encoding, flag",
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("cp1252", "cp1252"),
        ("utf-32", "utf-32"),
        ("gb18030", "gb18030"),
    ],
)
def test_texts_come_out_as_they_were_written(
    write: Callable[..., str], tmp_path: Path, name: str, encoding: str, flag: str
) -> None:
    if name == "A.CSV.GZ":
        write("a.csv.gz", ROWS, encoding)
        (tmp_path / "a.csv.gz").rename(tmp_path / name)
    else:
        write(name, ROWS, encoding)
    source = read_rows([str(tmp_path / name)], encoding=flag)
    assert source.columns == ("text", "label")
    assert [row["text"] for _, _, row in source] == ["schön", "übel"]


@pytest.mark.parametrize("filler", [0, 100, 8190, 8191, 8192, 100_000])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_wrong_byte_is_found_at_its_offset(
    write: Callable[..., str], refusal: Callable[..., str], filler: int, name: str
) -> None:
    start = b"text,label\n" + b"x" * filler
    path = write(name, start + b"caf\xe9,good\n")
    message = refusal(path)
    assert message.startswith(f"{path}: byte offset {len(start) + 3}")
    assert "byte 0xe9 is not valid utf-8" in message
    assert "--encoding cp1252" in message


@pytest.mark.parametrize(
    "encoding, content, offset",
    [
        ("utf-8", b"text,label\na,b\xc3", 14),
        ("utf-8", b"\xef\xbb\xbftext,label\na,\xff", 16),
        ("utf-16", b"\xff\xfet\x00,\x00l\x00\x00\xdc", 8),
        ("shift_jis", b"text,label\n\x82\xa0\x82\x20", 13),
        ("ascii", b"text,label\n\xc3\xa4", 11),
    ],
)
def test_the_offset_counts_bytes_in_every_encoding(
    write: Callable[..., str], refusal: Callable[..., str], encoding: str, content: bytes, offset: int
) -> None:
    path = write("a.csv", content)
    message = refusal(path, encoding=encoding)
    assert message.startswith(f"{path}: byte offset {offset}: byte 0x{content[offset]:02x} is not valid {encoding}.")


@pytest.mark.parametrize(
    "content, advice",
    [
        (ROWS.encode("utf-16"), "UTF-16 byte order mark: give --encoding utf-16"),
        (b"\x1f\x8b\x08\x00\x80", "compressed with gzip: give it a name that ends in .gz"),
        (b"PK\x03\x04\xff", "ZIP archive or a spreadsheet"),
        (b"PAR1\xff", "give it a name that ends in .parquet"),
    ],
)
def test_the_kind_of_file_is_recognised(
    write: Callable[..., str], refusal: Callable[..., str], content: bytes, advice: str
) -> None:
    assert advice in refusal(write("a.csv", content))


def test_utf_16_without_a_mark_asks_for_the_byte_order(write: Callable[..., str], refusal: Callable[..., str]) -> None:
    message = refusal(write("a.csv", ROWS, "utf-16-le"), encoding="utf-16")
    assert "utf-16" in message.partition(". ")[0]
    assert "without a byte order mark --encoding utf-16-le or utf-16-be" in message


def test_a_nul_byte_is_refused_with_its_line(write: Callable[..., str], refusal: Callable[..., str]) -> None:
    path = write("a.csv", b"text,label\ngood,a\nb\x00ad,b\n")
    assert refusal(path).startswith(f"{path}:3: a NUL byte")
    assert "--encoding utf-16" in refusal(write("b.csv", "text,label\n", "utf-16-le"))


@pytest.mark.parametrize("name", ["nope-8", "hex", "rot13", "", "utf-8\x00"])
def test_an_unknown_encoding_is_refused(write: Callable[..., str], name: str) -> None:
    with pytest.raises(ConfigError, match=r"--encoding: .* is no text encoding"):
        check_encoding(name)


def test_an_unknown_encoding_is_refused_by_every_reader(write: Callable[..., str], refusal: Callable[..., str]) -> None:
    write("pos/a.txt", "good")
    folder = Path(write("neg/b.txt", "bad")).parent.parent
    for path in (write("x/a.csv", ROWS), write("x/a.jsonl", "{}"), str(folder)):
        assert "'nope-8' is no text encoding" in refusal(path, encoding="nope-8")


def test_damaged_gzip_is_refused(write: Callable[..., str], refusal: Callable[..., str]) -> None:
    whole = Path(write("a.csv.gz", ROWS * 200))
    packed = whole.read_bytes()
    for damaged in (packed[:-20], packed[:30] + b"\xff" * 9 + packed[39:], packed + b"trailing", b"no gzip at all"):
        whole.write_bytes(damaged)
        assert refusal(str(whole)).startswith(f"{whole}: is no complete gzip file")


def test_a_line_without_end_is_refused(
    write: Callable[..., str], refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_stream, "MAX_LINE", 100)
    assert ":2: the line has over 100 characters" in refusal(write("a.csv", "text,label\n" + "x" * 200))
    write("folder/pos/a.txt", "short\n" * 100)
    folder = Path(write("folder/neg/a.txt", "x")).parent.parent
    assert "has over 100 characters, too many for the text of one row" in refusal(str(folder))


def test_only_line_ends_end_lines(write: Callable[..., str]) -> None:
    path = Path(write("a.csv", "a\x0bb\x85c\u2028d\r\ne\rf\n"))
    assert list(read_lines(path, encoding="utf-8", newline="")) == ["a\x0bb\x85c\u2028d\r\n", "e\r", "f\n"]
    assert list(read_lines(path, encoding="utf-8", newline="\n")) == ["a\x0bb\x85c\u2028d\r\n", "e\rf\n"]


def test_an_unreadable_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"), text_stream.open_bytes(tmp_path):
        pass


def test_a_file_may_hold_nothing_but_a_mark(write: Callable[..., str], refusal: Callable[..., str]) -> None:
    assert "is empty" in refusal(write("a.csv", b"\xef\xbb\xbf"))


def test_bad_encoding_in_a_folder_names_the_file(write: Callable[..., str], refusal: Callable[..., str]) -> None:
    write("d/pos/1.txt", "good")
    bad = write("d/neg/2.txt", b"caf\xe9")
    folder = str(Path(bad).parent.parent)
    assert refusal(folder).startswith(f"{bad}: byte offset 3: byte 0xe9")
    assert read_examples([folder], encoding="latin-1").texts() == ["café", "good"]
