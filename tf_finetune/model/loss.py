"""The loss over logits, and the guard against the two ways in which Keras and logits go wrong together."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tf_finetune.backend import keras, tf
from tf_finetune.config import FitConfig
from tf_finetune.errors import LossError

__all__ = ["SmoothedSparseCategoricalCrossentropy", "check_loss", "make_loss", "refuse_keras3"]

TOLERANCE = 5e-3
"""A row of outputs is taken for probabilities if none is negative and they sum to one within this: bfloat16 rounds each
by up to 0.2 %."""
CLASSES = re.compile(r"categorical_?(focal_?)?crossentropy", re.IGNORECASE)
"""Losses over classes. A binary loss takes outputs that need not sum to one."""


@keras.utils.register_keras_serializable("tf_finetune")
class SmoothedSparseCategoricalCrossentropy(keras.losses.Loss):  # type: ignore[misc]
    """Cross-entropy of integer labels whose probability mass is partly spread evenly over all classes.

    The target of a row is `(1 - label_smoothing) * one_hot + label_smoothing / labels` (Szegedy et al. 2016,
    "Rethinking the Inception Architecture", section 7).

    Args:
        label_smoothing: Mass spread over all classes, in [0, 1).
        from_logits: Whether the model gives logits.
    """

    def __init__(self, label_smoothing: float, from_logits: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.label_smoothing = label_smoothing
        self.from_logits = from_logits

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Losses float32 `[batch]` of labels int `[batch]` and outputs `[batch, labels]`."""
        y_pred = tf.cast(y_pred, tf.float32)
        one_hot = tf.one_hot(tf.reshape(tf.cast(y_true, tf.int32), [-1]), tf.shape(y_pred)[-1])
        return keras.losses.categorical_crossentropy(
            one_hot, y_pred, from_logits=self.from_logits, label_smoothing=self.label_smoothing
        )

    def get_config(self) -> dict[str, Any]:
        """Arguments from which the loss can be made again."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing, "from_logits": self.from_logits}


def make_loss(*, label_smoothing: float = FitConfig.label_smoothing) -> Any:
    """`SparseCategoricalCrossentropy(from_logits=True)`, or its smoothed form."""
    if label_smoothing:
        return SmoothedSparseCategoricalCrossentropy(label_smoothing)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def check_loss(loss: Any, outputs: Any) -> None:
    """Refuses a loss that takes logits for probabilities, or probabilities for logits.

    Args:
        loss: What was given to `compile`: a loss object, a function or a name.
        outputs: Model outputs float `[batch, labels]` of any batch, or a transformers output that has `logits`.

    Raises:
        LossError: The outputs and the loss do not agree. A loss whose reading of the outputs is unknown passes.
    """
    from_logits = _reads_logits(loss)
    values = np.asarray(tf.cast(getattr(outputs, "logits", outputs), tf.float32))
    if from_logits is None or values.ndim != 2 or not len(values):
        return
    probabilities = bool((values >= 0).all() and np.allclose(values.sum(axis=-1), 1.0, atol=TOLERANCE))
    example = np.array2string(values[0], precision=3)
    if from_logits and probabilities:
        raise LossError(
            f"The loss expects logits (from_logits=True), but the model gives probabilities, for example {example}: "
            "softmax would be applied twice and the model would hardly learn. Remove the softmax layer, or use "
            "from_logits=False."
        )
    if not from_logits and not probabilities:
        raise LossError(
            f"The loss expects probabilities (from_logits=False, the default of Keras), but the model gives logits, "
            f"for example {example}, which are negative or do not sum to one: the loss would be meaningless. "
            "Use keras.losses.SparseCategoricalCrossentropy(from_logits=True)."
        )


def refuse_keras3(**objects: Any) -> None:
    """Refuses objects of Keras 3, which a Keras 2 model takes without a word and then fails on.

    Args:
        **objects: Argument name to an object, or to a list of objects.

    Raises:
        LossError: One of them is from the package keras (3) rather than tf_keras.
    """
    for argument, value in objects.items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            kinds = item.__mro__ if isinstance(item, type) else (item, *type(item).__mro__)
            owner = next((m for m in map(_module, kinds) if m.split(".")[0] == "keras"), None)
            if owner:
                name = getattr(item, "__name__", type(item).__name__)
                raise LossError(
                    f"`{argument}` holds {name} of Keras 3 ({owner}); models, losses, optimizers and callbacks must "
                    "be of Keras 2 (tf_keras) here. Take it from there: from tf_finetune.backend import keras."
                )


def _module(item: Any) -> str:
    module = getattr(item, "__module__", None)
    return module if isinstance(module, str) else ""


def _reads_logits(loss: Any) -> bool | None:
    """Whether a loss over classes reads logits; None where it cannot be known."""
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:  # a name that only the model knows
            return None
    if not CLASSES.search(f"{type(loss).__name__} {getattr(loss, '__name__', '')}"):
        return None
    settings = getattr(loss, "_fn_kwargs", None)
    if isinstance(settings, dict) and "from_logits" in settings:
        return bool(settings["from_logits"])
    if isinstance(getattr(loss, "from_logits", None), bool):
        return bool(loss.from_logits)
    return (
        False if loss in (keras.losses.sparse_categorical_crossentropy, keras.losses.categorical_crossentropy) else None
    )
