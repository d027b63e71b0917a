from __future__ import annotations

import pytest

from tf_finetune.data.labels import label_name, sort_labels
from tf_finetune.errors import DataError


@pytest.mark.parametrize(
    "value, name",
    [
        ("good", "good"),
        (" good\t", "good"),
        ("1.0", "1.0"),
        (1, "1"),
        (-3, "-3"),
        (1.0, "1"),
        (True, "true"),
        (False, "false"),
        ("", None),
        ("  ", None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_values_have_one_name(value: object, name: str | None) -> None:
    assert label_name(value) == name


@pytest.mark.parametrize("value, shown", [(0.5, "0.5"), (float("inf"), "inf"), ([1], "list"), (b"a", "bytes")])
def test_other_values_are_no_labels(value: object, shown: str) -> None:
    with pytest.raises(DataError, match=f"a label must be a string, an integer or a boolean. Received {shown}"):
        label_name(value)


def test_integers_sort_by_value_and_names_by_letter() -> None:
    assert sort_labels(["10", "9", "-1", "1"]) == ("-1", "1", "9", "10")
    assert sort_labels(["10", "9", "one"]) == ("10", "9", "one")
    assert sort_labels(["pos", "Neg", "neg"]) == ("Neg", "neg", "pos")
    assert sort_labels(["9" * 5000, "1"]) == ("1", "9" * 5000)
