"""`use_unpadded_encoder`: the model's `call` replaced on one instance, and given back."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Mapping
from typing import Any

from tf_finetune.backend import tf, transformers
from tf_finetune.errors import ModelError
from tf_finetune.model.unpadded.fits import asks_for_more, why_not
from tf_finetune.model.unpadded.forward import encode
from tf_finetune.model.unpadded.parts import read_encoder

__all__ = ["Unpadded", "unpadded_encoder", "use_model_encoder", "use_unpadded_encoder"]

ANSWERED = {"input_ids", "attention_mask", "token_type_ids", "labels", "return_dict", "training"}
"""Arguments of `call` that the unpadded encoder takes; with others the model's own call answers."""


SEEDS = 1 << 31
"""Seeds of runs are below it."""


class Unpadded:
    """The unpadded encoder of one model.

    Attributes:
        model: A transformers classifier whose variables it reads.
        seed: Seed of dropout.
        counter: int64 variable, training calls so far. Dropout is a function of seed and counter alone: to resume,
            assign what it was. No weight of the model.
        sizes: Numbers of tokens that training batches are rounded up to.
    """

    def __init__(self, model: Any, *, seed: int, sizes: tuple[int, ...] = ()) -> None:
        self.model = model
        self.seed = seed
        self.sizes = sizes
        self.counter = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            name="unpadded_training_calls",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        self.own_call = type(model).call.__get__(model)
        self._parameters = inspect.signature(self.own_call)

    def logits(self, inputs: Mapping[str, Any], *, training: bool, dropout: bool = True) -> Any:
        """Logits of a batch.

        Args:
            inputs: `input_ids` int `[batch, length]`; if there are any, `attention_mask` and `token_type_ids` of the
                same shape.
            training: Whether gradients are wanted. Counts the call.
            dropout: Whether to drop in training. Without it the call is not counted.

        Returns:
            float32 `[batch, labels]`.
        """
        ids = tf.cast(inputs["input_ids"], tf.int32)
        mask, types = inputs.get("attention_mask"), inputs.get("token_type_ids")
        mask = tf.ones_like(ids) if mask is None else tf.convert_to_tensor(mask)
        types = None if types is None else tf.cast(types, tf.int32)
        return encode(
            read_encoder(self.model),
            ids,
            mask,
            types,
            training=training,
            seed=self._next() if training and dropout else None,
            sizes=self.sizes,
        )

    def _next(self) -> Any:
        """Seed and number of this training call, int64 `[2]`; replicas have seeds of their own."""
        count = self.counter.assign_add(1) - 1
        context = tf.distribute.get_replica_context()
        replica = 0 if context is None else context.replica_id_in_sync_group
        return tf.stack([tf.constant(self.seed, tf.int64) + SEEDS * tf.cast(replica, tf.int64), count])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What `model.call` returns for the same arguments."""
        given = self._arguments(args, kwargs)
        if given is None:
            return self.own_call(*args, **kwargs)
        training = given.pop("training", None)
        logits = self.logits(given, training=bool(training))
        labels = given.get("labels")
        loss = None if labels is None else self.model.hf_compute_loss(labels=labels, logits=logits)
        return transformers.modeling_tf_outputs.TFSequenceClassifierOutput(loss=loss, logits=logits)

    def _arguments(self, args: Any, kwargs: Any) -> dict[str, Any] | None:
        """Arguments by name, those of a dictionary of inputs among them; None if the model's own call must answer."""
        given = dict(self._parameters.bind(*args, **kwargs).arguments)
        if isinstance(given.get("input_ids"), Mapping):
            given.update(given.pop("input_ids"))
        given = {name: value for name, value in given.items() if value is not None}
        unusual = set(given) - ANSWERED or given.get("return_dict") is False or asks_for_more(self.model.config)
        rank = getattr(given.get("input_ids"), "shape", None)
        return None if unusual or rank is None or len(rank) != 2 else given


def use_unpadded_encoder(model: Any, *, seed: int, sizes: tuple[int, ...] = ()) -> Unpadded:
    """Makes a model compute on the real tokens alone, in training and inference.

    The same variables, inputs, logits and gradients, but for dropout's masks; `compile`, `fit`, `evaluate`, `predict`,
    `save_pretrained` and export work as before. Keras' functions are traced anew. `model.save`, which writes the
    training graph as well, needs the model's own call: see `use_model_encoder`.

    Args:
        model: A transformers classifier that `why_not` has no reason against.
        seed: Seed of dropout.
        sizes: Numbers of tokens that training batches are rounded up to, ascending, since parts are compiled for each
            number; `choose_sizes` knows good ones. Without them, and beyond the largest, there are 16 between a power
            of two and the next.

    Raises:
        ModelError: The unpadded encoder does not fit the model.
    """
    reason = why_not(model)
    if reason:
        raise ModelError(f"The unpadded encoder does not fit: {reason}. Use the model's own encoder.")
    unpadded = Unpadded(model, seed=seed, sizes=sizes)

    @functools.wraps(type(model).call)  # with its signature, which Keras and the pipeline read
    def call(_: Any, *args: Any, **kwargs: Any) -> Any:
        return unpadded(*args, **kwargs)

    call.unpadded = unpadded  # type: ignore[attr-defined]
    model.call = types.MethodType(tf.autograph.experimental.do_not_convert(call), model)
    _forget_traces(model)
    return unpadded


def use_model_encoder(model: Any) -> None:
    """Gives a model its own `call` back; does nothing if it has it."""
    if hasattr(vars(model).get("call"), "unpadded"):
        del model.call
        _forget_traces(model)


def unpadded_encoder(model: Any) -> Unpadded:
    """The encoder that `use_unpadded_encoder` has put into a model.

    Raises:
        ModelError: The model has its own `call`.
    """
    found = getattr(vars(model).get("call"), "unpadded", None)
    if not isinstance(found, Unpadded):
        raise ModelError(f"{type(model).__name__} has its own encoder. Call use_unpadded_encoder(model) first.")
    return found


def _forget_traces(model: Any) -> None:
    """Keras keeps its traced functions until `compile`."""
    model.train_function = model.test_function = model.predict_function = None
