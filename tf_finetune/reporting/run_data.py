"""`read_run_data`: the texts that a run was trained and scored with, read again and recognized by their fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tf_finetune.config import resolve_config
from tf_finetune.data import Examples, load_splits
from tf_finetune.errors import FinetuneError
from tf_finetune.files import cache_folder
from tf_finetune.run import ModelFolder

__all__ = ["RunData", "read_run_data", "recorded_splits"]


@dataclass(frozen=True, eq=False)
class RunData:
    """The data of a run.

    Attributes:
        splits: ``train``, ``validation`` and ``test`` to examples, as far as they are what the run had.
        reason: Why a split is not there, in sentences; empty if all are.
        notes: What there is to say of how the data was read.
    """

    splits: dict[str, Examples]
    reason: str = ""
    notes: tuple[str, ...] = ()


def recorded_splits(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Name of a split to what environment.json says of it: ``rows``, ``label_counts``, ``sha256``."""
    recorded = environment.get("data")
    return recorded if isinstance(recorded, dict) else {}


def read_run_data(model: ModelFolder, environment: Mapping[str, Any]) -> RunData:
    """Reads the data of config.yaml again; without TensorFlow, but for ``tfds:`` data.

    A split counts if its texts, labels and order have the fingerprint that the run wrote down. Nothing is raised: a
    report has much to say without texts.

    Args:
        model: The model folder.
        environment: What environment.json says.
    """
    try:
        config = resolve_config(file=model.config)
        spool_dir = str(cache_folder(config.tokens.cache_dir))
        read = load_splits(config.data, seed=config.fit.seed, spool_dir=spool_dir)
    except (FinetuneError, OSError) as error:
        return RunData({}, f"The data of the run cannot be read again: {error}")
    recorded = recorded_splits(environment)
    splits, changed = {}, []
    for name, part in (("train", read.train), ("validation", read.validation), ("test", read.test)):
        values = recorded.get(name)
        if part is not None and isinstance(values, dict) and values.get("sha256") == part.fingerprint:
            splits[name] = part
        elif part is not None or values is not None:
            changed.append(name)
    reason = f"This data is not what the run had, by its fingerprint: {', '.join(changed)}." if changed else ""
    return RunData(splits, reason, read.notes)
