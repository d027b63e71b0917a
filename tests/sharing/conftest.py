"""Runs to describe and to push, and a hub to push to."""

import json
import shutil

import numpy as np
import pytest

from tests.sharing.hub_stand_in import TOKEN, HubStandIn
from tf_finetune.config import Config, DataConfig, FitConfig, ModelConfig, TokensConfig, write_config
from tf_finetune.evaluation.logits import softmax, write_logits
from tf_finetune.evaluation.metrics import compute_scores
from tf_finetune.run import ModelFolder


@pytest.fixture
def described_run(tmp_path):
    """Makes the files of a finished run that a card is made of, with answers drawn at random; no weights."""

    def make(names=("negative", "positive"), *, rows=(150, 120), name="reviews", pairs=False, test=True, **config):
        folder = ModelFolder(tmp_path / "models" / name)
        folder.run.mkdir(parents=True)
        generator = np.random.default_rng(3)
        scores, parts = {}, {"train": 900}
        for split, count in zip(("validation", "test")[: 1 + test], rows):
            labels = generator.integers(0, len(names), count)
            logits = generator.normal(size=(count, len(names))).astype(np.float32) * 4
            logits[np.arange(count), labels] += 5
            scores[split] = compute_scores(labels, softmax(logits), names).to_dict()
            parts[split] = count
            if split == "validation":
                write_logits(folder.validation_logits, labels, logits)
        settings = Config(
            data=config.get("data") or DataConfig(data=("/home/someone/secret/reviews.csv",), test=("/data/held.tsv",)),
            tokens=TokensConfig(max_length=64, truncate=config.get("truncate", "head+tail")),
            model=ModelConfig(model="distilbert-base-uncased"),
            fit=FitConfig(epochs=3, class_weights="balanced"),
        )
        folder.config.write_text(write_config(settings), encoding="utf-8")
        counts = {one: 900 // len(names) for one in names}
        environment = {
            "versions": {"python": "3.11.7", "tensorflow": "2.21.0"},
            "cpus": 2,
            "gpus": 0,
            "command": ["/home/someone/bin/tf-finetune", "fit"],
            "model": {"name": "distilbert-base-uncased", "source": "hub", "architecture": "distilbert"},
            "data": {split: {"rows": count, "label_counts": counts, "sha256": "0"} for split, count in parts.items()},
        }
        complete = {
            "format": 1,
            "run_id": "0123456789abcdef",
            "pairs": pairs,
            "max_length": 64,
            "truncate": settings.tokens.truncate,
            "epochs": 3,
            "best_epoch": 2,
            "updates": 171,
            "weights_sha256": "f" * 64,
            "seconds": 74.2,
        }
        for path, value in (
            (folder.labels, list(names)),
            (folder.metrics, scores),
            (folder.environment, environment),
            (folder.complete, complete),
        ):
            path.write_text(json.dumps(value), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def trained_run(tiny_run, tmp_path):
    """A copy of the tiny run with its export, and without its card."""
    folder = ModelFolder(tmp_path / "models" / "tiny")
    shutil.copytree(tiny_run.run.path, folder.path, ignore=shutil.ignore_patterns("README.md"))
    return folder


@pytest.fixture
def hub(monkeypatch):
    """A hub on this machine that the client of this process asks, logged in."""
    from huggingface_hub import constants
    from huggingface_hub.utils import reset_sessions

    with HubStandIn() as stand_in:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", stand_in.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        reset_sessions()
        yield stand_in
    monkeypatch.undo()
    reset_sessions()
