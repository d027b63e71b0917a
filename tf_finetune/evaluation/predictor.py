"""`Predictor`: texts to class probabilities, with the model and the tokenizer of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tf_finetune.backend import tf
from tf_finetune.model.trained import load_run
from tf_finetune.run import ModelFolder
from tf_finetune.tokens.encoder import TextEncoder
from tf_finetune.tokens.order import batch_order
from tf_finetune.tokens.table import TokenTable

__all__ = ["Predictor", "load_predictor", "make_forward", "softmax", "table_logits"]


def make_forward(model: Any, spec: dict[str, Any]) -> Any:
    """The model's forward pass without dropout as one graph for all shapes.

    Args:
        model: A Keras model of logits, or a transformers model.
        spec: Its inputs, from `input_spec`.

    Returns:
        A `tf.function` from `{name: int32 [batch, length]}` to logits float32 `[batch, labels]`.
    """

    @tf.function(input_signature=[spec])  # type: ignore[untyped-decorator]
    def forward(inputs: dict[str, Any]) -> Any:
        outputs = model(inputs, training=False)
        return tf.cast(getattr(outputs, "logits", outputs), tf.float32)

    return forward


def table_logits(forward: Any, spec: dict[str, Any], table: TokenTable, *, batch_size: int) -> np.ndarray:
    """Logits float32 `[n, labels]` of all rows of a table, in row order.

    Rows of similar length share a batch, so that little compute goes to padding.
    """
    order = batch_order(table.lengths, batch_size=batch_size, order="length")
    parts = []
    for start in range(0, len(order), batch_size):
        ids, mask, types = table.pad(order[start : start + batch_size])
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        parts.append(forward({name: tf.constant(inputs[name]) for name in spec}).numpy())
    logits = np.concatenate(parts)  # [n, labels], by length
    restored = np.empty_like(logits)
    restored[order] = logits
    return restored


def softmax(logits: np.ndarray) -> np.ndarray:
    """Class probabilities float32 `[n, labels]` of logits `[n, labels]`."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)


@dataclass(frozen=True)
class Predictor:
    """A loaded run.

    Attributes:
        label_names: Class names in index order.
        encoder: The run's tokenizer with its length and truncation.
        forward: From `make_forward`.
        spec: The model's inputs.
        batch_size: Rows a batch.
    """

    label_names: tuple[str, ...]
    encoder: TextEncoder
    forward: Any
    spec: dict[str, Any]
    batch_size: int

    @property
    def has_pairs(self) -> bool:
        """Whether the model takes sentence pairs."""
        return self.encoder.pairs

    def probabilities(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
        """Class probabilities float32 `[n, labels]` of `n` texts (or pairs), in their order."""
        if not texts:
            return np.zeros((0, len(self.label_names)), np.float32)
        table = TokenTable.from_encoded(
            self.encoder.encode(texts, pairs),
            np.zeros(len(texts), np.int32),
            self.encoder.tokenizer,
            max_length=self.encoder.max_length,
        )
        return softmax(table_logits(self.forward, self.spec, table, batch_size=self.batch_size))


def load_predictor(folder: str | Path, *, batch_size: int = 32) -> Predictor:
    """Makes a predictor of a finished run.

    Args:
        folder: Model folder, `saved_models/<name>`.
        batch_size: Rows a batch.

    Raises:
        RunError: The folder holds no finished run.
        ModelError: What it holds is unsafe or damaged.
    """
    loaded = load_run(ModelFolder(Path(folder)))
    forward = make_forward(loaded.model, loaded.spec)
    return Predictor(loaded.manifest.label_names, loaded.encoder, forward, loaded.spec, batch_size)
