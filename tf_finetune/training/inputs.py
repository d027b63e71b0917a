"""`load_inputs`: the data and the checkpoint, with all that can be seen to be wrong before TensorFlow is imported."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from tf_finetune.audit.finding import Finding
from tf_finetune.config import Config
from tf_finetune.config.cluster import read_cluster
from tf_finetune.data import Splits, load_splits
from tf_finetune.data.readers.tfds import PREFIX
from tf_finetune.files import cache_folder
from tf_finetune.model.architectures import check_kind, check_length, check_settings
from tf_finetune.model.checkpoint import Checkpoint
from tf_finetune.model.freeze import check_freeze
from tf_finetune.model.resolve import resolve_model
from tf_finetune.tokens.tokenizer import check_tokenizer
from tf_finetune.training.class_weights import parse_class_weights
from tf_finetune.training.soundness import check_soundness
from tf_finetune.training.trackers.packages import check_trackers

__all__ = ["Inputs", "check_checkpoint", "describe_inputs", "load_inputs"]

SHOWN_CLASSES = 20


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a run is made from.

    Attributes:
        splits: The data.
        checkpoint: The pretrained model.
        findings: What a cheap audit has to say of the data.
    """

    splits: Splits
    checkpoint: Checkpoint
    findings: tuple[Finding, ...]


def load_inputs(config: Config) -> Inputs:
    """Reads the data and finds the checkpoint, without TensorFlow (but for ``tfds:`` data).

    Args:
        config: The whole configuration.

    Raises:
        ConfigError: Class weights, frozen parts or, with several workers, devices do not fit.
        DataError: The data cannot be used, or texts are in two splits without ``--allow-leaks``.
        DependencyError: The package of a tracker is not installed.
        ModelError: The checkpoint cannot be used, or the settings do not fit it.
        TokenizerError: Its tokenizer cannot be used.
    """
    check_trackers(config.fit.tracker)
    checkpoint = resolve_model(config.model.model)
    check_checkpoint(config, checkpoint)
    _make_strategy_before_tfds(config)
    splits = load_splits(config.data, seed=config.fit.seed, spool_dir=str(cache_folder(config.tokens.cache_dir)))
    parse_class_weights(config.fit.class_weights, splits.train.labels, splits.train.label_names)
    return Inputs(splits, checkpoint, check_soundness(splits, config.data))


def check_checkpoint(config: Config, checkpoint: Checkpoint) -> None:
    """Refuses what config.json and the files beside it already contradict; `prepare` sees the rest."""
    model = config.model
    check_kind(checkpoint.config.get("model_type"))
    check_settings(checkpoint.model_type, precision=model.precision, jit_compile=model.jit_compile)
    check_length(checkpoint.config, config.tokens.max_length, name=checkpoint.name)
    check_tokenizer(checkpoint.tokenizer_folder)
    if model.freeze:
        check_freeze(model.freeze, checkpoint.config)


def _make_strategy_before_tfds(config: Config) -> None:
    """Of several workers, each makes its strategy, which `prepare` finds then, before tfds lets TensorFlow compute."""
    sources = (*config.data.data, *config.data.validation, *config.data.test)
    if read_cluster() is not None and any(source.startswith(PREFIX) for source in sources):
        from tf_finetune.backend import make_strategy

        make_strategy(config.model.devices)


def describe_inputs(inputs: Inputs) -> list[str]:
    """What there is to say of the data and the checkpoint before training, a line each."""
    from tf_finetune.evaluation.table import display_names

    splits, checkpoint = inputs.splits, inputs.checkpoint
    lines = [f"model: {checkpoint.name} ({checkpoint.model_type}, {checkpoint.source})", *splits.notes]
    for name, part in (("train", splits.train), ("validation", splits.validation), ("test", splits.test)):
        if part is not None:
            counts = zip(display_names(part.label_names), part.label_counts.values(), strict=True)
            shown = [f"{label} {count}" for label, count in itertools.islice(counts, SHOWN_CLASSES)]
            more = len(part.label_names) - len(shown)
            lines.append(f"{name}: {len(part)} rows ({', '.join(shown)}{f' and {more} more classes' if more else ''})")
    return lines
