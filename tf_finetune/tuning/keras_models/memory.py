"""Gives back the memory of models that are gone."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from tf_finetune.backend import keras, tf

__all__ = ["Variables", "forget_models", "variables_of"]

Variables = list[tuple[Any, Any, Any]]
"""Of each variable a weak reference, the handle of its memory, and its type."""


def variables_of(model: Any) -> Variables:
    """The variables of a compiled model and its optimizer, which this does not keep alive."""
    found = [*model.weights, *model.optimizer.variables()]
    return [(weakref.ref(variable), variable.handle, variable.dtype) for variable in found]


def forget_models(variables: Variables) -> None:
    """Begins a fresh Keras session, and frees those of the variables that are gone.

    The graphs of a training step outlive their model in TensorFlow, and hold the memory of its variables: a search
    would grow by a model and its optimizer with each trial. A variable that is still used, such as that of a layer that
    several models share, stays as it is.

    Args:
        variables: From `variables_of`.
    """
    keras.backend.clear_session()
    gc.collect()
    for variable, handle, dtype in variables:
        if variable() is None:
            tf.raw_ops.AssignVariableOp(resource=handle, value=tf.zeros([0], dtype))
