"""`Predictor`: texts to class probabilities, with the model and the tokenizer of a run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tf_finetune.backend import tf
from tf_finetune.evaluation.batches import TOKENS_A_ROW, cut
from tf_finetune.evaluation.logits import softmax
from tf_finetune.model.trained import LoadedRun, load_run
from tf_finetune.run import ModelFolder
from tf_finetune.serving.exported import TOLERANCE
from tf_finetune.serving.graph.forward import own_logits, unpadded_logits
from tf_finetune.tokens.encoder import TextEncoder
from tf_finetune.tokens.table import TokenTable

__all__ = ["Forward", "Predictor", "load_predictor", "make_forward", "table_logits"]

logger = logging.getLogger(__name__)

CHECKED_TEXTS = ("", "not bad", "a long review " * 20)
"""Of unequal lengths, to compare the two encoders on."""


@dataclass(frozen=True)
class Forward:
    """A forward pass without dropout as one graph for all shapes.

    Attributes:
        function: A `tf.function` from `{name: int32 [batch, length]}` to logits float32 `[batch, labels]`.
        unpadded: Whether it computes the real tokens alone.
    """

    function: Any
    unpadded: bool


def make_forward(model: Any, spec: dict[str, Any], *, unpadded: bool = True) -> Forward:
    """The forward pass by the unpadded encoder where it fits, else by the model's own.

    Args:
        model: A Keras model of logits, or a transformers model.
        spec: Its inputs, from `input_spec`.
        unpadded: Whether the unpadded encoder may be used.
    """
    real_tokens = unpadded_logits(model) if unpadded else None
    function = tf.function(real_tokens or own_logits(model), input_signature=[spec], autograph=real_tokens is None)
    return Forward(function, unpadded=real_tokens is not None)


def table_logits(forward: Forward, spec: dict[str, Any], table: TokenTable, *, batch_size: int) -> np.ndarray:
    """Logits float32 `[n, labels]` of all rows of a table, in row order.

    Rows of similar length share a batch, so that little compute goes to padding. The unpadded encoder gets as many rows
    as have `TOKENS_A_ROW * batch_size` tokens: of short texts it computes 1.15 times as many a second as in batches of
    32 rows. The model's own gets `batch_size` rows, since of many short ones it computes fewer.
    """
    limits = {"positions": TOKENS_A_ROW * batch_size} if forward.unpadded else {"rows": batch_size}
    parts, order = [], list(cut(table.lengths, **limits))
    for rows in order:
        inputs = table.inputs(rows)
        parts.append(forward.function({name: tf.constant(inputs[name]) for name in spec}).numpy())
    logits = np.concatenate(parts)  # [n, labels], by length
    restored = np.empty_like(logits)
    restored[np.concatenate(order)] = logits
    return restored


@dataclass(frozen=True)
class Predictor:
    """A loaded run.

    Attributes:
        label_names: Class names in index order.
        encoder: The run's tokenizer with its length and truncation.
        forward: From `make_forward`.
        spec: The model's inputs.
        batch_size: Rows a batch, as in `table_logits`.
        temperature: What the logits are divided by before the softmax; the run's calibration.
    """

    label_names: tuple[str, ...]
    encoder: TextEncoder
    forward: Forward
    spec: dict[str, Any]
    batch_size: int
    temperature: float = 1.0

    @property
    def has_pairs(self) -> bool:
        """Whether the model takes sentence pairs."""
        return self.encoder.pairs

    def probabilities(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
        """Class probabilities float32 `[n, labels]` of `n` texts (or pairs), in their order."""
        if not texts:
            return np.zeros((0, len(self.label_names)), np.float32)
        table = TokenTable.of_texts(self.encoder, texts, pairs)
        logits = table_logits(self.forward, self.spec, table, batch_size=self.batch_size)
        return softmax(logits, temperature=self.temperature)


def _difference(loaded: LoadedRun, forward: Forward) -> float:
    """Largest difference between a forward pass and the model's own call, on a few texts."""
    pairs = CHECKED_TEXTS[::-1] if loaded.encoder.pairs else None
    columns = TokenTable.of_texts(loaded.encoder, CHECKED_TEXTS, pairs).inputs()
    inputs = {name: tf.constant(columns[name]) for name in loaded.spec}
    return float(np.abs(forward.function(inputs) - own_logits(loaded.model)(inputs)).max())


def load_predictor(folder: str | Path, *, batch_size: int = 32) -> Predictor:
    """Makes a predictor of a finished run.

    Args:
        folder: Model folder, `saved_models/<name>`.
        batch_size: Rows a batch, as in `table_logits`.

    Raises:
        RunError: The folder holds no finished run.
        ModelError: What it holds is unsafe or damaged.
    """
    loaded = load_run(ModelFolder(Path(folder)))
    forward = make_forward(loaded.model, loaded.spec)
    if forward.unpadded:
        difference = _difference(loaded, forward)
        if not difference <= TOLERANCE:
            logger.warning("the unpadded encoder differs by %.0e from the model's own, which is used", difference)
            forward = make_forward(loaded.model, loaded.spec, unpadded=False)
    manifest = loaded.manifest
    return Predictor(manifest.label_names, loaded.encoder, forward, loaded.spec, batch_size, manifest.temperature)
