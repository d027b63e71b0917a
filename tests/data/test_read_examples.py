from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import pytest

from tf_finetune.data import labels as labels_module
from tf_finetune.data import read_examples

Write = Callable[..., str]
Rows = Callable[..., list[tuple[str, str]]]


def test_rows_labels_and_dtypes(write: Write, rows_of: Rows) -> None:
    examples = read_examples([write("a.csv", "label,text\ny,one\nx,two\ny,three\n")])
    assert rows_of(examples) == [("one", "y"), ("two", "x"), ("three", "y")]
    assert examples.label_names == ("x", "y")
    assert (examples.labels.dtype, examples.rows.dtype) == (np.int32, np.int64)
    assert examples.label_counts == {"x": 1, "y": 2}
    assert not examples.has_pairs


def test_integer_labels_sort_by_value(write: Write) -> None:
    path = write("a.csv", "text,label\n" + "".join(f"text {i},{i}\n" for i in (10, 9, 1)))
    examples = read_examples([path])
    assert examples.label_names == ("1", "9", "10")
    assert examples.labels.tolist() == [2, 1, 0]


def test_pairs_are_read(write: Write) -> None:
    path = write("a.tsv", "premise\thypothesis\tlabel\na\tb\tyes\nc\td\tno\n")
    examples = read_examples([path], text_column="premise", pair_column="hypothesis")
    assert list(examples.batches()) == [(["a", "c"], ["b", "d"])]
    assert examples.has_pairs


def test_columns_that_cannot_be_told_name_the_file(write: Write, refusal: Callable[..., str]) -> None:
    path = write("a.csv", "one,two\na,b\n")
    assert refusal(path) == (
        f"{path}: No column has a usual name for the text (text, texts, review, reviews, ...). "
        "Columns found: 'one', 'two'. Give --text-column NAME."
    )
    assert "Give --label-column NAME." in refusal(path, text_column="one")
    assert refusal(path, text_column="three").startswith(f"{path}: --text-column: there is no column 'three'.")


def test_a_label_column_with_a_usual_text_name_is_no_text(write: Write, rows_of: Rows) -> None:
    path = write("a.csv", "text,message\na,x\nb,y\n")
    assert rows_of(read_examples([path], label_column="message")) == [("a", "x"), ("b", "y")]


def test_one_class_is_refused(write: Write, refusal: Callable[..., str]) -> None:
    path = write("a.csv", "text,label\na,x\nb,x\n")
    assert refusal(path).startswith(f"{path}: A classifier needs two or more classes. Found only 'x' in 2 rows.")
    assert "once --label-map had been applied to 'x' (2 rows)" in refusal(path, label_map="x=z")
    assert read_examples([path], label_names=("w", "x")).labels.tolist() == [1, 1]


def test_labels_that_training_lacks_are_named_with_their_rows(write: Write, refusal: Callable[..., str]) -> None:
    path = write("a.csv", "text,label\na,pos\nb,meh\nc,Neg\nd,meh\n")
    assert refusal(path, label_names=("neg", "pos")) == (
        f"Labels that the training data lacks: 'Neg' (1 rows, first {path}:4), 'meh' (2 rows, first {path}:3). "
        "Known labels: 'neg', 'pos'. Correct the labels, or map them with --label-map."
    )


def test_bad_rows_are_counted_over_all_files_and_listed(write: Write, refusal: Callable[..., str]) -> None:
    first = write("a.csv", "text,label\n ,x\na,x\nb,y\n")
    second = write("b.csv", "text,label\nc,\n" + ",x\n" * 11)
    message = refusal(first, second)
    assert message.startswith(
        f"13 of 15 rows cannot be used (12 with empty text, 1 with no label): "
        f"{first}:2 (empty text), {second}:2 (no label), {second}:3 (empty text), "
    )
    assert f"{second}:10 (empty text) and 3 more. Correct them, or leave them out with --on-bad-row skip." in message


def test_bad_rows_are_skipped_on_request_and_said(
    write: Write, rows_of: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    path = write("a.csv", "text,label\na,x\n  ,y\nb,\nc,y\n")
    with caplog.at_level(logging.WARNING):
        assert rows_of(read_examples([path], on_bad_row="skip")) == [("a", "x"), ("c", "y")]
    assert "Skipped: 2 of 4 rows cannot be used" in caplog.text
    assert f"{path}:3 (empty text), {path}:4 (no label)" in caplog.text


def test_skipping_never_leaves_nothing(write: Write, refusal: Callable[..., str]) -> None:
    path = write("a.csv", "text,label\n ,x\n ,y\n")
    assert refusal(path, on_bad_row="skip").endswith("No row is left.")


def test_an_empty_second_sentence_is_a_bad_row(write: Write, refusal: Callable[..., str]) -> None:
    path = write("a.csv", "text,other,label\na,b,x\nc, ,y\n")
    assert f"{path}:3 (empty second sentence)" in refusal(path, pair_column="other")


def test_no_label_at_all_is_told_apart(write: Write, refusal: Callable[..., str]) -> None:
    path = write("a.csv", "text,label\na,\nb,\n")
    assert refusal(path, on_bad_row="skip") == f"{path}: none of the 2 rows has a label."


def test_labels_can_be_left_unread(write: Write) -> None:
    examples = read_examples([write("a.csv", "text\na\nb\n")], labelled=False)
    assert examples.texts() == ["a", "b"]
    assert examples.labels.tolist() == [-1, -1]
    assert examples.label_names == ()


def test_a_label_map_renames_groups_and_leaves_out(
    write: Write, rows_of: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    path = write("a.csv", "text,stars\n" + "".join(f"t{i},{i}\n" for i in range(1, 6)))
    examples = read_examples([path], label_column="stars", label_map="1,2=negative;3=;4..5=positive")
    assert rows_of(examples) == [("t1", "negative"), ("t2", "negative"), ("t4", "positive"), ("t5", "positive")]
    assert examples.where(2) == f"{path}:5"
    assert "--label-map left out 1 of 5 rows: '3' (1 rows)." in caplog.text


def test_labels_that_are_not_mapped_are_listed(write: Write, refusal: Callable[..., str]) -> None:
    path = write("a.csv", "text,label\na,1\nb,2\nc,3\nd,3\n")
    assert refusal(path, label_map="1=neg") == (
        "--label-map has no entry for '2' (1 rows), '3' (2 rows). Add them; an empty name leaves rows out: '2='."
    )


def test_a_map_entry_without_rows_is_refused_for_training_only(write: Write, refusal: Callable[..., str]) -> None:
    path = write("a.csv", "text,label\na,1\nb,2\n")
    assert "no row has a label of '3..4=mid'" in refusal(path, label_map="1=neg;2=pos;3..4=mid")
    held_out = read_examples([path], label_map="1=neg;2=pos;3..4=mid", label_names=("mid", "neg", "pos"))
    assert held_out.labels.tolist() == [1, 2]


def test_mapped_names_must_be_known_too(write: Write, refusal: Callable[..., str]) -> None:
    path = write("a.csv", "text,label\na,1\nb,2\n")
    message = refusal(path, label_map="1=bad;2=", label_names=("neg", "pos"))
    assert f"'1' (1 rows, first {path}:2). Known labels: 'neg', 'pos'" in message


def test_a_map_that_leaves_everything_out_is_refused(write: Write, refusal: Callable[..., str]) -> None:
    path = write("a.csv", "text,label\na,1\n")
    assert "no row is left" in refusal(path, label_map="1=", label_names=("neg", "pos"))


def test_a_column_of_ids_is_no_label(
    write: Write, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels_module, "MAX_LABELS", 5)
    path = write("a.csv", "text,label\n" + "".join(f"t,{i}\n" for i in range(9)))
    assert refusal(path) == f"{path}:7: over 5 different labels. Is --label-column the right one?"


def test_a_label_that_cannot_be_written_is_refused(write: Write, refusal: Callable[..., str]) -> None:
    path = write("a.csv", b"text,label\na,x\nb,\\udc80\n")
    assert "holds characters that cannot be written" in refusal(path, encoding="unicode_escape")


@pytest.mark.parametrize("option", ["on_bad_row", "tsv_quoting"])
def test_choices_are_checked(write: Write, refusal: Callable[..., str], option: str) -> None:
    message = refusal(write("a.tsv", "text\tlabel\na\tx\n"), **{option: "maybe"})
    assert option in message
    assert "Received: 'maybe'" in message


def test_the_split_is_one_of_three(write: Write, refusal: Callable[..., str]) -> None:
    message = refusal(write("a.csv", "text,label\na,x\nb,y\n"), split="dev")
    assert message == "`split` takes train, validation, test. Received: 'dev'."


def test_options_without_effect_are_refused(write: Write, refusal: Callable[..., str]) -> None:
    path = write("a.csv", "text,label\na,x\nb,y\n")
    assert "--tsv-quoting is for tsv, but the data is csv" in refusal(path, tsv_quoting="csv")
    assert "--label-map has no effect where labels are not read" in refusal(path, labelled=False, label_map="1=a")


def test_reading_again_gives_the_same_fingerprint(write: Write) -> None:
    path = write("a.csv", "text,label\na,x\nb,y\n")
    other = write("b.jsonl", '{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n')
    assert read_examples([path]).fingerprint == read_examples([other]).fingerprint
