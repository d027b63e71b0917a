"""A predictor without a model, in the place of the real one."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field

import numpy as np
import pytest

from tf_finetune.run import ModelFolder


@dataclass
class FakePredictor:
    """Positive with probability length / (length + 1); remembers what it was asked."""

    label_names: tuple[str, ...] = ("negative", "positive")
    has_pairs: bool = False
    fails_on: str | None = None
    thresholds: tuple[float | None, ...] = ()
    asked: list[list[str]] = field(default_factory=list)
    pairs: list[str] = field(default_factory=list)
    loads: int = 0

    def probabilities(self, texts: list[str], pairs: list[str] | None) -> np.ndarray:
        assert (pairs is not None) == self.has_pairs
        self.asked.append(list(texts))
        self.pairs.extend(pairs or [])
        if self.fails_on in texts:
            return np.full((len(texts), 2), np.nan, np.float32)
        lengths = np.array([len(text) for text in texts], np.float32)
        positive = lengths / (lengths + 1)
        return np.stack([1 - positive, positive], axis=1)


@pytest.fixture
def predictor(monkeypatch):
    fake = FakePredictor()

    def load_predictor(folder: str, *, batch_size: int = 32) -> FakePredictor:
        fake.loads += 1
        return fake

    module = types.ModuleType("tf_finetune.evaluation.predictor")
    module.load_predictor = load_predictor
    monkeypatch.setitem(sys.modules, "tf_finetune.evaluation.predictor", module)
    monkeypatch.setattr(ModelFolder, "require_complete", lambda self: None)
    monkeypatch.setattr(
        ModelFolder,
        "read_manifest",
        lambda self: types.SimpleNamespace(
            label_names=fake.label_names, pairs=fake.has_pairs, thresholds=fake.thresholds
        ),
    )
    return fake
