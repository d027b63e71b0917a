"""`prove`: an export that is about to be published, compared with the run that it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tf_finetune.backend import quiet_stderr, tf
from tf_finetune.data.recorded import TextColumns
from tf_finetune.errors import ExportError
from tf_finetune.serving.comparison import Call, compare
from tf_finetune.serving.exported import TOLERANCE, Answer, ExportInfo
from tf_finetune.serving.graph.parity import check_parity
from tf_finetune.serving.graph.stress import stress_texts
from tf_finetune.tokens.encoder import TextEncoder

__all__ = ["Proof", "prove"]

STRESS_EACH = 50
"""Texts of each category that every export is compared on: 600 and the edge cases, in about a second."""


@dataclass(frozen=True)
class Proof:
    """What an export was compared on.

    Attributes:
        signatures: Those of the SavedModel, loaded.
        stress_texts: Texts of the built-in list whose ids were equal; 0 without a text signature.
        validation_texts: Validation texts whose ids were equal; 0 without a text signature.
        largest_difference: Largest difference of a logit to the Keras model.
    """

    signatures: Mapping[str, Any]
    stress_texts: int
    validation_texts: int
    largest_difference: float


def prove(encoder: TextEncoder, folder: Path, answers: Sequence[Answer], texts: TextColumns, info: ExportInfo) -> Proof:
    """Compares every signature of a SavedModel with the run.

    Args:
        encoder: The run's encoder.
        folder: The SavedModel's folder.
        answers: What the Keras model says.
        texts: Validation texts, whose token ids are compared too.
        info: Of the export, as far as it is known.

    Raises:
        ExportError: Ids differ, a logit differs by more than `TOLERANCE`, or a label is another one.
    """
    with quiet_stderr():
        served = tf.saved_model.load(str(folder)).signatures
    stress = validation = 0
    if "tokenize" in served:
        hard = [text for _, text in stress_texts(STRESS_EACH)]
        stress = check_parity(served["tokenize"], encoder, hard)
        validation = check_parity(served["tokenize"], encoder, *texts)
    batches = [[answer] for answer in answers]
    if info.padding_difference <= TOLERANCE:
        batches.append(list(answers))
    largest = 0.0
    for name, signature in served.items():
        columns = signature.structured_input_signature[1]
        try:
            found = [compare(_caller(signature), columns, batch, info, tolerance=TOLERANCE) for batch in batches]
        except ExportError as error:
            raise ExportError(
                f"The signature {name} of the SavedModel does not answer as the model does: {error} "
                "Nothing was published."
            ) from error
        largest = max(largest, *found)
    return Proof(served, stress, validation, largest)


def _caller(signature: Any) -> Call:
    """A signature that takes and gives NumPy arrays."""

    def call(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        outputs = signature(**{name: tf.constant(values) for name, values in inputs.items()})
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    return call
