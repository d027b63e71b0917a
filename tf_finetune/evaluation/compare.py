"""`compare`: two trained models answer the same labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tf_finetune.errors import ConfigError
from tf_finetune.evaluation.comparison import Comparison, compare_answers
from tf_finetune.evaluation.found_model import FoundModel, find_model
from tf_finetune.evaluation.labelled import answer, read_labelled, trained_label_map
from tf_finetune.evaluation.resampling import RESAMPLES, check_resamples

__all__ = ["compare"]


def compare(
    first: str | Path,
    second: str | Path,
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
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compares two trained models on the same labelled data.

    It covers the chance of the rows, not that of another seed in training; and rows that either model was trained on
    count in its favour.

    Args:
        first: Model folder of A, or a version folder in it; `find_model` says what answers.
        second: The same of B. It must have the labels of A, in any order.
        data: Paths, globs or a ``tfds:`` name, as for `fit`.
        split: Split to read where the data has several; the test split by default.
        text_column: Column of the text.
        label_column: Column of the label.
        pair_column: Column of the second sentence.
        label_map: Renames or groups labels; that of the models' training by default.
        encoding: Encoding of text files.
        tsv_quoting: Whether quotes in TSV files are text or wrap fields.
        on_bad_row: ``error`` or ``skip``.
        data_dir: Folder of prepared tensorflow-datasets.
        batch_size: Rows a batch.
        resamples: How often the rows are drawn anew, at least 100; `compare_answers` says how.
        seed: Seed of these draws.

    Raises:
        RunError: A folder holds no finished run and no export.
        ExportError: An export is damaged, or takes no texts.
        DataError: The data cannot be read, holds a label that the models do not know, or lacks the second sentence.
        ConfigError: The models do not answer the same question, or an option has no effect.
    """
    check_resamples(resamples)
    models = (find_model(first), find_model(second))
    _check_alike(*models)
    examples = read_labelled(
        models[0],
        data,
        split=split,
        text_column=text_column,
        label_column=label_column,
        pair_column=pair_column,
        label_map=label_map or _label_map(*models),
        encoding=encoding,
        tsv_quoting=tsv_quoting,
        on_bad_row=on_bad_row,
        data_dir=data_dir,
    )
    names = models[0].label_names
    of_a, of_b = (answer(model, examples, batch_size=batch_size)[0] for model in models)
    order = [models[1].label_names.index(name) for name in names]
    return compare_answers(examples.labels, of_a, of_b[:, order], names, resamples=resamples, seed=seed)


def _check_alike(first: FoundModel, second: FoundModel) -> None:
    if set(first.label_names) != set(second.label_names):
        differing = sorted(set(first.label_names) ^ set(second.label_names))
        shown = ", ".join(differing[:5]) + (f" and {len(differing) - 5} more" if len(differing) > 5 else "")
        raise ConfigError(
            f"{first.path} and {second.path} have other labels, so that their answers cannot be compared. "
            f"Only one of them has: {shown}."
        )
    if first.pairs != second.pairs:
        with_pairs = first if first.pairs else second
        raise ConfigError(
            f"{with_pairs.path} was trained on sentence pairs and the other model on single texts: "
            "they cannot answer the same rows."
        )


def _label_map(first: FoundModel, second: FoundModel) -> str | None:
    """The label map of the trainings, where those that had one had the same."""
    maps = {label_map for label_map in map(trained_label_map, (first, second)) if label_map}
    if len(maps) > 1:
        raise ConfigError(
            f"The models were trained with different label maps ({' and '.join(map(repr, sorted(maps)))}). "
            "Give the one that this data needs with --label-map."
        )
    return maps.pop() if maps else None
