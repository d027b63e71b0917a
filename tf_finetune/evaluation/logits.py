"""Logits: as probabilities, and in the file `validation_logits.npz` of a run."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from tf_finetune.errors import RunError
from tf_finetune.files import whole_file

__all__ = ["read_logits", "softmax", "write_logits"]


def softmax(logits: np.ndarray, *, temperature: float = 1.0) -> np.ndarray:
    """Class probabilities float32 `[n, labels]` of logits `[n, labels]`, which are divided by the temperature."""
    scaled = logits if temperature == 1 else logits / np.float32(temperature)
    shifted = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)


def write_logits(path: Path, labels: np.ndarray, logits: np.ndarray) -> None:
    """Writes what the weights answer to the validation rows: labels int32 `[n]`, logits float32 `[n, labels]`."""
    with whole_file(path) as file:
        np.savez(file, labels=np.asarray(labels, np.int32), logits=np.asarray(logits, np.float32))


def read_logits(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Labels int32 `[n]` and logits float32 `[n, labels]`.

    Raises:
        RunError: The file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            labels, logits = file["labels"], file["logits"]
    except OSError as error:
        raise RunError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:  # their words say how to unpickle
        raise RunError(f"Cannot read {path}: it is no .npz archive of labels and logits, or damaged.") from error
    if labels.ndim != 1 or logits.ndim != 2 or len(labels) != len(logits) or logits.dtype != np.float32:
        raise RunError(f"{path} is damaged: expected labels [n] and float32 logits [n, classes].")
    return labels, logits
