"""`ExportPredictor`: texts to class probabilities through a SavedModel, with TensorFlow alone."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tf_finetune.errors import ExportError
from tf_finetune.evaluation.batches import TOKENS_A_ROW, cut
from tf_finetune.serving.exported import TOLERANCE, ExportFolder
from tf_finetune.serving.server.loaded import import_tensorflow

__all__ = ["ExportPredictor", "load_export_predictor"]

TOKENIZED_ROWS = 1024
TOKENIZED_BYTES = 1 << 20
"""Most rows and bytes that are tokenized together, to learn their lengths."""

Columns = dict[str, "list[bytes]"]
"""Input name to one text a row, in UTF-8."""

Signature = Callable[[Columns], np.ndarray]
"""Texts of `n` rows to one output `[n, ...]`."""


@dataclass(frozen=True)
class ExportPredictor:
    """A loaded export.

    Attributes:
        label_names: Class names in index order.
        has_pairs: Whether the model takes sentence pairs.
        answer: The output `probabilities` float32 `[n, labels]` of the signature ``text``.
        tokenize: The output `attention_mask` int32 `[n, length]` of the signature ``tokenize``.
        batch_size: Most rows a batch; a batch of rows longer than `TOKENS_A_ROW` has fewer.
        mixes_lengths: Whether rows of unequal lengths may share a batch.
    """

    label_names: tuple[str, ...]
    has_pairs: bool
    answer: Signature
    tokenize: Signature
    batch_size: int
    mixes_lengths: bool = True

    def probabilities(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
        """Class probabilities float32 `[n, labels]` of `n` texts (or pairs), in their order.

        Rows of similar length share a batch, so that little compute goes to padding.
        """
        columns = {"text": [text.encode() for text in texts]}
        if pairs is not None:
            columns["text_pair"] = [text.encode() for text in pairs]
        found = np.empty((len(texts), len(self.label_names)), np.float32)
        for rows in self._batches(columns):
            answer = self.answer(_take(columns, rows))
            if answer.shape != (len(rows), len(self.label_names)):
                raise ExportError(
                    f"The export gives probabilities of the shape {list(answer.shape)}. Expected "
                    f"{[len(rows), len(self.label_names)]}: a column for each of {', '.join(self.label_names)}."
                )
            found[rows] = answer
        return found

    def _batches(self, columns: Columns) -> Iterator[np.ndarray]:
        """Row numbers of each batch."""
        if len(columns["text"]) == 1:  # whatever its length
            yield np.zeros(1, np.int64)
            return
        lengths = self._lengths(columns)
        for rows in cut(lengths, rows=self.batch_size, positions=self.batch_size * TOKENS_A_ROW):
            if self.mixes_lengths:
                yield rows
            else:
                yield from np.split(rows, np.flatnonzero(np.diff(lengths[rows])) + 1)

    def _lengths(self, columns: Columns) -> np.ndarray:
        """Tokens in each row, int64 `[n]`."""
        sizes = np.array([sum(map(len, row)) for row in zip(*columns.values())], np.int64)
        lengths = np.empty(len(sizes), np.int64)
        for rows in cut(sizes, rows=TOKENIZED_ROWS, positions=TOKENIZED_BYTES):
            lengths[rows] = self.tokenize(_take(columns, rows)).sum(axis=1)
        return lengths


def load_export_predictor(export: ExportFolder, *, batch_size: int = 32) -> ExportPredictor:
    """Makes a predictor of an export that takes texts.

    Args:
        export: The version folder.
        batch_size: Most rows a batch.

    Raises:
        ExportError: It is damaged, or takes no texts.
    """
    info = export.read_info()
    tf = import_tensorflow()
    with _named_errors(tf, f"TensorFlow cannot load {export.path}", export):
        served = tf.saved_model.load(str(export.path), tags=["serve"]).signatures
    return ExportPredictor(
        label_names=info.label_names,
        has_pairs=info.pairs,
        answer=_signature(tf, export, served, "text", "probabilities"),
        tokenize=_signature(tf, export, served, "tokenize", "attention_mask"),
        batch_size=batch_size,
        mixes_lengths=info.padding_difference <= TOLERANCE,
    )


def _signature(tf: Any, export: ExportFolder, served: Any, name: str, output: str) -> Signature:
    """One output of a signature, as a function of NumPy arrays and lists."""

    def call(columns: Columns) -> np.ndarray:
        with _named_errors(tf, f"The signature {name} of {export.path} fails", export):
            inputs = {column: tf.constant(values, tf.string) for column, values in columns.items()}
            return np.asarray(served[name](**inputs)[output].numpy())

    return call


@contextlib.contextmanager
def _named_errors(tf: Any, what: str, export: ExportFolder) -> Iterator[None]:
    """Puts into our words what TensorFlow says; a damaged folder raises whatever its reader happens to hit."""
    try:
        yield
    except (tf.errors.OpError, OSError, ValueError, RuntimeError, TypeError, AttributeError, KeyError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ExportError(
            f"{what}: {lines[0] if lines else type(error).__name__}. See what is wrong with it: "
            f"tf-finetune verify {shlex.quote(str(export.path))}"
        ) from error


def _take(columns: Columns, rows: np.ndarray) -> Columns:
    return {name: [texts[row] for row in rows] for name, texts in columns.items()}
