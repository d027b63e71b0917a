"""Options that have no effect on the data given are errors, not silence."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from tf_finetune.config import DataConfig
from tf_finetune.errors import ConfigError

__all__ = ["check_options"]

_TABLES = ("csv", "tsv", "jsonl", "parquet", "tfds")

# which kinds of sources an option is for; the others are for all
_KINDS = {
    "data_dir": ("tfds",),
    "text_column": _TABLES,
    "label_column": _TABLES,
    "pair_column": _TABLES,
    "encoding": ("csv", "tsv", "jsonl", "folder"),
    "tsv_quoting": ("tsv",),
}

# what can be said about the embedded sample; all else describes data that is not there
_SAMPLE = ("data", "validation_split", "split_seed", "max_train_samples")

_LABELS = ("label_column", "label_map")


def check_options(config: DataConfig, kinds: Collection[str], *, labelled: bool = True) -> None:
    """Refuses options without effect.

    Args:
        config: the options.
        kinds: kinds of all sources that are read: ``csv``, ``tsv``, ``jsonl``, ``parquet``, ``folder``, ``tfds``;
            none for the embedded sample.
        labelled: whether labels are read.

    Raises:
        ConfigError: Options without effect; names all of them.
    """
    faults = []
    for field in dataclasses.fields(DataConfig):
        value, flag = getattr(config, field.name), f"--{field.name.replace('_', '-')}"
        if value == field.default:
            continue
        if not kinds and field.name not in _SAMPLE:
            faults.append(f"{flag} has no effect without --data")
        elif kinds and not set(kinds) & set(_KINDS.get(field.name, kinds)):
            faults.append(f"{flag} is for {', '.join(_KINDS[field.name])}, but the data is {', '.join(sorted(kinds))}")
        elif not labelled and field.name in _LABELS:
            faults.append(f"{flag} has no effect where labels are not read")
    if faults:
        raise ConfigError(f"Options without effect: {'; '.join(faults)}. Remove them.")
