"""`Prediction`: what a model server says to a text, checked before anyone relies on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tf_finetune.errors import ServingError

__all__ = ["Prediction", "read_predictions"]


@dataclass(frozen=True)
class Prediction:
    """What the model says to one text.

    Attributes:
        label: Name of the class.
        label_id: Its index.
        confidence: Its probability.
        probabilities: Of all classes, in index order.
        logits: Of all classes, in index order.
        decision: The label, or ``uncertain`` below its threshold; None of a model without an operating point.
    """

    label: str
    label_id: int
    confidence: float
    probabilities: tuple[float, ...]
    logits: tuple[float, ...]
    decision: str | None = None


def read_predictions(answer: Mapping[str, Any], count: int) -> list[Prediction]:
    """The predictions of an answer in row format.

    Args:
        answer: The JSON object that the server answers.
        count: How many texts were sent.

    Raises:
        ServingError: It does not hold what our signatures answer, for so many rows.
    """
    rows = answer.get("predictions")
    if not isinstance(rows, list) or len(rows) != count:
        found = f"{len(rows)} of them" if isinstance(rows, list) else f"{str(answer)[:100]!r}"
        raise ServingError(f"The server answers {count} texts with other predictions than one a text: {found}.")
    predictions = [_prediction(row, number) for number, row in enumerate(rows)]
    widths = {len(row) for one in predictions for row in (one.probabilities, one.logits)}
    highest = max(one.label_id for one in predictions)
    if len(widths) > 1 or highest >= max(widths):
        raise ServingError(f"The server answers rows of {sorted(widths)} classes, and label_id {highest}.")
    return predictions


def _prediction(row: Any, number: int) -> Prediction:
    """A checked prediction; `number` is its place in the batch."""
    if not isinstance(row, dict) or not set(KINDS) <= set(row):
        found = ", ".join(map(str, row))[:200] if isinstance(row, dict) else f"{str(row)[:100]!r}"
        raise ServingError(
            f"The server answers something else than our exports do. Expected {', '.join(KINDS)}. Received: {found}. "
            "Is it the model that you mean?"
        )
    for name, is_right in {**KINDS, **OPTIONAL}.items():
        if not is_right(row.get(name)):
            raise ServingError(f"The server answers {name} {str(row[name])[:100]} in row {number} of a batch.")
    probabilities, logits = tuple(map(float, row["probabilities"])), tuple(map(float, row["logits"]))
    return Prediction(
        row["label"], row["label_id"], float(row["confidence"]), probabilities, logits, row.get("decision")
    )


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def _is_row(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(map(_is_number, value))


KINDS: dict[str, Callable[[Any], bool]] = {
    "label": lambda value: isinstance(value, str),
    "label_id": lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
    "confidence": _is_number,
    "probabilities": _is_row,
    "logits": _is_row,
}
"""Output of our signatures -> whether a value can be one."""

OPTIONAL: dict[str, Callable[[Any], bool]] = {"decision": lambda value: value is None or isinstance(value, str)}
"""Output that not every model has -> whether a value can be one."""
