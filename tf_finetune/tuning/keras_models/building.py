"""From hyperparameters to a compiled Keras model that has its weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tf_finetune.backend import keras, tf
from tf_finetune.errors import ModelError
from tf_finetune.model.loss import refuse_keras3

__all__ = ["build_model"]


def build_model(hypermodel: Any, hyperparameters: Any, inputs: Callable[[], Any]) -> Any:
    """A new compiled model that has its weights.

    Args:
        hypermodel: What has ``build(hyperparameters)``.
        hyperparameters: Values of the trial, from keras-tuner.
        inputs: What gives shapes and types as from `describe_inputs`; asked for a model that has no weights yet.

    Raises:
        LossError: Model, loss or optimizer is of Keras 3.
        ModelError: What was built is no compiled model, or was trained before.
    """
    model = hypermodel.build(hyperparameters)
    refuse_keras3(build=model)
    if not isinstance(model, keras.Model):
        raise ModelError(
            f"build(hp) must return a compiled Keras model (tf_keras). It returned {type(model).__name__}."
        )
    if getattr(model, "optimizer", None) is None:
        raise ModelError(
            f"build(hp) must return a compiled model. It returned {model.name!r}, which is not: "
            "call model.compile(optimizer=..., loss=..., metrics=...) in it."
        )
    refuse_keras3(loss=model.loss, optimizer=model.optimizer)
    if int(model.optimizer.iterations.numpy()):
        raise ModelError(
            "build(hp) returned a model whose optimizer has counted updates already: it must make a new model and "
            "a new optimizer each time it is called, or trials would train on from one another."
        )
    if not model.built:
        model(_zeros(inputs()))
    return model


def _zeros(inputs: Any) -> Any:
    """One row of zeros."""
    if isinstance(inputs, list):
        return tuple(_zeros(value) for value in inputs)
    if "inputs" in inputs:
        return {name: _zeros(value) for name, value in inputs["inputs"].items()}
    return tf.zeros([1 if size is None else size for size in inputs["shape"]], inputs["dtype"])
