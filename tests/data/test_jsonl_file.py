from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from tf_finetune.data import read_examples, read_rows
from tf_finetune.data.readers import jsonl


def test_objects_are_rows_with_the_values_they_have(write: Callable[..., str]) -> None:
    path = write("a.jsonl.gz", '{"text": "a", "label": 1, "extra": [1, {"b": null}]}\r\n\n{"label": 0, "text": "b"}\n')
    source = read_rows([path])
    assert source.columns == ("text", "label", "extra")
    assert list(source) == [
        (path, 1, {"text": "a", "label": 1, "extra": [1, {"b": None}]}),
        (path, 3, {"text": "b", "label": 0, "extra": None}),
    ]


def test_ndjson_is_jsonl(write: Callable[..., str]) -> None:
    path = write("a.ndjson", '{"text": "a\\u00e9", "label": true}\n{"text": "b", "label": false}')
    examples = read_examples([path])
    assert examples.texts() == ["aé", "b"]
    assert examples.label_names == ("false", "true")


@pytest.mark.parametrize(
    "line, message",
    [
        ('{"text": "a", "label": "x"', "broken JSON at column 27: Expecting ',' delimiter"),
        ('{"text": "a", "label": "x"} {}', "broken JSON at column 29: Extra data"),
        ("['a']", "broken JSON at column 2"),
        ('["a", "x"]', 'expected a JSON object such as {"text": "...", "label": "..."}, received an array'),
        ('"a"', "received a string"),
        ("null", "received null"),
        ('{"text": "a", "label": NaN}', "NaN is no JSON value; write null"),
        ('{"text": "a", "label": -Infinity}', "-Infinity is no JSON value"),
        ('{"text": "a", "text": "b", "label": "x"}', "the key 'text' occurs more than once"),
        ('{"text": "a \\ud83d", "label": "x"}', "the escape \\ud83d is half of a surrogate pair"),
        ("[" * 100_000, "nested too deeply"),
        ('{"text": "a", "label": ' + "1" * 5000 + "}", "Exceeds the limit"),
    ],
)
def test_a_broken_line_is_refused_with_its_number(
    write: Callable[..., str], refusal: Callable[..., str], line: str, message: str
) -> None:
    path = write("a.jsonl", '{"text": "a", "label": "x"}\n\n' + line + "\n")
    gc.collect()  # other tests' garbage must not be collected at the limit of recursion
    found = refusal(path)
    assert found.startswith(f"{path}:3: ")
    assert message in found


@pytest.mark.parametrize(
    "value, kind", [("5", "int"), ("1.5", "float"), ("true", "bool"), ('["a"]', "list"), ('{"a": 1}', "dict")]
)
def test_a_text_must_be_a_string(write: Callable[..., str], refusal: Callable[..., str], value: str, kind: str) -> None:
    path = write("a.jsonl", '{"text": "a", "label": "x"}\n{"text": ' + value + ', "label": "y"}\n')
    assert refusal(path) == f"{path}:2: column 'text': a text must be a string. Received {kind}."


@pytest.mark.parametrize("value, shown", [("0.5", "0.5"), ("[1]", "list"), ('{"a": 1}', "dict"), ("1e999", "inf")])
def test_a_label_must_be_a_name_or_an_integer(
    write: Callable[..., str], refusal: Callable[..., str], value: str, shown: str
) -> None:
    path = write("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "b", "label": ' + value + "}\n")
    assert refusal(path) == (
        f"{path}:2: column 'label': a label must be a string, an integer or a boolean. Received {shown}."
    )


def test_an_empty_file_is_refused(write: Callable[..., str], refusal: Callable[..., str]) -> None:
    path = write("a.jsonl", "\n \n")
    assert refusal(path) == f"{path}: is empty. Expected one JSON object a line."
    bare = write("b.jsonl", "{}\n")
    assert refusal(bare) == f"{bare}: has no columns."


def test_ever_new_keys_are_refused(
    write: Callable[..., str], refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "MAX_KEYS", 3)
    path = write("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "b", "label": "y", "k1": 1}\n{"k2": 1}\n')
    assert refusal(path) == f"{path}:3: over 3 different keys. Expected the same keys in every line."


def test_a_surrogate_pair_is_one_character(write: Callable[..., str]) -> None:
    path = write("a.jsonl", '{"text": "\\ud83d\\ude00", "label": 1}\n{"text": "b", "label": 2}\n')
    assert read_examples([path]).texts()[0] == "😀"


def test_a_missing_key_is_a_bad_row(write: Callable[..., str], refusal: Callable[..., str]) -> None:
    path = write("a.jsonl", '{"text": "a", "label": 1}\n{"label": 2}\n{"text": "b"}\n{"text": null, "label": 1}\n')
    message = refusal(path)
    assert f"{path}:2 (empty text), {path}:3 (no label), {path}:4 (empty text)" in message
