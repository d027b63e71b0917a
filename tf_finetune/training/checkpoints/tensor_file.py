"""Named tensors in a file of TensorFlow's own checkpoint format, which has a checksum for each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf_finetune.backend import error_words, tf

__all__ = ["DamagedFile", "read_tensors", "write_tensors"]


class DamagedFile(Exception):
    """A file is missing, torn or changed, or does not hold what it should; never leaves this package."""


def write_tensors(prefix: Path, tensors: Mapping[str, Any]) -> None:
    """Writes tensors to ``<prefix>.index`` and ``<prefix>.data-...``.

    Args:
        prefix: Beginning of the files' paths.
        tensors: Name to tensor or array.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    try:
        with tf.device("/cpu:0"):
            tf.raw_ops.SaveV2(
                prefix=str(prefix),
                tensor_names=list(tensors),
                shape_and_slices=[""] * len(tensors),
                tensors=list(tensors.values()),
            )
    except tf.errors.OpError as error:
        raise OSError(error_words(error)) from error


def read_tensors(prefix: Path, specs: Mapping[str, Any]) -> dict[str, Any]:
    """Reads tensors, whose checksums TensorFlow compares.

    Args:
        prefix: As for `write_tensors`.
        specs: Name to anything with the `shape` and `dtype` that the tensor must have.

    Raises:
        DamagedFile: A tensor is missing, changed, or of another shape or type.
    """
    try:
        with tf.device("/cpu:0"):
            tensors = tf.raw_ops.RestoreV2(
                prefix=str(prefix),
                tensor_names=list(specs),
                shape_and_slices=[""] * len(specs),
                dtypes=[spec.dtype for spec in specs.values()],
            )
    except tf.errors.OpError as error:
        raise DamagedFile(error_words(error)) from error
    for (name, spec), tensor in zip(specs.items(), tensors):
        if tensor.shape != spec.shape:
            raise DamagedFile(f"{name} has the shape {tensor.shape}, not {spec.shape}")
    return dict(zip(specs, tensors))
