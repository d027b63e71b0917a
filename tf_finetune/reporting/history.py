"""`read_history`: what each epoch of a run gave."""

from __future__ import annotations

import csv
from pathlib import Path

from tf_finetune.errors import RunError

__all__ = ["read_history"]

MOST_BYTES = 64 << 20


def read_history(path: Path) -> dict[str, list[float]]:
    """Name of a value, such as ``val_loss``, to its values, one an epoch; they may be no numbers (NaN).

    Args:
        path: history.csv of a run.

    Raises:
        RunError: The file is missing or damaged.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES >> 20} MB")
        names, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
        columns = {name: [float(row[i]) for row in rows] for i, name in enumerate(names)}
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise RunError(f"{path} is damaged, or missing: {error}") from error
    columns.pop("epoch", None)
    return columns
