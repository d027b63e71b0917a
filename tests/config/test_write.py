from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tf_finetune.config import Config, commented_config, resolve_config, write_config
from tf_finetune.config.catalog import OPTIONS, SECTIONS

OTHER = {
    "data": ["a b.csv", "tfds:glue/sst2", "*.tsv", "[ab].csv", "1", "a, b"],
    "validation": ["v.csv"],
    "test": ["-"],
    "data_dir": "~/tfds",
    "text_column": "null",
    "label_column": "3e-5",
    "pair_column": "true",
    "label_map": "1,2,3=negative;7..10=positive",
    "encoding": "cp1252",
    "tsv_quoting": "csv",
    "on_bad_row": "skip",
    "allow_leaks": True,
    "validation_split": 0.1,
    "split_seed": 7,
    "max_train_samples": 10**12,
    "max_length": 64,
    "truncate": "tail",
    "cache_dir": "a: b # c",
    "model": "Grüße 日本 \u2028 \x85 \x7f \ud83d\ude00 'quoted' \"twice\" \\ \n tail ",
    "encoder": "model",
    "freeze": "0",
    "precision": "mixed_float16",
    "jit_compile": False,
    "devices": "gpu:0,1",
    "epochs": 30,
    "batch_size": 8,
    "batching": "plain",
    "token_budget": 128,
    "gradient_accumulation": 4,
    "learning_rate": 1.2345678901234567e-05,
    "end_learning_rate": 1e-300,
    "power": 2.5,
    "warmup_ratio": 0.0,
    "weight_decay": 0.01,
    "clip_norm": 1e22,
    "class_weights": "balanced",
    "label_smoothing": 0.1,
    "patience": 2,
    "monitor": "val_loss",
    "seed": 0,
    "deterministic": False,
    "tracker": ["wandb", "tensorboard"],
    "calibrate": True,
    "threshold_for": "coverage=0.8",
    "export": False,
    "output": "010",
    "overwrite": False,
    "save_every": "90s,7steps,epoch",
    "max_hours": 0.1,
    "resume": "saved_models/x y",
    "force": True,
}


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    return resolve_config(file=path)


@pytest.mark.parametrize("text", [write_config, commented_config])
def test_a_written_configuration_reads_back_the_same(tmp_path: Path, text) -> None:
    assert OTHER.keys() == OPTIONS.keys()
    same = {key for key, value in OTHER.items() if value == OPTIONS[key].default}
    assert same == {"validation_split", "jit_compile", "overwrite"}  # which contradict others that are there
    config = resolve_config(flags=OTHER)
    assert read(tmp_path, text(config)) == config


@pytest.mark.parametrize("value", [0.25, 1 / 3])
def test_the_split_reads_back_the_same(tmp_path: Path, value: float) -> None:
    config = resolve_config(flags={"validation_split": value})
    assert read(tmp_path, write_config(config)) == config


@pytest.mark.parametrize(
    "path", [b"\xff\xfe.csv".decode("utf-8", "surrogateescape"), "a\ud800", "\ufeff", "=", "<<", "-"]
)
def test_names_that_are_not_unicode_read_back_the_same(tmp_path: Path, path: str) -> None:
    config = resolve_config(flags={"data": [path], "output": path})
    assert read(tmp_path, write_config(config)) == config


def test_other_yaml_readers_read_the_same() -> None:
    config = resolve_config(flags=OTHER)
    assert yaml.safe_load(write_config(config)) == config.to_dict()


def test_the_starter_file_holds_every_key_with_its_help_and_default(tmp_path: Path) -> None:
    text = commented_config()
    assert read(tmp_path, text) == Config()
    assert yaml.safe_load(text).keys() == SECTIONS.keys()
    flat = " ".join(text.replace("  # ", "").split())
    for option in OPTIONS.values():
        assert f"\n  {option.key}: " in text
        assert " ".join(option.help.split()) in flat
        assert option.range in flat
    assert max(map(len, text.splitlines())) <= 100


def test_the_order_is_that_of_the_dataclasses() -> None:
    keys = [line.split(":")[0].strip() for line in write_config(Config()).splitlines()]
    assert keys == [name for section, table in SECTIONS.items() for name in (section, *table)]
