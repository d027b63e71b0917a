"""The serving graph: token ids in; logits, probabilities and label names out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tf_finetune.backend import tf
from tf_finetune.tokens.template import Template

__all__ = ["ServingModule", "type_rule"]


def type_rule(template: Template, *, takes_types: bool) -> str:
    """How the served graph gets its token type ids.

    Args:
        template: Special tokens of the run's rows.
        takes_types: Whether the model takes token type ids.

    Returns:
        ``none``: the model takes none, or all are zero. ``separator``: all up to the first separator have one type,
        the rest the other, which the graph finds by itself. ``input``: neither; the client has to send them.
    """
    types = {t for group in template.special_types for t in group} | set(template.segment_types)
    if not takes_types or types == {0}:
        return "none"
    first, *rest = template.segment_types
    if (
        rest
        and first == 0
        and len(template.specials[1]) == 1
        and set(template.special_types[0] + template.special_types[1]) == {0}
        and set(template.special_types[2]) <= set(rest)
    ):
        return "separator"
    return "input"


class ServingModule(tf.Module):  # type: ignore[misc]
    """Holds a model's variables and the functions that are served.

    The variables are tracked, the Keras model is not: it would be saved layer by layer, three times as large and slow.

    Args:
        model: The transformers model, in float32.
        label_names: Class names in index order.
        spec: The model's inputs.
        template: Special tokens of the run's rows.
    """

    def __init__(self, model: Any, *, label_names: Sequence[str], spec: dict[str, Any], template: Template) -> None:
        super().__init__(name="classifier")
        self.model_variables = list(model.variables)
        self._label_names = list(label_names)
        self._spec = spec
        self._template = template
        self.types = type_rule(template, takes_types="token_type_ids" in spec)
        self._model_call = [
            lambda inputs: model(inputs, training=False).logits
        ]  # in a list: tf.Module tracks no lists of functions

    def token_ids_spec(self) -> dict[str, Any]:
        """Inputs of the token id signature: int32 `[batch, length]` each."""
        return {name: s for name, s in self._spec.items() if name != "token_type_ids" or self.types == "input"}

    def token_ids_function(self) -> Any:
        """The token id signature, as a `tf.function` with one trace for all shapes."""

        def serve(**inputs: Any) -> dict[str, Any]:
            return self._answer(self._model_call[0](self._complete(inputs)))

        function = tf.function(serve)
        return function.get_concrete_function(**self.token_ids_spec())

    def _complete(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Adds the token type ids that the client need not send."""
        if "token_type_ids" not in self._spec or "token_type_ids" in inputs:
            return inputs
        ids = inputs["input_ids"]  # [batch, length]
        if self.types == "none":
            return {**inputs, "token_type_ids": tf.zeros_like(ids)}
        separator = self._template.specials[1][0]
        seen = tf.cumsum(tf.cast(tf.equal(ids, separator), tf.int32), axis=1, exclusive=True)
        second = tf.cast(seen > 0, tf.int32) * self._template.segment_types[1]
        return {**inputs, "token_type_ids": second * inputs["attention_mask"]}

    def _answer(self, logits: Any) -> dict[str, Any]:
        """Outputs of a signature, each with the batch as first dimension."""
        logits = tf.cast(logits, tf.float32)  # [batch, labels]
        probabilities = tf.nn.softmax(logits)
        label_id = tf.argmax(logits, axis=-1, output_type=tf.int32)  # [batch]
        return {
            "logits": logits,
            "probabilities": probabilities,
            "confidence": tf.reduce_max(probabilities, axis=-1),
            "label_id": label_id,
            "label": tf.gather(tf.constant(self._label_names), label_id),
        }
