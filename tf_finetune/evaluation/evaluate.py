"""`evaluate`: scores of a trained model on labelled data, with intervals and slices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf_finetune.evaluation.evaluation import Evaluation, score_answers
from tf_finetune.evaluation.found_model import find_model
from tf_finetune.evaluation.labelled import SPLIT, answer, read_labelled
from tf_finetune.evaluation.resampling import RESAMPLES, check_resamples
from tf_finetune.evaluation.slice_columns import ColumnValues, read_columns
from tf_finetune.files import cache_folder

__all__ = ["evaluate"]


def evaluate(
    folder: str | Path,
    data: Sequence[str],
    *,
    split: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    pair_column: str | None = None,
    label_map: str | None = None,
    encoding: str = "utf-8",
    tsv_quoting: str = "none",
    on_bad_row: str = "error",
    data_dir: str | None = None,
    batch_size: int = 32,
    slice_by: Sequence[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Scores a trained model on labelled data, with 95 % intervals, and in slices by length and class.

    Args:
        folder: Model folder `saved_models/<name>`, or a version folder in it; `find_model` says what answers.
        data: Paths, globs or a ``tfds:`` name, as for `fit`.
        split: Split to read where the data has several; the test split by default.
        text_column: Column of the text.
        label_column: Column of the label.
        pair_column: Column of the second sentence.
        label_map: Renames or groups labels; the run's own by default, where the run is there.
        encoding: Encoding of text files.
        tsv_quoting: Whether quotes in TSV files are text or wrap fields.
        on_bad_row: ``error`` or ``skip``.
        data_dir: Folder of prepared tensorflow-datasets.
        batch_size: Rows a batch.
        slice_by: Columns of the data to slice by, too.
        resamples: How often the rows are drawn anew for the intervals, at least 100; `score_intervals` says how.
        seed: Seed of these draws.

    Raises:
        RunError: The folder holds no finished run and no export.
        ExportError: The export is damaged, or takes no texts.
        DataError: The data cannot be read, holds a label that the model does not know, or lacks the second sentence or
            a column to slice by.
        ConfigError: A second sentence for a model of single texts, or an option without effect.
    """
    check_resamples(resamples)
    model = find_model(folder)
    files: dict[str, Any] = {"encoding": encoding, "tsv_quoting": tsv_quoting, "data_dir": data_dir}
    examples = read_labelled(
        model,
        data,
        split=split,
        text_column=text_column,
        label_column=label_column,
        pair_column=pair_column,
        label_map=label_map,
        on_bad_row=on_bad_row,
        **files,
    )
    columns: tuple[ColumnValues, ...] = ()
    if slice_by:
        columns = read_columns(examples, data, slice_by, split=split or SPLIT, spool_dir=str(cache_folder()), **files)
    probabilities, lengths = answer(model, examples, batch_size=batch_size)
    return score_answers(
        examples.labels,
        probabilities,
        model.label_names,
        lengths=lengths,
        columns=columns,
        resamples=resamples,
        seed=seed,
    )
