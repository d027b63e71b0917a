"""`Reported`: all that the sections of a report speak of."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tf_finetune.evaluation.evaluation import Evaluation
from tf_finetune.reporting.answers import Answers
from tf_finetune.reporting.columns import ScoreColumn
from tf_finetune.reporting.run_data import RunData
from tf_finetune.run import Manifest, ModelFolder

__all__ = ["Reported"]


@dataclass(frozen=True, eq=False)
class Reported:
    """What a report is about.

    Attributes:
        model: The model folder.
        manifest: Its manifest.
        complete: What complete.json says.
        environment: What environment.json says.
        history: Name of a value to its values, one an epoch.
        data: The data of the run, as far as it can be read again.
        answers: The rows that are looked at, and what the run says to them.
        scores: How well it says it.
        columns: Scores of these rows first, then of others.
        names: Names of the classes to show, in index order.
    """

    model: ModelFolder
    manifest: Manifest
    complete: Mapping[str, Any]
    environment: Mapping[str, Any]
    history: Mapping[str, Sequence[float]]
    data: RunData
    answers: Answers
    scores: Evaluation
    columns: Sequence[ScoreColumn]
    names: Sequence[str]

    @property
    def path(self) -> str:
        """The model folder, for a command."""
        return shlex.quote(str(self.model.path))

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights were kept, from 1; 0 if it is not known."""
        epoch = self.complete.get("best_epoch")
        return epoch if isinstance(epoch, int) else 0

    @property
    def is_calibrated(self) -> bool:
        """Whether the probabilities are those after calibration."""
        return self.manifest.temperature != 1
