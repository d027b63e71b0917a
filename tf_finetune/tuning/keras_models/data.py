"""Training data as Keras takes it: checked before a search, and described for models that get their weights from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tf_finetune.backend import keras, tf
from tf_finetune.errors import ConfigError, DataError

__all__ = ["check_data", "check_length", "describe_inputs"]


def check_data(x: Any, steps_per_epoch: int | None) -> None:
    """Refuses data that cannot be trained on again and again, or whose epochs have no known length.

    Keras counts an update too many if it does not know the number of batches.

    Args:
        x: As for `fit`.
        steps_per_epoch: As for `fit`.

    Raises:
        ConfigError: `steps_per_epoch` is given for something else than a `tf.data.Dataset`.
        DataError: The data can be read once only, or has no known number of batches.
    """
    if isinstance(x, Iterator):
        raise DataError(
            f"Each trial reads the data anew, and {type(x).__name__} can be read once only. "
            "Give arrays, a keras.utils.Sequence or a tf.data.Dataset."
        )
    if not isinstance(x, tf.data.Dataset):
        if steps_per_epoch is not None:
            raise ConfigError(f"steps_per_epoch goes with a tf.data.Dataset. Received data: {type(x).__name__}.")
    elif steps_per_epoch is None and int(x.cardinality()) < 0:
        raise DataError(
            "The dataset does not know its number of batches, or has no end. Give steps_per_epoch; or, if it is "
            "finite, say how many there are: dataset.apply(tf.data.experimental.assert_cardinality(batches))."
        )


def check_length(x: Any, *, epochs: int, steps_per_epoch: int) -> None:
    """Refuses a dataset that ends before the last epoch does.

    Raises:
        DataError: It does.
    """
    batches = int(x.cardinality())
    if 0 <= batches < epochs * steps_per_epoch:
        raise DataError(
            f"With steps_per_epoch={steps_per_epoch} the dataset must hold the batches of all {epochs} epochs, "
            f"{epochs * steps_per_epoch}. It holds {batches}: add .repeat(), or leave steps_per_epoch out."
        )


def describe_inputs(x: Any) -> Any:
    """Shapes and types of a model's inputs, as plain JSON types.

    Args:
        x: Training data as for `fit`: a `tf.data.Dataset`, a `keras.utils.Sequence`, or arrays.

    Returns:
        ``{"shape": [None, 16], "dtype": "int32"}`` for a tensor, a list of these for a tuple, ``{"inputs": {...}}`` for
        named ones.

    Raises:
        DataError: An input is ragged, sparse, or of an unknown rank.
    """
    if isinstance(x, tf.data.Dataset):
        spec = x.element_spec
        return _describe(spec[0] if isinstance(spec, tuple) else spec)
    return _describe(x[0][0] if isinstance(x, keras.utils.Sequence) else x)


def _describe(inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return {"inputs": {name: _describe(value) for name, value in inputs.items()}}
    if isinstance(inputs, (tuple, list)):
        return [_describe(value) for value in inputs]
    if isinstance(inputs, tf.TypeSpec) and (not isinstance(inputs, tf.TensorSpec) or inputs.shape.rank is None):
        raise DataError(
            f"The inputs hold {inputs}, from which a model cannot be built by itself: call it once in build(hp), such "
            "as model(example)."
        )
    value = inputs if tf.is_tensor(inputs) or isinstance(inputs, tf.TensorSpec) else np.asarray(inputs)
    return {"shape": [None, *map(_size, value.shape[1:])], "dtype": tf.as_dtype(value.dtype).name}


def _size(dimension: Any) -> int | None:
    return None if dimension is None else int(dimension)
