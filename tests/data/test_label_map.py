from __future__ import annotations

import pytest

from tf_finetune.data import parse_label_map
from tf_finetune.errors import ConfigError, DataError


def test_labels_ranges_and_empty_names() -> None:
    parsed = parse_label_map(" 1, 2,3 = negative ;4..6=; 7..10=positive;-1..0=none; a b =x")
    assert parsed.names == {
        **dict.fromkeys(["1", "2", "3"], "negative"),
        **dict.fromkeys(["4", "5", "6"]),
        **dict.fromkeys(["7", "8", "9", "10"], "positive"),
        **dict.fromkeys(["-1", "0"], "none"),
        "a b": "x",
    }


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "expected entries such as 1,2,3=negative"),
        ("1=a;", "Received ''"),
        ("1", "Received '1'"),
        ("=a", "Received '=a'"),
        ("1=a=b", "Received '1=a=b'"),
        ("1,,2=a", "an empty label in '1,,2=a'"),
        ("1..x=a", "'1..x' in '1..x=a' is no range of integers"),
        ("1...3=a", "no range of integers"),
        ("1.0..2.0=a", "no range of integers"),
        ("3..1=a", "the range '3..1' in '3..1=a' must rise"),
        ("1..999999999999=a", "at most 10000 integers"),
        ("1,1=a", "the label '1' occurs more than once"),
        ("1=a;0..2=b", "the label '1' occurs more than once"),
    ],
)
def test_malformed_maps_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_label_map(text)
    assert str(caught.value).startswith("--label-map: ")
    assert message in str(caught.value)


def test_an_entry_without_effect_is_refused() -> None:
    parsed = parse_label_map("1..3=low;8,9=high;x=;y=z")
    parsed.check_used({"2", "9", "x", "y"})
    with pytest.raises(DataError, match=r"no row has a label of '8,9=high'; 'x='. Labels found: '2', 'y'"):
        parsed.check_used({"2", "y"})
