"""What is read before training, and in which order."""

import json

import pytest

from tests.training.conftest import change
from tf_finetune.training import inputs
from tf_finetune.training.inputs import load_inputs

CLUSTER = {"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}


@pytest.mark.parametrize(
    ("workers", "data", "calls"),
    [
        (2, {"data": ("tfds:x",)}, ["strategy", "data"]),
        (2, {"test": ("tfds:x",)}, ["strategy", "data"]),
        (2, {}, ["data"]),
        (1, {"data": ("tfds:x",)}, ["data"]),
    ],
)
def test_workers_make_their_strategy_before_tfds_is_read(short_config, monkeypatch, workers, data, calls):
    """TensorFlow makes none of several workers when it has computed anything; else faults of the data come first."""
    splits, found = inputs.load_splits(short_config.data, seed=1), []

    def load_splits(*_, **__):
        found.append("data")
        return splits

    monkeypatch.setattr(inputs, "load_splits", load_splits)
    monkeypatch.setattr("tf_finetune.backend.make_strategy", lambda devices: found.append("strategy"))
    if workers == 2:
        monkeypatch.setenv("TF_CONFIG", json.dumps(CLUSTER))
    assert load_inputs(change(short_config, data=data)).splits is splits
    assert found == calls
