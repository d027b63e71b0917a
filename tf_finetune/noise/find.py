"""`find_label_errors`: from a configuration to the training rows whose label is likely wrong."""

from __future__ import annotations

import logging
import shlex
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tf_finetune.audit.read import training_sources
from tf_finetune.config import Config, RunConfig
from tf_finetune.data import Examples, Splits
from tf_finetune.data.read import read_sources
from tf_finetune.data.sampling import sample_examples
from tf_finetune.errors import ConfigError, RunError
from tf_finetune.files import cache_folder, read_json, write_json
from tf_finetune.model.checkpoint import Checkpoint
from tf_finetune.model.resolve import resolve_model
from tf_finetune.noise.confident import confident_joint, confident_learning
from tf_finetune.noise.folds import ALWAYS_TRAINED, make_folds
from tf_finetune.noise.label_errors import LabelError, LabelErrors
from tf_finetune.noise.out_of_fold import predict_out_of_fold
from tf_finetune.training.fit import output_folder
from tf_finetune.training.identity import MACHINE, describe_identity, differences
from tf_finetune.training.inputs import check_checkpoint

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FOLDER", "find_label_errors"]

logger = logging.getLogger(__name__)

FOLDER = "label_errors"
"""Folder of the folds, in the model folder; no number, so TensorFlow Serving skips it."""

FOLDS = 3


def find_label_errors(config: Config, *, folds: int = FOLDS, progress: TextIO | None = None) -> LabelErrors:
    """Finds training rows whose label is likely wrong, by confident learning from out-of-fold probabilities.

    The rows are dealt into folds (`make_folds`); each fold is answered for by a model trained on the others
    (`predict_out_of_fold`); `confident_learning` tells which labels do not fit the answers. All is kept in
    `label_errors/` of the model folder: called again with the same data and options, folds that are done are not
    trained again, and one that was stopped is gone on with.

    Args:
        config: As for `fit`: data, tokens, model and training. The rows of ``--data`` are examined, held-out ones among
            them. Of the section `run`, `output` alone has a meaning.
        folds: How many, 2 or more: more take longer, and each model learns from more rows.
        progress: As for `fit`.

    Raises:
        ConfigError: An option is wrong, or has no effect here.
        DataError: The data cannot be used, or has too few texts.
        ModelError: The checkpoint cannot be used.
        RunError: The folder holds folds of other data or options, or cannot be written.
        TokenizerError: The checkpoint's tokenizer cannot be used.
        TrainingStopped: A signal; called again, it goes on.
    """
    import numpy as np

    if config.run != RunConfig(output=config.run.output):
        raise ConfigError("Looking for label errors, --output is the only option of a run that has an effect.")
    checkpoint = resolve_model(config.model.model)
    check_checkpoint(config, checkpoint)
    examples = _read(config)
    places = make_folds(examples, folds=folds, seed=config.fit.seed)
    folder = output_folder(config).path / FOLDER
    _claim(folder, _identity(config, examples, checkpoint, folds))
    probabilities = predict_out_of_fold(config, examples, places, folder, progress=progress)
    rows = np.flatnonzero(places != ALWAYS_TRAINED)
    found = _found(examples, rows, probabilities[rows], folds)
    if found.caution is not None:
        logger.warning("%s", found.caution)
    return found


def _read(config: Config) -> Examples:
    """The training rows, all of them but for ``--max-train-samples``."""
    data = config.data
    spool_dir = str(cache_folder(config.tokens.cache_dir))
    examples, notes = read_sources(training_sources(data), data, split="train", spool_dir=spool_dir)
    for note in notes:
        logger.info("%s", note)
    if data.max_train_samples is None:
        return examples
    seed = config.fit.seed if data.split_seed is None else data.split_seed
    return sample_examples(examples, size=data.max_train_samples, seed=seed)


def _identity(config: Config, examples: Examples, checkpoint: Checkpoint, folds: int) -> dict[str, Any]:
    """What the answers of all folds follow from."""
    identity = describe_identity(config, Splits(examples, examples, None), checkpoint)
    del identity[MACHINE]  # it moves them by rounding errors alone
    dealt = {"number": folds, "validation_split": config.data.validation_split, "split_seed": config.data.split_seed}
    return {**identity, "folds": dealt}


def _claim(folder: Path, identity: dict[str, Any]) -> None:
    """Makes the folder, or sees that what it holds is of the same search.

    Raises:
        RunError: It is not, or the folder cannot be made.
    """
    file = folder / "folds.json"
    if file.is_file():
        found = differences(read_json(file), identity)
        if found:
            raise RunError(
                f"{folder} holds the folds of other data or options: {'; '.join(one.line for one in found[:5])}. "
                f"Remove it (rm -r {shlex.quote(str(folder))}), or give another --output."
            )
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, identity)
    except OSError as error:
        raise RunError(f"Cannot write {folder}: {error.strerror or error}. Give another --output.") from error


def _found(examples: Examples, rows: np.ndarray, probabilities: np.ndarray, folds: int) -> LabelErrors:
    """The label errors among `rows`, int64 `[m]`, of which there are the probabilities `[m, classes]`."""
    import numpy as np

    labels, names = examples.labels[rows], examples.label_names
    suspects = confident_learning(labels, probabilities)
    best = probabilities.argmax(axis=1)
    chosen = examples.take(rows[suspects])
    places = chosen.table.select(["origin", "row"]).take(chosen.rows)
    texts = [both for texts, pairs in chosen.batches() for both in zip(texts, repeat(None) if pairs is None else pairs)]
    columns = zip(suspects.tolist(), places["origin"].to_pylist(), places["row"].to_pylist(), texts, strict=True)
    errors = tuple(
        LabelError(
            rank=rank,
            index=int(rows[i]),
            file=origin,
            row=number,
            label=names[labels[i]],
            suggested=names[best[i]],
            probability=float(probabilities[i, best[i]]),
            label_probability=float(probabilities[i, labels[i]]),
            text=text,
            pair=pair,
        )
        for rank, (i, origin, number, (text, pair)) in enumerate(columns, start=1)
    )
    return LabelErrors(
        errors=errors,
        examined=len(rows),
        left_out=len(examples) - len(rows),
        folds=folds,
        accuracy=float((best == labels).mean()),
        majority=float(np.bincount(labels).max() / len(labels)),
        label_names=names,
        joint=tuple(map(tuple, confident_joint(labels, probabilities).tolist())),
    )
