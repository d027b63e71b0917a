"""`predict_out_of_fold`: probabilities of every row by a model that was not trained on its fold."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tf_finetune.config import Config, DataConfig, ExportConfig, RunConfig
from tf_finetune.config.sections import RESUME_AUTO
from tf_finetune.data import Examples, split_examples
from tf_finetune.errors import RunError, TrainingStopped
from tf_finetune.evaluation.logits import read_logits, softmax, write_logits
from tf_finetune.files import whole_file
from tf_finetune.run import ModelFolder

if TYPE_CHECKING:
    import numpy as np

__all__ = ["predict_out_of_fold"]

logger = logging.getLogger(__name__)

BATCH_ROWS = 1024
TEXT, PAIR, LABEL = "text", "pair", "label"
"""Columns of the files of a fold."""


def predict_out_of_fold(
    config: Config, examples: Examples, places: np.ndarray, folder: Path, *, progress: TextIO | None = None
) -> np.ndarray:
    """Trains a model for each fold on the other folds, and has it answer for the fold.

    A fold that was answered for is not trained again, and a training that was stopped is gone on with. A part of the
    other folds (``--validation-split``) is held out to choose the epoch by, so that the fold itself takes no part in
    any choice. The model of a fold is removed once it has answered.

    Args:
        config: Of the training.
        examples: `n` labelled rows.
        places: int64 `[n]`, fold of each row, from `make_folds`.
        folder: Where the folds are trained and kept.
        progress: As for `fit`.

    Returns:
        Probabilities float32 `[n, classes]`; NaN where there is no fold.

    Raises:
        DataError: The other folds cannot be split.
        RunError: A fold cannot be written or read.
        TrainingStopped: A signal; called again, it goes on.
    """
    import numpy as np

    folds = int(places.max()) + 1
    probabilities = np.full((len(examples), len(examples.label_names)), np.nan, np.float32)
    for fold in range(folds):
        rows = np.flatnonzero(places == fold)
        file = folder / f"fold-{fold + 1}.npz"
        if not file.is_file():
            logger.info("fold %d of %d: training on the others", fold + 1, folds)
            run = ModelFolder(folder / f"fold-{fold + 1}")
            _train(config, examples.take(np.flatnonzero(places != fold)), run, progress=progress)
            write_logits(file, examples.labels[rows], _answer(run, examples.take(rows)))
        probabilities[rows] = _read(file, examples.labels[rows], len(examples.label_names))
        shutil.rmtree(folder / f"fold-{fold + 1}", ignore_errors=True)
    return probabilities


def _train(config: Config, others: Examples, run: ModelFolder, *, progress: TextIO | None) -> None:
    """Trains on all folds but one, unless that is done; the rows go through files, so that `fit` can go on."""
    from tf_finetune.training.fit import fit

    if run.is_complete:
        return
    train, validation = _split(config, others)
    data = DataConfig(
        data=(str(_write_rows(run.path / "train.parquet", train)),),
        validation=(str(_write_rows(run.path / "validation.parquet", validation)),),
        text_column=TEXT,
        pair_column=PAIR if others.has_pairs else None,
        label_column=LABEL,
    )
    of_fold = dataclasses.replace(
        config,
        data=data,
        export=ExportConfig(export=False),
        run=RunConfig(output=str(run.path), resume=RESUME_AUTO),
    )
    try:
        fit(of_fold, progress=progress)
    except TrainingStopped as error:
        reason = str(error).partition("\n")[0]
        raise TrainingStopped(f"{reason} To go on: give the same command again.", exit_code=error.exit_code) from None


def _split(config: Config, others: Examples) -> tuple[Examples, Examples]:
    seed = config.fit.seed if config.data.split_seed is None else config.data.split_seed
    return split_examples(others, fraction=config.data.validation_split, seed=seed)


def _write_rows(path: Path, examples: Examples) -> Path:
    """Writes texts and labels as they are, in Parquet, which changes no character."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    names = [TEXT, *([PAIR] if examples.has_pairs else []), LABEL]
    schema = pa.schema([(name, pa.string()) for name in names])
    first = 0
    with whole_file(path) as file, pq.ParquetWriter(file, schema) as writer:
        for texts, pairs in examples.batches(BATCH_ROWS):
            labels = [examples.label_names[label] for label in examples.labels[first : first + len(texts)]]
            columns: list[Sequence[str]] = [texts, *([] if pairs is None else [pairs]), labels]
            writer.write_table(pa.table([pa.array(column, pa.string()) for column in columns], schema=schema))
            first += len(texts)
    return path


def _answer(run: ModelFolder, examples: Examples) -> np.ndarray:
    """Log probabilities float32 `[rows, classes]`, which are logits too, in the order of the examples' classes."""
    import numpy as np

    from tf_finetune.evaluation.predictor import load_predictor

    predictor = load_predictor(run.path)
    parts = [predictor.probabilities(texts, pairs) for texts, pairs in examples.batches(BATCH_ROWS)]
    answers = np.full((len(examples), len(examples.label_names)), np.finfo(np.float32).tiny)
    places = [examples.label_names.index(name) for name in predictor.label_names]
    answers[:, places] = np.maximum(np.concatenate(parts), np.finfo(np.float32).tiny)
    logits: np.ndarray = np.log(answers)
    return logits


def _read(file: Path, labels: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities float32 `[rows, classes]` of a fold that was answered for."""
    import numpy as np

    known, logits = read_logits(file)
    if not np.array_equal(known, labels) or logits.shape[1] != classes:
        raise RunError(f"{file} is damaged: it is not about the rows of its fold. Remove it, and try again.")
    return softmax(logits)
