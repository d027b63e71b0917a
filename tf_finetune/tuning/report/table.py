"""`trials_csv`: all trials of a search as a table for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from tf_finetune.pages.words import exact_text
from tf_finetune.tuning.objective import direction, in_order
from tf_finetune.tuning.trial import Trial

__all__ = ["COLUMNS", "trials_csv"]

COLUMNS = (
    "trial",
    "status",
    "score",
    "best_epoch",
    "epochs",
    "seconds",
    "pruned",
    "parent",
    "reason",
    "worker",
)
"""The columns before those of the values."""

FORMULA = ("=", "+", "-", "@")
"""What a cell begins with that a spreadsheet computes (OWASP, CSV injection)."""


def trials_csv(trials: Sequence[Trial], objective: str) -> str:
    r"""Trials in the order of their numbers: `COLUMNS`, then a column for each value, by dotted name.

    Numbers have all of their digits; None is an empty cell. A reason or a worker that a spreadsheet would take for a
    formula has an apostrophe before it.

    Args:
        trials: All trials of a search, in any order.
        objective: What the column ``score`` is.

    Returns:
        The text of the file, with ``\n`` as line ends.

    Raises:
        ConfigError: There is no such objective.
    """
    direction(objective)
    names = list(dict.fromkeys(name for trial in trials for name in trial.values))
    with io.StringIO() as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, *names])
        for trial in in_order(trials):
            values = [trial.values.get(name) for name in names]
            writer.writerow([_cell(value) for value in (*_about(trial), *values)])
        return file.getvalue()


def _about(trial: Trial) -> tuple[Any, ...]:
    return (
        trial.id,
        trial.status,
        trial.score,
        trial.best_epoch or None,
        trial.epochs,
        round(trial.seconds, 3),
        trial.pruned,
        trial.parent,
        _guarded(trial.reason),
        _guarded(trial.worker),
    )


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _cell(value: Any) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if value is None or is_number else exact_text(value)
