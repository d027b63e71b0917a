from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from tf_finetune.data import read_examples, read_rows
from tf_finetune.data.readers import csv_file

Rows = Callable[..., list[tuple[str, str]]]


def test_csv_fields_are_read_as_written(write: Callable[..., str], rows_of: Rows) -> None:
    path = write("a.csv", 'text,label\r\n"a ""b"", c",x\r\n"line 1\nline 2",y\r\n  d  ,x\r\n')
    assert rows_of(read_examples([path])) == [('a "b", c', "x"), ("line 1\nline 2", "y"), ("  d  ", "x")]


def test_rows_are_numbered_by_the_line_on_which_they_start(write: Callable[..., str]) -> None:
    path = write("a.csv", '\ntext,label\n"1\n2\n3",x\n\n4,y\n')
    assert [(origin, number) for origin, number, _ in read_rows([path])] == [(path, 3), (path, 7)]
    examples = read_examples([path])
    assert [examples.where(i) for i in range(2)] == [f"{path}:3", f"{path}:7"]


@pytest.mark.parametrize(
    "content, line, problem",
    [
        ('text,label\na,x\n"b,y\nc,x\nd,y\n', 3, "unexpected end of data, by line 5"),
        ('text,label\n"a"b,x\n', 2, "',' expected after '\"', by line 2"),
        ('text,label\n"a\nb" c,x\n', 2, "',' expected after '\"', by line 3"),
    ],
)
def test_broken_quoting_is_refused_with_its_line(
    write: Callable[..., str], refusal: Callable[..., str], content: str, line: int, problem: str
) -> None:
    path = write("a.csv", content)
    message = refusal(path)
    assert message.startswith(f"{path}:{line}: broken quoting in the record that starts here ({problem})")
    assert "Close the quote" in message


def test_an_open_quote_does_not_take_the_file_into_memory(
    write: Callable[..., str], refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import csv

    monkeypatch.setattr(csv_file, "MAX_FIELD", 200)
    before = csv.field_size_limit(100)
    try:
        path = write("a.csv", 'text,label\n"open,x\n' + "more text here,y\n" * 100)
        assert f"{path}:2: broken quoting" in refusal(path)
        assert "field larger than field limit (200)" in refusal(path)
    finally:
        csv.field_size_limit(before)


def test_long_fields_are_read(write: Callable[..., str]) -> None:
    path = write("a.csv", f"text,label\n{'x' * 300_000},a\ny,b\n")
    assert len(read_examples([path]).texts()[0]) == 300_000


@pytest.mark.parametrize("record", ["a", "a,b,c"])
def test_a_wrong_number_of_fields_is_refused(
    write: Callable[..., str], refusal: Callable[..., str], record: str
) -> None:
    path = write("a.csv", f"text,label\na,x\n{record}\n")
    received = record.count(",") + 1
    assert refusal(path).startswith(
        f"{path}:3: expected 2 comma-separated fields ('text', 'label'), received {received}."
    )


@pytest.mark.parametrize(
    "content, message",
    [
        ("", ": is empty. Expected a line of column names"),
        ("\n\n", ": is empty."),
        ("text,label\n", ": has a header but no rows."),
        ("text,label,text\na,b,c\n", ": the column name 'text' occurs more than once."),
        ("text,,label\na,0,b\n", ": column 2 of 3 has no name."),
        (",index,text,label\n0,1,a,b\n", ": column 1 of 4 has no name."),
    ],
)
def test_files_without_a_table_are_refused(
    write: Callable[..., str], refusal: Callable[..., str], content: str, message: str
) -> None:
    for name in ("a.csv", "b.csv.gz"):
        path = write(name, content)
        assert refusal(path).startswith(path + message)


def test_a_first_column_without_a_name_is_the_row_index(write: Callable[..., str], rows_of: Rows) -> None:
    path = write("pandas.csv", ",text,label\n0,a,x\n1,b,y\n")
    assert rows_of(read_examples([path])) == [("a", "x"), ("b", "y")]
    assert read_rows([path]).columns == ("index", "text", "label")


def test_an_empty_file_among_good_ones_is_not_passed_over(
    write: Callable[..., str], refusal: Callable[..., str]
) -> None:
    good, empty = write("a.csv", "text,label\na,x\nb,y\n"), write("b.csv", "text,label\n")
    assert refusal(good, empty).startswith(f"{empty}: has a header but no rows")


def test_quotes_in_tsv_are_text_unless_asked(
    write: Callable[..., str], rows_of: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    path = write("a.tsv", 'text\tlabel\n"quoted"\tx\nan "odd\ty\n')
    with caplog.at_level(logging.WARNING):
        assert rows_of(read_examples([path])) == [('"quoted"', "x"), ('an "odd', "y")]
    assert "1 rows have fields wrapped in double quotes" in caplog.text
    assert "--tsv-quoting csv" in caplog.text
    quoted = write("b.tsv", 'text\tlabel\n"tab\there"\tx\nplain\ty\n')
    assert rows_of(read_examples([quoted], tsv_quoting="csv")) == [("tab\there", "x"), ("plain", "y")]


def test_plain_tsv_warns_of_nothing(write: Callable[..., str], caplog: pytest.LogCaptureFixture) -> None:
    read_examples([write("a.tsv", "text\tlabel\na\tx\nb\ty\n")])
    assert not caplog.records


def test_a_tab_in_a_tsv_text_is_refused(write: Callable[..., str], refusal: Callable[..., str]) -> None:
    path = write("a.tsv", "text\tlabel\na\tb\tx\n")
    assert refusal(path).startswith(f"{path}:2: expected 2 tab-separated fields")
    broken = write("b.tsv", 'text\tlabel\n"a\tx\n')
    assert "or give --tsv-quoting none" in refusal(broken, tsv_quoting="csv")


def test_another_delimiter_is_named_as_the_likely_cause(write: Callable[..., str], refusal: Callable[..., str]) -> None:
    message = refusal(write("a.csv", "text;label\na;x\n"))
    assert "Columns found: 'text;label'." in message
    assert "another character" in message
