"""What the result of a run follows from, to the last bit; and how two runs differ in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tf_finetune.config import Config
from tf_finetune.config.cluster import read_cluster
from tf_finetune.data import Splits
from tf_finetune.files import file_sha256
from tf_finetune.model.checkpoint import Checkpoint
from tf_finetune.training.comparison import Comparison, by_name, compare
from tf_finetune.training.machine import processor, usable_cores, versions

__all__ = ["describe_identity", "differences", "is_about_the_machine"]

PACKAGES = ("tf_finetune", "tensorflow", "tf_keras", "transformers", "tokenizers", "numpy")
"""Packages that compute, or whose files are computed with."""

WITHOUT_EFFECT = {"cache_dir", "tracker", "calibrate", "threshold_for"}
"""Options of the sections `tokens`, `model` and `fit` that the weights do not follow from. What is in the data and in
the pretrained model counts, not where they lie."""

TOKENIZER_FILES = ("*token*.json", "vocab.*", "merges.txt", "*.model", "*.codes")
MACHINE = "machine"


def describe_identity(config: Config, splits: Splits, checkpoint: Checkpoint) -> dict[str, dict[str, Any]]:
    """Everything that a run's weights follow from, without TensorFlow.

    Args:
        config: The whole configuration.
        splits: The data.
        checkpoint: The pretrained model.

    Returns:
        Plain JSON types: sections ``tokens``, ``model``, ``fit``, ``data``, ``pretrained``, ``versions``, ``machine``.
        The number of workers is None for one, as it is in runs that were begun before it was recorded.
    """
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    data = {name: None if part is None else part.fingerprint for name, part in parts.items()}
    sections = config.to_dict()
    options = {
        name: {key: value for key, value in sections[name].items() if key not in WITHOUT_EFFECT}
        for name in ("tokens", "model", "fit")
    }
    del options["model"]["model"]
    cluster = read_cluster()
    workers = None if cluster is None else len(cluster.addresses)
    return {
        **options,
        "data": {"labels": list(splits.train.label_names), **data},
        "pretrained": dict(_file_hashes(checkpoint)),
        "versions": versions(PACKAGES),
        MACHINE: {"processor": processor(), "cores": len(usable_cores()), "workers": workers},
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Comparison]:
    """What differs between two identities, by names such as ``fit.batch_size``."""
    return [row for row in compare(dict(by_name(before)), dict(by_name(now))) if not row.same]


def is_about_the_machine(difference: Comparison) -> bool:
    """Whether it is about the machine, which moves results by rounding errors alone."""
    return difference.what.startswith(f"{MACHINE}.")


def _file_hashes(checkpoint: Checkpoint) -> Iterator[tuple[str, str]]:
    """SHA-256 of the files of the model and of its tokenizer, by name."""
    tokenizer = {path for pattern in TOKENIZER_FILES for path in checkpoint.tokenizer_folder.glob(pattern)}
    for path in (*checkpoint.files, *sorted(tokenizer)):
        yield path.name, file_sha256(path)
