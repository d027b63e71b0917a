"""`check_equal`: the unpadded encoder against the model's own call, on one batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_finetune.backend import keras, tf
from tf_finetune.errors import ModelError
from tf_finetune.model.unpadded.fits import why_not
from tf_finetune.model.unpadded.switch import Unpadded

__all__ = ["check_equal"]


def check_equal(model: Any, inputs: Mapping[str, Any], labels: Any) -> dict[str, float]:
    """Largest differences between the unpadded encoder and the model's own call, without dropout.

    Args:
        model: A transformers classifier that `why_not` has no reason against, with either encoder in use.
        inputs: One batch, `{name: int32 [batch, length]}`.
        labels: int32 `[batch]`.

    Returns:
        Largest absolute differences: of the logits, as ``logits``, and of the gradient of each trainable variable, by
        its name. NaN where a number is not finite, which is below no bound.

    Raises:
        ModelError: The unpadded encoder does not fit the model.
    """
    reason = why_not(model)
    if reason:
        raise ModelError(f"The unpadded encoder does not fit: {reason}.")
    unpadded = Unpadded(model, seed=0)
    own = _logits_and_gradients(model, lambda: unpadded.own_call(dict(inputs), training=False).logits, labels)
    ours = _logits_and_gradients(model, lambda: unpadded.logits(inputs, training=True, dropout=False), labels)
    names = ["logits", *(variable.name for variable in model.trainable_variables)]
    return {name: float(np.max(np.abs(a - b))) for name, a, b in zip(names, own, ours, strict=True)}


def _logits_and_gradients(model: Any, forward: Any, labels: Any) -> list[np.ndarray]:
    variables = model.trainable_variables

    def compute() -> list[Any]:
        with tf.GradientTape() as tape:
            logits = forward()
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))
        gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [logits, *(tf.convert_to_tensor(gradient) for gradient in gradients)]

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run() -> list[Any]:
        results: list[Any] = model.distribute_strategy.run(compute)  # a worker's variables are read by its replica
        return results

    return [tensor.numpy() for tensor in run()]
