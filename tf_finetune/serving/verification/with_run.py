"""The recorded answers made again by the run's own Keras model and tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tf_finetune.errors import ExportError
from tf_finetune.run import ModelFolder
from tf_finetune.serving.exported import ExportFolder
from tf_finetune.serving.verification.report import Check, attempt

__all__ = ["checks"]


def checks(folder: Path, tolerance: float) -> list[Check]:
    """Compares the recorded answers of an export with the run beside it, in this process.

    Args:
        folder: The version folder.
        tolerance: Largest difference of a logit.
    """
    return [attempt("run, Keras", lambda: _answer_again(ExportFolder(folder), tolerance))]


def _answer_again(exported: ExportFolder, tolerance: float) -> tuple[str, dict[str, Any]]:
    from tf_finetune.model.trained import load_run
    from tf_finetune.serving.answers import record_answers

    info, recorded = exported.read_info(), exported.read_answers()
    run = ModelFolder(exported.path.parent)
    own = info.max_length if info.max_length != run.read_manifest().max_length else None
    rows = [(answer.text, answer.text_pair) for answer in recorded]
    answers = record_answers(load_run(run, max_length=own), rows, columns=list(info.padding))
    largest = 0.0
    for answer, again in zip(recorded, answers):
        difference = float(np.abs(np.array(answer.logits) - again.logits).max())
        if answer.token_ids != again.token_ids:
            raise ExportError(
                f"The run's tokenizer gives other token ids than were recorded for {answer.text[:100]!r}."
            )
        if not difference <= tolerance or answer.label != again.label:
            raise ExportError(
                f"The run's model answers {answer.text[:100]!r} with {again.label!r}, recorded is {answer.label!r}; "
                f"the largest difference of a logit is {difference:.1e}, allowed are {tolerance:.0e}."
            )
        apart = float(np.abs(np.array(answer.probabilities) - again.probabilities).max())
        if not apart <= tolerance / min(1.0, info.temperature):
            raise ExportError(
                f"The probabilities recorded for {answer.text[:100]!r} differ by {apart:.1e} from those of the run."
            )
        largest = max(largest, difference)
    message = f"{len(rows)} recorded answers made again, token ids equal, largest difference {largest:.1e}"
    return message, {"answers": len(rows), "largest_difference": largest}
