"""`make_dataset`: a plain tf.data.Dataset over a token table, of known cardinality, in a reproducible order."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np

from tf_finetune.backend import tf
from tf_finetune.errors import ModelError
from tf_finetune.tokens.order import batch_order
from tf_finetune.tokens.shapes import FewShapes
from tf_finetune.tokens.shares import Share
from tf_finetune.tokens.table import INPUT_NAMES, PAD_MULTIPLE, TokenTable

__all__ = ["input_spec", "make_dataset", "steps_per_epoch"]

PREFETCHED = 2
"""Batches that are made while one is trained on."""


def input_spec(model: Any, tokenizer: Any) -> dict[str, Any]:
    """The model's inputs: those of the tokenizer's that the model's `call` takes.

    Training, export and tests all read the inputs here.

    Args:
        model: A TFAutoModelForSequenceClassification, or any Keras model whose `call` names its inputs.
        tokenizer: Its tokenizer.

    Returns:
        Name to `tf.TensorSpec` int32 `[batch, length]`, both unknown.

    Raises:
        ModelError: The model's `call` has no argument `input_ids`.
    """
    taken = inspect.signature(model.call).parameters
    names = [n for n in INPUT_NAMES if n in taken and (n != "token_type_ids" or n in tokenizer.model_input_names)]
    if "input_ids" not in names:
        raise ModelError(
            f"{type(model).__name__}.call must take its inputs by name: {', '.join(INPUT_NAMES)}, the first at least. "
            f"It takes {', '.join(taken)}."
        )
    return {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in names}


def steps_per_epoch(table: TokenTable, *, batch_size: int) -> int:
    """Batches that one pass over the table takes; the last one may be smaller."""
    return -(-len(table) // batch_size)


class _Batches:
    """Makes batch number `step` of an endless run: epoch `step // steps`, batch `step % steps`."""

    def __init__(
        self, table: TokenTable, *, batch_size: int, order: str, seed: int, multiple: int, shapes: FewShapes | None
    ) -> None:
        self.table, self.batch_size, self.order, self.seed = table, batch_size, order, seed
        self.multiple, self.shapes = multiple, shapes
        self.steps = steps_per_epoch(table, batch_size=batch_size)
        self.lengths = table.lengths
        self._rows: tuple[int, np.ndarray] = (-1, np.zeros(0, np.int64))

    def rows(self, step: int) -> np.ndarray:
        """int64 `[batch]`, the rows of the batch."""
        epoch, batch = divmod(int(step), self.steps)
        known = self._rows  # read once: iterators of other epochs may run in other threads
        if known[0] != epoch:
            order = batch_order(self.lengths, batch_size=self.batch_size, order=self.order, seed=self.seed, epoch=epoch)
            known = self._rows = (epoch, order)
        return known[1][batch * self.batch_size : (batch + 1) * self.batch_size]

    def __call__(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self._pad(self.rows(step))

    def part(self, number: int, share: Share) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Part `number` of a worker, `share.replicas` a batch."""
        step, replica = divmod(int(number), share.replicas)
        return self._pad(share.rows(self.rows(step), replica))

    def _pad(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        length = self.shapes.length(len(rows), int(self.lengths[rows].max())) if self.shapes else None
        return (*self.table.pad(rows, multiple=self.multiple, length=length), self.table.labels[rows])


def make_dataset(
    table: TokenTable,
    spec: dict[str, Any],
    *,
    batch_size: int,
    order: str = "bucketed",
    seed: int = 0,
    epochs: int = 1,
    start: int = 0,
    multiple: int = PAD_MULTIPLE,
    shapes: FewShapes | None = None,
    share: Share | None = None,
) -> Any:
    """Batches of a token table.

    The order is a pure function of `seed` and the epoch. The dataset is flat over `epochs`: give `fit` the
    `steps_per_epoch`, so that each epoch has its own order. Its cardinality is known, which `fit` needs to count
    optimizer steps right.

    Args:
        table: `n` rows.
        spec: The model's inputs, from `input_spec`.
        batch_size: Rows a batch, over all devices together.
        order: ``exact``, ``bucketed`` or ``plain`` for training, ``length`` or ``rows`` for evaluation; see
            `batch_order`.
        seed: Seed of the order.
        epochs: Passes over the table.
        start: Batches that are left out at the beginning, without a look at their rows.
        multiple: Batches are padded to a multiple of this length,
        shapes: or to the lengths of these, from `few_shapes` with the same table, batch size, order and seed.
        share: The part of one worker of several: an element for each of its replicas takes the place of a batch. A last
            batch of fewer rows than there are replicas leaves some with none.

    Returns:
        A `tf.data.Dataset` of `({name: int32 [batch, length]}, int32 [batch])`.
    """
    batches = _Batches(table, batch_size=batch_size, order=order, seed=seed, multiple=multiple, shapes=shapes)

    make = batches if share is None else functools.partial(batches.part, share=share)

    def load(number: Any) -> tuple[dict[str, Any], Any]:
        """Element number `number`, with the shapes that NumPy functions lose."""
        *inputs, labels = tf.numpy_function(make, [number], [tf.int32] * 4, stateful=False)
        named = dict(zip(INPUT_NAMES, inputs))
        for tensor in inputs:
            tensor.set_shape([None, None])
        labels.set_shape([None])
        return {name: named[name] for name in spec}, labels

    parts = 1 if share is None else share.replicas
    start, stop = start * parts, max(batches.steps * epochs, start) * parts
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread sleeps ever longer, and the end of `fit` waits for it, up to a minute
    return tf.data.Dataset.range(start, stop).map(load).prefetch(PREFETCHED).with_options(options)
