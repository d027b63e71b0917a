"""`read_run_data`: the texts that a run was trained and scored with, read again and recognized by their fingerprint."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tf_finetune.config import DataConfig, resolve_config
from tf_finetune.data import Examples, load_splits
from tf_finetune.data.readers.tfds import PREFIX, check_tfds_name
from tf_finetune.errors import DataError, FinetuneError
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
    """Reads the data of config.yaml again; without TensorFlow, but for ``tfds:`` data, and without a download.

    A split counts if its texts, labels and order have the fingerprint that the run wrote down. Nothing is raised: a
    report has much to say without texts. The run may be someone else's: its configuration says what is read, and not
    where the cache is.

    Args:
        model: The model folder.
        environment: What environment.json says.
    """
    try:
        config = resolve_config(file=model.config)
    except FinetuneError as error:
        return RunData({}, f"The data of the run cannot be read again: {error}")
    paths = [*config.data.data, *config.data.validation, *config.data.test]
    try:
        for path in paths:
            _check_prepared(path, config.data)
        read = load_splits(config.data, seed=config.fit.seed, spool_dir=str(cache_folder()))
    except (FinetuneError, OSError) as error:
        hint = " Its paths are relative: write the report in the folder where fit was run." * any(
            map(_is_relative, paths)
        )
        return RunData({}, f"The data of the run cannot be read again: {error}{hint}")
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


def _is_relative(path: str) -> bool:
    return not (path.startswith(PREFIX) or os.path.isabs(os.path.expanduser(path)))


def _check_prepared(path: str, config: DataConfig) -> None:
    """Refuses ``tfds:`` data that would have to be downloaded first, which may take gigabytes.

    Raises:
        DataError: It is not prepared on this machine, or not known.
        DependencyError: tensorflow-datasets is not installed.
    """
    if not path.startswith(PREFIX):
        return
    from tf_finetune.backend import load_tfds

    name = path.removeprefix(PREFIX)
    check_tfds_name(name)
    try:
        is_prepared = load_tfds().builder(name, data_dir=config.data_dir).is_prepared()
    except FinetuneError:
        raise
    except Exception as error:  # tensorflow-datasets has no base class of its own
        raise DataError(f"{path}: tensorflow-datasets does not know it ({type(error).__name__}).") from error
    if not is_prepared:
        raise DataError(f"{path} is not on this machine, and a report downloads nothing. Prepare it: tfds build {name}")
