"""Signatures of a model server, called over REST with arrays: row format, column format, and ``:classify``."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from tf_finetune.errors import ServingError
from tf_finetune.serving.clients.addresses import ModelPath
from tf_finetune.serving.clients.rest import RestServer
from tf_finetune.serving.comparison import Call

__all__ = ["rest_classify", "rest_columns", "rest_rows"]

STRINGS = ("label", "classes", "decision")
"""Outputs of our signatures that are strings; all others are numbers."""

LARGEST_NUMBER = float(1 << 62)
"""No logit and no token id comes near; what is larger, or infinite, or no number, is refused."""


def rest_rows(server: RestServer, path: ModelPath, signature: str | None) -> Call:
    """A signature in row format: one object a row, or the bare values of a single input.

    Args:
        server: The server.
        path: The model.
        signature: Its name; None for the server's default.
    """
    return partial(_call_rows, server, path, signature)


def rest_columns(server: RestServer, path: ModelPath, signature: str | None) -> Call:
    """A signature in column format: all rows of each input together. Arguments as for `rest_rows`."""
    return partial(_call_columns, server, path, signature)


def rest_classify(server: RestServer, path: ModelPath) -> Call:
    """The classify API: examples with the texts as features in, labels with their scores out."""
    return partial(_call_classify, server, path)


def _call_rows(
    server: RestServer, path: ModelPath, signature: str | None, inputs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    columns = {name: _to_json(values, binary=name == "inputs") for name, values in inputs.items()}
    rows: list[Any] = [dict(zip(columns, row)) for row in zip(*columns.values())]
    if len(columns) == 1:
        rows = list(*columns.values())
    answer = server.post(path.verb("predict"), _named(signature) | {"instances": rows})
    found = answer.get("predictions")
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ServingError(f"Expected one object a row in predictions. Received: {str(found)[:200]}")
    if len({frozenset(row) for row in found}) > 1:
        raise ServingError("The rows of predictions have different outputs.")
    names = found[0] if found else ()
    return _outputs({name: [row[name] for row in found] for name in names}, len(rows))


def _call_columns(
    server: RestServer, path: ModelPath, signature: str | None, inputs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    columns = {name: _to_json(values, binary=name == "inputs") for name, values in inputs.items()}
    answer = server.post(path.verb("predict"), _named(signature) | {"inputs": columns})
    found = answer.get("outputs")
    if not isinstance(found, dict):
        raise ServingError(f"Expected an object of outputs. Received: {str(found)[:200]}")
    return _outputs(found, len(next(iter(columns.values()))))


def _call_classify(server: RestServer, path: ModelPath, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    columns = {name: _to_json(values, binary=False) for name, values in inputs.items()}
    examples = [dict(zip(columns, row)) for row in zip(*columns.values())]
    answer = server.post(path.verb("classify"), {"signature_name": "classify", "examples": examples})
    results = answer.get("results")
    try:
        classes = [[label for label, _ in row] for row in results]  # type: ignore[union-attr]
        scores = [[score for _, score in row] for row in results]  # type: ignore[union-attr]
    except (TypeError, ValueError) as error:
        raise ServingError(f"Expected rows of [label, score] in results. Received: {str(results)[:200]}") from error
    return _outputs({"classes": classes, "scores": scores}, len(examples))


def _named(signature: str | None) -> dict[str, Any]:
    return {} if signature is None else {"signature_name": signature}


def _to_json(values: np.ndarray, *, binary: bool) -> list[Any]:
    """Numbers as they are, strings as text; those that are no text as TensorFlow Serving's ``b64`` objects."""
    if values.dtype != object:
        return list(values.tolist())
    if binary:
        return [{"b64": base64.b64encode(value).decode("ascii")} for value in values]
    return [value.decode("utf-8") for value in values]


def _outputs(columns: Mapping[str, Any], rows: int) -> dict[str, np.ndarray]:
    """Outputs as arrays `[rows]` or `[rows, width]`: strings as bytes, numbers as float64 or int64.

    Raises:
        ServingError: An output is ragged, of another kind, or of another number of rows.
    """
    return {name: _to_array(name, values, rows) for name, values in columns.items()}


def _to_array(name: str, values: Any, rows: int) -> np.ndarray:
    if not isinstance(values, list) or len(values) != rows:
        count = len(values) if isinstance(values, list) else type(values).__name__
        raise ServingError(f"The server answers {name} for {count} rows; {rows} were sent.")
    strings = name in STRINGS
    wide = bool(values) and isinstance(values[0], list)
    lines = values if wide else [values]
    if not all(isinstance(line, list) and len(line) == len(lines[0]) for line in lines):
        raise ServingError(f"The server answers {name} with rows of different lengths.")
    if not all(isinstance(value, str) if strings else _is_number(value) for line in lines for value in line):
        raise ServingError(f"The server answers {name} with something else than {'text' if strings else 'numbers'}.")
    if not strings:
        return np.array(values)
    array = np.empty((len(lines), len(lines[0])), object)
    array[:] = [[text.encode("utf-8", "surrogatepass") for text in line] for line in lines]
    return array if wide else array[0]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER
