"""Predictions for the rows of files, and for lines as they come."""

from __future__ import annotations

import glob
import itertools
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from tf_finetune.data import read_rows, resolve_text_columns
from tf_finetune.errors import ConfigError, DataError, ModelError
from tf_finetune.evaluation.found_model import find_model
from tf_finetune.evaluation.line_input import arriving_lines
from tf_finetune.evaluation.writers import check_output, open_writer

if TYPE_CHECKING:
    import numpy as np

    from tf_finetune.evaluation.found_model import Classifier, FoundModel

__all__ = ["PredictResult", "predict", "predict_lines"]

logger = logging.getLogger(__name__)

CHUNK_ROWS = 1024
DIGITS = 7


@dataclass(frozen=True)
class PredictResult:
    """What `predict` wrote.

    Attributes:
        rows: number of rows, all of them predicted.
        output: the file.
        renamed: input columns that gave way to ours, and their names in the output.
        empty: rows of which a text was blank or missing; they were predicted as the empty text.
    """

    rows: int
    output: str
    renamed: dict[str, str] = field(default_factory=dict)
    empty: int = 0


def predict(
    folder: str,
    data: Sequence[str],
    output: str,
    *,
    text_column: str | None = None,
    pair_column: str | None = None,
    encoding: str = "utf-8",
    tsv_quoting: str = "none",
    batch_size: int = 32,
    overwrite: bool = False,
) -> PredictResult:
    """Predicts every row of `data`, in constant memory.

    The output holds all input columns, then ``label``, ``confidence`` (the label's probability) and one
    ``prob_<label>`` a class. Probabilities are rounded to seven digits, which is what float32 resolves. A model with an
    operating point has ``decision`` after the confidence: the label, or ``uncertain`` below its threshold.

    Args:
        folder: a model folder of ours, or a version folder in it; `find_model` says what answers.
        data: files or globs; labels are not needed.
        output: file to write: .csv, .tsv, .jsonl (also .gz) or .parquet.
        text_column: column of the text; by default the one with a usual name.
        pair_column: column of the second sentence, for a model of sentence pairs.
        encoding: encoding of text files.
        tsv_quoting: "none" or "csv".
        batch_size: rows a step of the model.
        overwrite: whether `output` may be replaced.

    Raises:
        ConfigError: The output cannot be written, or a pair column is given to a model of single texts.
        DataError: The data cannot be read, or lacks a column.
        ModelError: The model's probabilities are none.
        ExportError: The export is damaged, or takes no texts.
        RunError: `folder` holds no finished run and no export.
    """
    output = os.path.expanduser(output)
    model = find_model(folder)
    inputs = _input_files(data)
    check_output(output, inputs=inputs, overwrite=overwrite)
    source = read_rows(data, encoding=encoding, tsv_quoting=tsv_quoting)
    for note in source.notes:
        logger.warning("%s", note)
    columns = list(source.columns)
    text_name, pair_name = resolve_text_columns(columns, text_column, pair_column)
    _check_pairs(model.pairs, pair_name, columns)
    predictor = model.load(batch_size=batch_size)  # imports TensorFlow: after the checks
    answers = [*_named(model), *(f"prob_{name}" for name in predictor.label_names)]
    renamed = _renamed(columns, answers)
    rows = empty = 0
    with open_writer(
        output, [*(renamed.get(name, name) for name in columns), *answers], inputs=inputs, overwrite=overwrite
    ) as writer:
        rows_left = iter(source)
        while chunk := list(itertools.islice(rows_left, CHUNK_ROWS)):
            places = [f"{origin}:{number}" if number else origin for origin, number, _ in chunk]
            inner = [row for _, _, row in chunk]
            texts = _texts(inner, text_name, places)
            pairs = None if pair_name is None else _texts(inner, pair_name, places)
            found = _answers(model, predictor, texts, pairs, places)
            writer.write([[*map(row.get, columns), *answer] for row, answer in zip(inner, found, strict=True)])
            rows += len(chunk)
            empty += sum(not all(map(str.strip, both)) for both in zip(texts, pairs or texts, strict=True))
    return PredictResult(rows=rows, output=output, renamed=renamed, empty=empty)


def predict_lines(folder: str, lines: TextIO, write: Callable[[str], None], *, batch_size: int = 32) -> int:
    """Predicts lines as they come: whatever has arrived is answered before more is waited for.

    A line is a text, or text TAB pair for a model of sentence pairs; an empty line is an empty text. Each gets one line
    of JSON: ``{"text": ..., "label": ..., "confidence": ..., "probabilities": {name: ...}}``, with ``"pair"`` after
    the text where there is one, and ``"decision"`` after the confidence where there is an operating point. The lines
    before a broken one are answered first. An interrupt leaves whole lines.

    Args:
        folder: a model folder of ours, or a version folder in it; `find_model` says what answers.
        lines: the input, as standard input is opened; nothing may have been read from it as text.
        write: takes one line with its line feed and must flush it, as ``partial(click.echo, nl=False)`` does.
        batch_size: rows a step of the model.

    Returns:
        The number of lines answered.

    Raises:
        DataError: A line is not in the encoding of `lines`, or not a pair where the model takes pairs.
        ExportError: The export is damaged, or takes no texts.
        RunError: `folder` holds no finished run and no export.
    """
    model = find_model(folder)
    predictor = model.load(batch_size=batch_size)
    names = _named(model)
    count = 0
    for fields, error in arriving_lines(lines, has_pairs=predictor.has_pairs):
        if fields:
            texts = [one[0] for one in fields]
            pairs = [one[1] for one in fields] if predictor.has_pairs else None
            places = [f"line {count + i}" for i in range(1, len(fields) + 1)]
            for one, answer in zip(fields, _answers(model, predictor, texts, pairs, places), strict=True):
                write(_json_line(one, names, answer, predictor.label_names))
            count += len(fields)
        if error is not None:
            raise error
    return count


def _input_files(data: Sequence[str]) -> list[str]:
    """Every file that the paths and globs may stand for."""
    expanded = [os.path.expanduser(path) for path in data]
    return [*expanded, *(name for path in expanded for name in glob.glob(path, recursive=True))]


def _check_pairs(has_pairs: bool, pair_name: str | None, columns: Sequence[str]) -> None:
    if has_pairs and pair_name is None:
        raise DataError(f"The model was trained on sentence pairs: give --pair-column. Columns: {', '.join(columns)}.")
    if pair_name is not None and not has_pairs:
        raise ConfigError(f"The model was trained on single texts: leave out --pair-column {pair_name}.")


def _renamed(columns: Sequence[str], answers: Sequence[str]) -> dict[str, str]:
    """New names for the input columns that are called as one of ours."""
    taken = {*columns, *answers}
    renamed = {}
    for name in columns:
        if name in answers:
            new = f"input_{name}"
            while new in taken:
                new = f"input_{new}"
            taken.add(new)
            renamed[name] = new
    return renamed


def _texts(rows: Sequence[Mapping[str, Any]], column: str, places: Sequence[str]) -> list[str]:
    """The strings of one column; a missing one is the empty text."""
    texts = []
    for row, place in zip(rows, places, strict=True):
        value = row.get(column)
        if not isinstance(value, (str, type(None))):
            raise DataError(f"{place}: column {column!r} must hold text. Received: {type(value).__name__} {value!r}.")
        texts.append(value or "")
    return texts


def _named(model: FoundModel) -> list[str]:
    """Names of the answers that stand before the probabilities."""
    return ["label", "confidence", *(["decision"] if model.thresholds else [])]


def _answers(
    model: FoundModel, predictor: Classifier, texts: list[str], pairs: list[str] | None, places: Sequence[str]
) -> list[list[Any]]:
    """What `_named` names and all probabilities of each row."""
    probabilities: np.ndarray = predictor.probabilities(texts, pairs)
    answers: list[list[Any]] = []
    for row, place in zip(probabilities.tolist(), places, strict=True):
        if not all(p >= 0 for p in row):  # NaN compares false
            raise ModelError(f"{place}: the model's probabilities are {row}; its weights are broken. Train it again.")
        best = row.index(max(row))
        rounded = [round(p, DIGITS) for p in row]
        answers.append([predictor.label_names[best], rounded[best], *rounded])
    if model.thresholds:
        from tf_finetune.serving.decision import decide

        decisions = decide(probabilities, predictor.label_names, model.thresholds)
        for answer, decision in zip(answers, decisions, strict=True):
            answer.insert(2, decision)
    return answers


def _json_line(fields: Sequence[str], names: Sequence[str], answer: Sequence[Any], label_names: Sequence[str]) -> str:
    value = dict(zip(("text", "pair"), fields, strict=False))
    named = dict(zip(label_names, answer[len(names) :], strict=True))
    line = {**value, **dict(zip(names, answer, strict=False)), "probabilities": named}
    return json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
