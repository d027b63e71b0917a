from __future__ import annotations

import pytest

from tf_finetune.data import resolve_label_column, resolve_text_columns
from tf_finetune.errors import DataError


@pytest.mark.parametrize("name", ["text", "Review", "SENTENCE", "content", "body", "comment", "message", "Review Text"])
def test_one_usual_name_is_the_text_wherever_it_stands(name: str) -> None:
    assert resolve_text_columns(["id", "label", name]) == (name, None)
    assert resolve_text_columns([name, "id", "label"]) == (name, None)


@pytest.mark.parametrize("name", ["label", "Labels", "sentiment", "class", "CATEGORY", "target"])
def test_one_usual_name_is_the_label(name: str) -> None:
    assert resolve_label_column(["text", name, "id"]) == name


def test_several_usual_names_are_an_error() -> None:
    with pytest.raises(DataError) as caught:
        resolve_text_columns(["review", "text", "label"])
    assert str(caught.value) == (
        "Several columns may hold the text: 'review', 'text'. Columns found: 'review', 'text', 'label'. "
        "Give --text-column NAME."
    )
    with pytest.raises(
        DataError, match="Several columns may hold the label: 'label', 'sentiment'.*--label-column NAME"
    ):
        resolve_label_column(["text", "label", "sentiment"])


@pytest.mark.parametrize("columns", [["a", "b"], ["x"], ["texts of others", "y"]])
def test_place_never_decides(columns: list[str]) -> None:
    with pytest.raises(DataError, match=r"No column has a usual name for the text \(text, .*Give --text-column NAME"):
        resolve_text_columns(columns)
    with pytest.raises(DataError, match=r"No column has a usual name for the label.*Give --label-column NAME"):
        resolve_label_column(columns)


def test_names_that_are_given_settle_it() -> None:
    columns = ["review", "text", "label", "sentiment"]
    assert resolve_text_columns(columns, "review") == ("review", None)
    assert resolve_text_columns(columns, "review", "text") == ("review", "text")
    assert resolve_label_column(columns, "sentiment") == "sentiment"


def test_columns_that_are_taken_do_not_compete() -> None:
    assert resolve_text_columns(["review", "text"], None, "review") == ("text", "review")
    assert resolve_text_columns(["review", "text"], exclude="review") == ("text", None)
    assert resolve_label_column(["label", "class"], taken=["class"]) == "label"


def test_a_name_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(DataError) as caught:
        resolve_text_columns(["Review", "label"], "review")
    assert str(caught.value) == (
        "--text-column: there is no column 'review'. Columns found: 'Review', 'label'. Is 'Review' meant?"
    )
    with pytest.raises(DataError, match="--pair-column: there is no column 'b'"):
        resolve_text_columns(["text"], None, "b")
    with pytest.raises(DataError, match="--label-column: there is no column 'labels'.*Is 'label' meant"):
        resolve_label_column(["text", "label"], "labels")


def test_one_column_has_one_role() -> None:
    with pytest.raises(DataError, match="--text-column and --pair-column both name 'a'"):
        resolve_text_columns(["a", "b"], "a", "a")
    with pytest.raises(DataError, match="--label-column names 'text', which is a column of the text"):
        resolve_label_column(["text", "b"], "text", taken=["text"])
