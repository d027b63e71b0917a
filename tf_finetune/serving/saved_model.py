"""Writing a SavedModel, and reading it back to compare it with the model it came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tf_finetune.backend import quiet_stderr, tf
from tf_finetune.errors import ExportError
from tf_finetune.model.trained import LoadedRun
from tf_finetune.serving.signature import ServingModule
from tf_finetune.tokens.table import TokenTable

__all__ = ["save", "verify"]


def save(loaded: LoadedRun, folder: Path) -> None:
    """Writes the SavedModel of a run into an existing empty folder."""
    module = ServingModule(
        loaded.model,
        label_names=loaded.manifest.label_names,
        spec=loaded.spec,
        template=loaded.encoder.template,
    )
    with quiet_stderr():
        tf.saved_model.save(module, str(folder), signatures={"serving_default": module.token_ids_function()})


def verify(loaded: LoadedRun, folder: Path, texts: Sequence[str], *, tolerance: float) -> float:
    """Compares the SavedModel with the Keras model on some texts, one by one and as one batch.

    Returns:
        The largest difference of a logit.

    Raises:
        ExportError: A logit differs by more than `tolerance`, or a label name is wrong.
    """
    with quiet_stderr():
        served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    names = served.structured_input_signature[1]
    largest = 0.0
    for batch in [[text] for text in texts] + [list(texts)]:
        inputs = _inputs(loaded, batch)
        answer = served(**{name: inputs[name] for name in names})
        expected = loaded.model({name: inputs[name] for name in loaded.spec}, training=False).logits.numpy()
        difference = float(np.abs(answer["logits"].numpy() - expected).max())
        labels = [loaded.manifest.label_names[i] for i in expected.argmax(axis=-1)]
        if not difference <= tolerance or [label.decode() for label in answer["label"].numpy()] != labels:
            raise ExportError(
                f"The SavedModel does not answer as the model does for {batch[0][:60]!r}: logits "
                f"{answer['logits'].numpy()[0]} instead of {expected[0]}. Nothing was published."
            )
        largest = max(largest, difference)
    return largest


def _inputs(loaded: LoadedRun, texts: list[str]) -> dict[str, Any]:
    """The model's inputs for some texts: int32 `[batch, length]` each."""
    encoded = loaded.encoder.encode(texts, texts[::-1] if loaded.manifest.pairs else None)
    table = TokenTable.from_encoded(
        encoded, np.zeros(len(texts), np.int32), loaded.encoder.tokenizer, max_length=loaded.encoder.max_length
    )
    ids, mask, types = table.pad(np.arange(len(texts)))
    return {
        "input_ids": tf.constant(ids),
        "attention_mask": tf.constant(mask),
        "token_type_ids": tf.constant(types),
    }
