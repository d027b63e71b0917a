"""The serving graph: texts or token ids in; label names, probabilities and logits out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tf_finetune.backend import tf
from tf_finetune.serving.decision import UNCERTAIN, limits
from tf_finetune.serving.graph.forward import forward_of_all_sizes
from tf_finetune.serving.graph.graph_tokenizer import GraphTokenizer
from tf_finetune.tokens.template import Template

__all__ = ["ServingModule", "type_rule"]

TEXT_COLUMNS = ("text", "text_pair")


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
    """Holds a model's variables and the functions that are served; the forward pass is traced once for all of them.

    The variables are tracked, the Keras model is not: it would be saved layer by layer, three times as large and slow.

    Args:
        model: The transformers model, in float32.
        label_names: Class names in index order.
        spec: The model's inputs.
        template: Special tokens of the run's rows.
        longest: Most tokens that the model takes; None without a limit.
        tokenizer: The tokenizer in the graph; None where there is none that is exact.
        unpadded: Whether the unpadded encoder may be used; see `forward_of_all_sizes`.
        temperature: What the logits are divided by before the softmax.
        thresholds: Lowest probability with which each class is accepted, None where it never is; without any, there
            is no output `decision`.
    """

    def __init__(
        self,
        model: Any,
        *,
        label_names: Sequence[str],
        spec: dict[str, Any],
        template: Template,
        longest: int | None = None,
        tokenizer: GraphTokenizer | None = None,
        unpadded: bool = True,
        temperature: float = 1.0,
        thresholds: Sequence[float | None] = (),
    ) -> None:
        super().__init__(name="classifier")
        self.model_variables = list(model.variables)
        self.tokenizer = tokenizer
        self._label_names = list(label_names)
        self._spec = spec
        self._template = template
        self._longest = longest
        self._temperature = temperature
        self._thresholds = tuple(thresholds)
        self.types = type_rule(template, takes_types="token_type_ids" in spec)
        self._forward = forward_of_all_sizes(model, spec, unpadded=unpadded)

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Names of the text inputs: one, or two for sentence pairs."""
        return TEXT_COLUMNS[: len(self._template.segment_types)]

    def token_ids_spec(self) -> dict[str, Any]:
        """Inputs of the token id signature: int32 `[batch, length]` each."""
        return {name: s for name, s in self._spec.items() if name != "token_type_ids" or self.types == "input"}

    def text_spec(self) -> dict[str, Any]:
        """Inputs of the text signatures: string `[batch]` each."""
        return {name: tf.TensorSpec([None], tf.string, name=name) for name in self.text_columns}

    def token_ids_function(self) -> Any:
        """Token ids in, answers out."""

        def token_ids(**inputs: Any) -> dict[str, Any]:
            return self._answer(self._forward(self._complete(inputs)))

        return tf.function(token_ids, autograph=False).get_concrete_function(**self.token_ids_spec())

    def text_function(self) -> Any:
        """Texts in, answers out."""

        def text(**inputs: Any) -> dict[str, Any]:
            return self._answer(self._logits_of_texts(inputs))

        return tf.function(text, autograph=False).get_concrete_function(**self.text_spec())

    def tokenize_function(self) -> Any:
        """Texts in, token ids and mask out: what the model sees."""

        def tokenize(**inputs: Any) -> dict[str, Any]:
            ids, mask, _ = self._tokens(inputs)
            return {"input_ids": ids, "attention_mask": mask}

        return tf.function(tokenize, autograph=False).get_concrete_function(**self.text_spec())

    def classify_function(self) -> Any:
        """Serialized `tf.Example` in, classes and scores out, as TensorFlow Serving's classify API wants them."""

        def classify(inputs: Any) -> dict[str, Any]:
            features = {name: tf.io.FixedLenFeature([], tf.string) for name in self.text_columns}
            probabilities = self._probabilities(self._logits_of_texts(tf.io.parse_example(inputs, features)))
            names = tf.constant([self._label_names])  # [1, labels]
            return {"classes": tf.tile(names, [tf.shape(inputs)[0], 1]), "scores": probabilities}

        return tf.function(classify, autograph=False).get_concrete_function(
            tf.TensorSpec([None], tf.string, name="inputs")
        )

    def _logits_of_texts(self, texts: dict[str, Any]) -> Any:
        ids, mask, types = self._tokens(texts)
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        return self._forward({name: inputs[name] for name in self._spec})

    def _tokens(self, texts: dict[str, Any]) -> tuple[Any, Any, Any]:
        ids, mask, types = self.tokenizer(*(texts[name] for name in self.text_columns))  # type: ignore[misc]
        return ids, mask, types

    def _complete(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Checks the shapes, and adds the token type ids that the client need not send."""
        ids = inputs["input_ids"]  # [batch, length]
        with tf.control_dependencies(self._checks(inputs)):
            inputs = {name: tf.identity(tensor) for name, tensor in inputs.items()}
        if "token_type_ids" not in self._spec or "token_type_ids" in inputs:
            return inputs
        if self.types == "none":
            return {**inputs, "token_type_ids": tf.zeros_like(ids)}
        separator = self._template.specials[1][0]
        seen = tf.cumsum(tf.cast(tf.equal(ids, separator), tf.int32), axis=1, exclusive=True)
        second = tf.cast(seen > 0, tf.int32) * self._template.segment_types[1]
        return {**inputs, "token_type_ids": second * inputs["attention_mask"]}

    def _checks(self, inputs: dict[str, Any]) -> list[Any]:
        """What the model would not notice, or not explain: a mask of another shape would be stretched to fit."""
        shape = tf.shape(inputs["input_ids"])
        checks = [
            tf.debugging.assert_equal(tf.shape(tensor), shape, f"{name} has another shape than input_ids")
            for name, tensor in inputs.items()
            if name != "input_ids"
        ]
        checks.append(tf.debugging.assert_positive(shape[1], "input_ids have no tokens"))
        if self._longest is not None:
            message = f"input_ids are longer than the {self._longest} tokens that the model takes"
            checks.append(tf.debugging.assert_less_equal(shape[1], self._longest, message))
        return checks

    def _probabilities(self, logits: Any) -> Any:
        """Calibrated probabilities `[batch, labels]`."""
        return tf.nn.softmax(logits if self._temperature == 1 else logits / self._temperature)

    def _answer(self, logits: Any) -> dict[str, Any]:
        """Outputs of a signature, each with the batch as first dimension."""
        probabilities = self._probabilities(logits)
        label_id = tf.argmax(logits, axis=-1, output_type=tf.int32)  # [batch]
        answer = {
            "logits": logits,
            "probabilities": probabilities,
            "confidence": tf.reduce_max(probabilities, axis=-1),
            "label_id": label_id,
            "label": tf.gather(tf.constant(self._label_names), label_id),
        }
        if self._thresholds:
            lowest = tf.gather(tf.constant(limits(self._thresholds)), label_id)
            answer["decision"] = tf.where(answer["confidence"] >= lowest, answer["label"], UNCERTAIN)
        return answer
