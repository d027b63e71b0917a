from __future__ import annotations

import math

import pytest

from tf_finetune.config import Config, DataConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
from tf_finetune.config.catalog import OPTIONS
from tf_finetune.config.check import coerce
from tf_finetune.errors import ConfigError


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("epochs", 0, "a whole number, at least 1. Received: 0."),
        ("epochs", 1.5, "a whole number, at least 1. Received: 1.5."),
        ("epochs", 3.0, "a whole number, at least 1. Received: 3.0."),
        ("epochs", True, "a whole number, at least 1. Received: true."),
        ("epochs", "3", "a whole number, at least 1. Received: '3'."),
        ("epochs", None, "a whole number, at least 1. Received: null."),
        ("patience", 0, "a whole number, at least 1, or null. Received: 0."),
        ("seed", 2**31, "a whole number, at least 0, at most 2147483647. Received: 2147483648."),
        ("learning_rate", 0.0, "a number, above 0. Received: 0.0."),
        ("learning_rate", math.nan, "a number, above 0. Received: nan."),
        ("learning_rate", math.inf, "a number, above 0. Received: inf."),
        ("learning_rate", 10**400, "a number, above 0. Received: 1"),
        ("learning_rate", True, "a number, above 0. Received: true."),
        ("learning_rate", "fast", "a number, above 0. Received: 'fast'."),
        ("learning_rate", "1_0", "a number, above 0. Received: '1_0'."),
        ("learning_rate", "infinity", "a number, above 0. Received: 'infinity'."),
        ("warmup_ratio", 1.0, "a number, at least 0, below 1. Received: 1.0."),
        ("validation_split", 1.0, "a number, above 0, below 1. Received: 1.0."),
        ("jit_compile", 1, "true or false. Received: 1."),
        ("jit_compile", "yes", "true or false. Received: 'yes'."),
        ("jit_compile", None, "true or false. Received: null."),
        ("text_column", 7, "text that is not empty, or null. Received: 7. Quotes make it text."),
        ("text_column", "", "text that is not empty, or null. Received: ''."),
        ("output", "a\0b", "text that is not empty, or null. Received: 'a\\x00b'."),
        ("encoding", None, "text that is not empty. Received: null."),
        ("monitor", "loss", "one of val_loss, val_accuracy, val_macro_f1. Received: 'loss'."),
        ("monitor", ["val_loss"], "one of val_loss, val_accuracy, val_macro_f1. Received: ['val_loss']."),
        ("data", ["a.csv", 7], "text or a list of texts, none of them empty. Received: ['a.csv', 7]. Quotes"),
        ("data", [""], "text or a list of texts, none of them empty. Received: ['']."),
        ("data", {"a": "b"}, "text or a list of texts, none of them empty. Received: {'a': 'b'}."),
        ("data", None, "text or a list of texts, none of them empty. Received: null."),
    ],
)
def test_wrong_values_are_refused_with_what_was_expected(key: str, value: object, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        coerce(OPTIONS[key], value)
    assert str(caught.value).startswith("expected " + words)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("epochs", "+3", 3),
        ("learning_rate", "3e-5", 3e-5),
        ("learning_rate", ".5", 0.5),
        ("jit_compile", "true", True),
        ("text_column", "true", "true"),
        ("data", "a.csv", ("a.csv",)),
    ],
)
def test_text_stands_for_values_of_any_type(key: str, text: str, value: object) -> None:
    found = coerce(OPTIONS[key], text, from_text=True)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("key", "text"),
    [("epochs", "1.0"), ("epochs", "1e3"), ("epochs", " 3"), ("epochs", "9" * 5000), ("epochs", "٣"), ("power", "nan")]
    + [("jit_compile", text) for text in ("True", "yes", "on", "1", "")],
)
def test_text_that_stands_for_no_such_value_is_refused(key: str, text: str) -> None:
    with pytest.raises(ConfigError, match="^expected "):
        coerce(OPTIONS[key], text, from_text=True)


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(ConfigError) as caught:
        coerce(OPTIONS["monitor"], "x" * 10_000)
    assert len(str(caught.value)) < 200


def test_python_objects_are_checked_with_all_faults_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        FitConfig(epochs=0, learning_rate=-1.0)
    assert str(caught.value) == (
        "2 faults in the configuration:\n"
        "  FitConfig.epochs: expected a whole number, at least 1. Received: 0.\n"
        "  FitConfig.learning_rate: expected a number, above 0. Received: -1.0."
    )


def test_python_objects_get_the_declared_types() -> None:
    assert DataConfig(data=["a.csv"]).data == ("a.csv",)  # type: ignore[arg-type]
    assert DataConfig(data="a.csv").data == ("a.csv",)  # type: ignore[arg-type]
    assert type(FitConfig(weight_decay=0).weight_decay) is float


def test_a_section_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^Config\.fit: expected a FitConfig\. Received: \{'epochs': 3\}\.$"):
        Config(fit={"epochs": 3})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        (
            {"fit": FitConfig(learning_rate=1e-5, end_learning_rate=1e-4)},
            "--end-learning-rate 0.0001 is above --learning-rate 1e-05",
        ),
        ({"fit": FitConfig(epochs=3, patience=3)}, "--patience 3 can never stop a run of --epochs 3: it needs 5"),
        ({"fit": FitConfig(epochs=3, patience=2)}, "--patience 2 can never stop a run of --epochs 3: it needs 4"),
        (
            {"data": DataConfig(validation=("v.csv",), validation_split=0.2)},
            "--validation-split 0.2 has no effect with --validation",
        ),
        (
            {"data": DataConfig(data=("a.csv",), data_dir="d")},
            "--data-dir d has no effect without data of the form tfds",
        ),
        ({"fit": FitConfig(token_budget=255)}, "--token-budget 255 is below --max-length 256"),
        (
            {"fit": FitConfig(token_budget=4096)},
            "--token-budget 4096 has no effect: the 16 rows of an update have at most",
        ),
        (
            {"model": ModelConfig(jit_compile=True), "fit": FitConfig(batching="exact")},
            "--jit-compile does not go with --batching exact",
        ),
        (
            {"model": ModelConfig(jit_compile=True), "fit": FitConfig(batching="plain", token_budget=512)},
            "--jit-compile does not go with --token-budget 512",
        ),
        (
            {"model": ModelConfig(encoder="unpadded", jit_compile=True), "fit": FitConfig(batching="plain")},
            "--encoder unpadded does not go with --jit-compile",
        ),
        (
            {"model": ModelConfig(encoder="unpadded", precision="mixed_bfloat16")},
            "--encoder unpadded does not go with --precision mixed_bfloat16",
        ),
        (
            {"model": ModelConfig(devices="gpu:")},
            "--devices takes auto, cpu or a list as in gpu:0,1. Received: 'gpu:'.",
        ),
        ({"data": DataConfig(encoding="utf-9")}, "--encoding utf-9: Python has no such text encoding"),
        ({"data": DataConfig(encoding="hex")}, "--encoding hex: Python has no such text encoding"),
    ],
)
def test_contradictions_are_refused(sections: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**sections)  # type: ignore[arg-type]
    assert str(caught.value).startswith(words)


def test_combinations_with_an_effect_are_accepted() -> None:
    config = Config(
        data=DataConfig(data=("tfds:imdb_reviews",), data_dir="d", validation=("v.csv",), encoding="cp1252"),
        tokens=TokensConfig(max_length=4),
        model=ModelConfig(freeze="embeddings"),
        fit=FitConfig(epochs=3, patience=1, learning_rate=1e-3, end_learning_rate=1e-3, power=2.0),
        run=RunConfig(output="out"),
    )
    Config(fit=FitConfig(token_budget=4095))
    Config(fit=FitConfig(token_budget=4096, gradient_accumulation=2))
    Config(model=ModelConfig(jit_compile=True), fit=FitConfig(batching="bucketed"))
    Config(model=ModelConfig(encoder="auto", precision="mixed_bfloat16", devices="gpu: 0, 1"))
    assert config.fit.patience == 1 and config.data.encoding == "cp1252"
