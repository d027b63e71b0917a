from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tf_finetune.config import DataConfig
from tf_finetune.data import check_options
from tf_finetune.errors import ConfigError

GIVEN: dict[str, Any] = {
    "validation": ("v.csv",),
    "test": ("t.csv",),
    "data_dir": "prepared",
    "text_column": "t",
    "label_column": "l",
    "pair_column": "p",
    "label_map": "1=a",
    "encoding": "cp1252",
    "tsv_quoting": "csv",
    "on_bad_row": "skip",
    "allow_leaks": True,
    "validation_split": 0.2,
    "split_seed": 3,
    "max_train_samples": 10,
}

KINDS = ("csv", "tsv", "jsonl", "parquet", "folder", "tfds")

USELESS = {
    "csv": {"data_dir", "tsv_quoting"},
    "tsv": {"data_dir"},
    "jsonl": {"data_dir", "tsv_quoting"},
    "parquet": {"data_dir", "tsv_quoting", "encoding"},
    "folder": {"data_dir", "tsv_quoting", "text_column", "label_column", "pair_column"},
    "tfds": {"tsv_quoting", "encoding"},
}


def refused(config: DataConfig, *kinds: str) -> bool:
    try:
        check_options(config, kinds)
    except ConfigError:
        return True
    return False


def test_every_option_is_tried() -> None:
    assert {"data", *GIVEN} == {field.name for field in dataclasses.fields(DataConfig)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("option", GIVEN)
def test_an_option_works_or_is_refused(option: str, kind: str) -> None:
    config = DataConfig(data=("x",), **{option: GIVEN[option]})
    assert refused(config, kind) == (option in USELESS[kind])


@pytest.mark.parametrize("option", GIVEN)
def test_the_embedded_sample_takes_few_options(option: str) -> None:
    useful = ("validation_split", "split_seed", "max_train_samples")
    assert refused(DataConfig(**{option: GIVEN[option]})) == (option not in useful)


def test_an_option_for_one_of_several_sources_is_accepted() -> None:
    check_options(DataConfig(data=("x",), tsv_quoting="csv", data_dir="d", text_column="t"), ["tsv", "folder", "tfds"])


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        check_options(DataConfig(data=("x",), data_dir="d", tsv_quoting="csv"), ["parquet"])
    assert str(caught.value) == (
        "Options without effect: --data-dir is for tfds, but the data is parquet; "
        "--tsv-quoting is for tsv, but the data is parquet. Remove them."
    )
    with pytest.raises(ConfigError, match="--label-map has no effect without --data"):
        check_options(DataConfig(label_map="1=a"), [])


def test_defaults_are_always_fine() -> None:
    for kind in KINDS:
        check_options(DataConfig(data=("x",)), [kind])
    check_options(DataConfig(), [])
