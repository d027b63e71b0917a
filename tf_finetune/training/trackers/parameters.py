"""What trackers show of a run as plain names and values: its configuration, and its scores."""

from __future__ import annotations

from typing import Any

from tf_finetune.config import Config
from tf_finetune.evaluation.metrics import Scores
from tf_finetune.training.comparison import by_name

__all__ = ["flat_parameters", "flat_scores"]

LONGEST = 500
"""Characters of a value. MLflow takes 6000, W&B's tables show far less; config.yaml has all of it."""


def flat_parameters(config: Config) -> dict[str, str | int | float | bool]:
    """The configuration by dotted name; lists are joined with commas, and what is not set is ``null`` as in YAML."""
    return {name: _plain(value) for name, value in by_name(config.to_dict())}


def flat_scores(part: str, scores: Scores) -> dict[str, float]:
    """Every score that is one number, by names such as ``validation/accuracy``; those that are undefined are left out.

    Args:
        part: ``validation`` or ``test``.
        scores: Its scores.
    """
    return {
        f"{part}/{name}": float(value)
        for name, value in scores.to_dict().items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _plain(value: Any) -> str | int | float | bool:
    if isinstance(value, (bool, int, float)):
        return value
    text = "null" if value is None else ", ".join(value) if isinstance(value, list) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
