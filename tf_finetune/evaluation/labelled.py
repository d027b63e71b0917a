"""`read_labelled` and `answer`: what a trained model is scored on, and what it says."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tf_finetune.config import resolve_config
from tf_finetune.data import Examples, read_examples
from tf_finetune.data.readers import find_sources, source_splits
from tf_finetune.errors import ConfigError, DataError
from tf_finetune.evaluation.found_model import FoundModel
from tf_finetune.files import cache_folder

if TYPE_CHECKING:
    import numpy as np

__all__ = ["SPLIT", "answer", "characters", "read_labelled", "trained_label_map"]

logger = logging.getLogger(__name__)

SPLIT = "test"
"""What is read of data that has splits, unless another is named."""

BATCH_ROWS = 1024


def read_labelled(
    model: FoundModel,
    data: Sequence[str],
    *,
    split: str | None,
    pair_column: str | None,
    label_map: str | None,
    data_dir: str | None,
    **columns: Any,
) -> Examples:
    """Reads labelled data for a trained model, with its classes.

    Args:
        model: The model.
        data: Paths, globs or a ``tfds:`` name.
        split: Split to read where the data has several; `SPLIT` by default.
        pair_column: Column of the second sentence.
        label_map: Renames or groups labels; that of the training by default.
        data_dir: Folder of prepared tensorflow-datasets.
        columns: Further arguments of `read_examples`.

    Raises:
        DataError: The data cannot be read, holds a label that the model does not know, or lacks the second sentence.
        ConfigError: A second sentence for a model of single texts, or an option without effect.
    """
    _check_pairs(model, pair_column)
    if split is not None and not any(source_splits(source, data_dir) for source in find_sources(data)):
        raise ConfigError(f"--split {split}: no effect, since the data has no splits. Leave it out.")
    if not label_map:
        label_map = trained_label_map(model)
        if label_map:
            logger.info("labels are mapped as in training: --label-map %r", label_map)
    return read_examples(
        data,
        split=split or SPLIT,
        label_names=model.label_names,
        pair_column=pair_column,
        label_map=label_map,
        data_dir=data_dir,
        spool_dir=str(cache_folder()),
        **columns,
    )


def trained_label_map(model: FoundModel) -> str | None:
    """The label map of the model's training, if it had one and its run is there."""
    return None if model.config is None else resolve_config(file=model.config).data.label_map


def answer(model: FoundModel, examples: Examples, *, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Imports TensorFlow, and has the model answer.

    Args:
        model: The model.
        examples: What to answer.
        batch_size: Rows a batch.

    Returns:
        Class probabilities float32 `[n, labels]`, and the characters of each text (and pair), int64 `[n]`.

    Raises:
        ExportError: TensorFlow cannot load the export.
        ModelError: The run is unsafe or damaged.
    """
    import numpy as np

    predictor = model.load(batch_size=batch_size)
    probabilities, lengths = [], []
    for texts, pairs in examples.batches(BATCH_ROWS):
        probabilities.append(predictor.probabilities(texts, pairs))
        lengths += characters(texts, pairs)
    return np.concatenate(probabilities), np.array(lengths, np.int64)


def characters(texts: Sequence[str], pairs: Sequence[str] | None) -> list[int]:
    """Characters of each text, with those of its second sentence if there are any."""
    return [sum(map(len, both)) for both in (zip(texts) if pairs is None else zip(texts, pairs))]


def _check_pairs(model: FoundModel, pair_column: str | None) -> None:
    if model.pairs and pair_column is None:
        raise DataError(
            "The model was trained on sentence pairs: name the column of the second one with --pair-column."
        )
    if not model.pairs and pair_column is not None:
        raise ConfigError(f"--pair-column {pair_column}: the model was trained on single texts. Leave it out.")
