"""`recorded_values`: the scores that a run has recorded, as far as they hold for the model as it answers now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tf_finetune.evaluation.intervals import OF_COUNTS, OF_WEIGHTS
from tf_finetune.evaluation.metrics import Scores

__all__ = ["recorded_values"]

OF_PROBABILITIES = ("log_loss", "brier_score", "ece")
"""Scores that calibration.json has after calibration."""

OF_RANKS = ("auroc", "average_precision")


def recorded_values(scores: Scores, calibration: Mapping[str, Any] | None, split: str) -> dict[str, float]:
    """Scores of metrics.json, which are from before a calibration, brought up to date by calibration.json.

    Labels do not change with a temperature, and of two classes neither does the order of the rows. Of more, it can
    change AUROC and average precision.

    Args:
        scores: Of the split, from metrics.json.
        calibration: What calibration.json says; None without one.
        split: ``validation`` or ``test``.

    Returns:
        Field of `Scores` to its value; what is undefined, or not known after calibration, is missing.

    Raises:
        AttributeError: calibration.json or metrics.json is damaged, as for the other errors.
        TypeError: One of them is.
        ValueError: One of them is.
    """
    values = {name: getattr(scores, name) for name in (*OF_COUNTS, *OF_WEIGHTS)}
    if calibration is not None:
        after = (calibration.get(split) or {}).get("after") or {}  # none of rows that it was not measured on
        values |= {name: after.get(name) for name in OF_PROBABILITIES}
        if len(scores.label_names) > 2:
            values |= dict.fromkeys(OF_RANKS)
    return {name: float(value) for name, value in values.items() if value is not None}
