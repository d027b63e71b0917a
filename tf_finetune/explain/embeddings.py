"""`EmbeddedModel`: a classifier that takes the embeddings of its words in the place of their ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tf_finetune.backend import tf
from tf_finetune.errors import ModelError

__all__ = ["EmbeddedModel", "embedded_model"]

INPUT = "inputs_embeds"
"""The argument in which models of transformers take embeddings."""

TOLERANCE = 1e-3
"""Largest difference in logits between the two inputs: rounding gives 1e-5."""

WEIGHT_NAMES = ("weight", "embeddings", "word_embeddings")
"""Under which the layers of transformers and Keras keep the table."""


@dataclass(frozen=True)
class EmbeddedModel:
    """A classifier and the table of its word embeddings.

    Attributes:
        model: A transformers classifier.
        table: Variable `[vocabulary, size]`.
        takes_types: Whether it takes token type ids.
    """

    model: Any
    table: Any
    takes_types: bool

    @property
    def rows(self) -> int:
        """Tokens in the table."""
        return int(self.table.shape[0])

    def embed(self, ids: np.ndarray) -> np.ndarray:
        """Word embeddings float32 `[length, size]` of ids int32 `[length]`, without positions and types."""
        return np.asarray(tf.gather(self.table, ids), np.float32)

    def logits(self, embeddings: Any, types: np.ndarray) -> Any:
        """Logits float32 `[batch, labels]` of embeddings `[batch, length, size]`, all of types int32 `[length]`."""
        inputs = {INPUT: embeddings, **self._others(types, embeddings.shape[0])}
        return tf.cast(self.model(inputs, training=False).logits, tf.float32)

    def checked_logits(self, ids: np.ndarray, types: np.ndarray) -> np.ndarray:
        """Logits of one text by its ids, once they are found to be those by its embeddings.

        Args:
            ids: int32 `[length]`.
            types: int32 `[length]`.

        Returns:
            float32 `[labels]`.

        Raises:
            ModelError: They differ: attributions to the embeddings would explain another model.
        """
        refused = f"The architecture {self.model.config.model_type} cannot be explained: {type(self.model).__name__} "
        try:
            found = self.logits(self.embed(ids)[None], types)
        except (ValueError, TypeError, NotImplementedError, AttributeError, tf.errors.OpError) as error:
            raise ModelError(f"{refused}does not compute from word embeddings ({INPUT}).") from error
        wanted = self.model({"input_ids": ids[None], **self._others(types, 1)}, training=False).logits
        if found.shape != wanted.shape or np.abs(found - wanted).max() > TOLERANCE:  # NaN is told later
            raise ModelError(f"{refused}gives other logits from word embeddings ({INPUT}) than from token ids.")
        logits: np.ndarray = tf.cast(wanted[0], tf.float32).numpy()
        return logits

    def _others(self, types: np.ndarray, batch: int) -> dict[str, Any]:
        """The inputs beside the words, for `batch` copies of one row without padding."""
        others = {"attention_mask": np.ones((batch, len(types)), np.int32)}
        if self.takes_types:
            others["token_type_ids"] = np.repeat(types[None], batch, axis=0)
        return others


def embedded_model(model: Any, spec: dict[str, Any]) -> EmbeddedModel:
    """Finds the word embeddings of a classifier, whatever its architecture.

    Args:
        model: A transformers classifier.
        spec: Its inputs, from `input_spec`.

    Raises:
        ModelError: There are none.
    """
    layer = _input_layer(model)
    found = [getattr(layer, name, None) for name in WEIGHT_NAMES]
    tables = [table for table in found if _is_table(table, model)]
    if not tables:  # Mistral does not tell its layer
        tables = [table for table in model.variables if _is_table(table, model)]
    if len(tables) == 1:
        return EmbeddedModel(model, tables[0], "token_type_ids" in spec)
    raise ModelError(
        f"The architecture {model.config.model_type} cannot be explained: no word embeddings were found in "
        f"{type(model).__name__}."
    )


def _input_layer(model: Any) -> Any:
    """The layer that transformers takes for the word embeddings; None if it knows none."""
    try:
        return model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None


def _is_table(table: Any, model: Any) -> bool:
    """Whether this is a variable with a row for each token."""
    return isinstance(table, tf.Variable) and table.shape.rank == 2 and table.shape[0] == model.config.vocab_size
