"""One update from several micro-batches, with the gradient of the whole batch: less padding, less memory."""

from __future__ import annotations

import functools
from typing import Any

from tf_finetune.backend import keras, tf
from tf_finetune.errors import ConfigError, ModelError
from tf_finetune.tokens.cuts import Cuts
from tf_finetune.tokens.table import INPUT_NAMES

__all__ = ["use_micro_batches"]

NEVER = 1 << 60
"""The cost of a micro-batch that is not allowed; two of them are still an int64."""


def use_micro_batches(model: Any, cuts: Cuts) -> None:
    """Replaces a compiled model's `train_step` by one that cuts each batch into micro-batches.

    The rows of a batch are sorted by length and cut as `cuts` says; each micro-batch is trimmed to its longest row. The
    gradients are weighted by rows and summed, which is the gradient of the mean loss over the batch; dropout is drawn
    for each micro-batch. One batch stays one update, so that steps, schedule and callbacks count as before. Memory is
    that of one micro-batch and a second copy of the gradients.

    Of several replicas each has its own rows, and as many of them count alike, however unequal their numbers are.

    The loss has to be a mean over rows, as Keras' losses are. Lengths are read off `attention_mask`; without this input
    all rows count as of equal length. A model whose answer to a text depends on its padding (ConvBERT and MobileBERT
    look at the neighbours of the last token) sees the padding of the micro-batch. Compiled with XLA, which needs sizes
    known beforehand, a batch is cut into `cuts.parts` of equal size, and nothing is sorted or trimmed.

    Args:
        model: A compiled Keras model of logits, or a transformers model.
        cuts: How to cut; if there is nothing to cut, and one replica, the model gets its own `train_step` back.

    Raises:
        ConfigError: The cuts follow from lengths, and the model is compiled with XLA.
    """
    if model.jit_compile and (cuts.exact or cuts.token_budget is not None):
        raise ConfigError(
            "Micro-batches cut by length need sizes that XLA does not know when it compiles: compile the model without "
            "jit_compile, or leave out exact micro-batches and the token budget."
        )
    before = vars(model).get("train_step")
    if isinstance(before, functools.partial) and before.func is _train_step:
        del model.train_step
    if cuts.needed or model.distribute_strategy.num_replicas_in_sync > 1:
        model.train_step = functools.partial(_train_step, model, cuts)


def _train_step(model: Any, cuts: Cuts, data: Any) -> dict[str, Any]:
    batch = keras.utils.unpack_x_y_sample_weight(data)
    if not model.built:
        raise ModelError(f"{type(model).__name__} has no variables yet: call it on a batch before `fit`.")
    if not cuts.needed:
        gradients = _whole(model, batch)
    elif model.jit_compile:
        gradients = _equal_parts(model, cuts.parts, batch)
    else:
        gradients = _sorted_parts(model, cuts, batch)
    if isinstance(model.optimizer, keras.mixed_precision.LossScaleOptimizer):
        gradients = model.optimizer.get_unscaled_gradients(gradients)
    model.optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return {metric.name: metric.result() for metric in model.metrics}


def _whole(model: Any, batch: Any) -> list[Any]:
    """The gradient of a replica's rows."""
    total = _Total(model, tf.shape(batch[1])[0])
    return total.gradients(total.add(total.zeros(), *batch))


def _sorted_parts(model: Any, cuts: Cuts, batch: Any) -> list[Any]:
    """The gradient of a batch, from micro-batches of rows of similar length, the longest first."""
    rows, lengths = tf.shape(batch[1])[0], _lengths(batch)
    order = tf.argsort(lengths, stable=True)
    starts = _cut(tf.gather(lengths, order), cuts)
    total = _Total(model, rows)

    def add_part(end: Any, sums: list[Any]) -> tuple[Any, list[Any]]:
        part = _gather(batch, order[starts[end] : end])
        return starts[end], total.add(sums, *_trim(part))

    # one at a time: parallel iterations would hold the activations of several micro-batches
    _, sums = tf.while_loop(lambda end, _: end > 0, add_part, (rows, total.zeros()), parallel_iterations=1)
    return total.gradients(sums)


def _lengths(batch: Any) -> Any:
    """int32 `[rows]`: places from the first to the last real token; ones if there is no mask."""
    mask = batch[0].get("attention_mask") if isinstance(batch[0], dict) else None
    if mask is None:
        return tf.ones_like(batch[1], tf.int32)
    place = tf.range(tf.shape(mask)[1])
    first = tf.reduce_min(tf.where(mask != 0, place, tf.shape(mask)[1]), axis=1)
    return tf.maximum(tf.reduce_max(tf.where(mask != 0, place + 1, 0), axis=1) - first, 0)


def _cut(lengths: Any, cuts: Cuts) -> Any:
    """The best cuts of a sorted batch: where the micro-batch begins that ends before row `i`, int32 `[rows + 1]`.

    The cheapest way to each place in at most one, two, ... micro-batches, until one more does not help.
    """
    rows = tf.size(lengths)
    place = tf.range(rows + 1)
    count = place[None, :] - place[:, None]  # [start, end], rows of a micro-batch
    positions = count * tf.concat([[0], lengths], 0)[None, :]
    allowed = (count > 0) & (count <= -(-rows // cuts.parts))
    if cuts.token_budget is not None:
        allowed &= (positions <= cuts.token_budget) | (count == 1)
    cost = tf.where(allowed, tf.cast(positions, tf.int64) + cuts.tokens_each, NEVER)
    start = tf.where(place == 0, tf.constant(0, tf.int64), NEVER)

    def go_on(best: Any, _: Any) -> tuple[Any, Any]:
        better = tf.minimum(best, tf.reduce_min(best[:, None] + cost, axis=0))
        return better, tf.reduce_any(better < best)

    best, _ = tf.while_loop(lambda _, changed: changed, go_on, (start, True))
    return tf.argmin(best[:, None] + cost, axis=0, output_type=tf.int32)


def _gather(batch: Any, rows: Any) -> Any:
    return tf.nest.map_structure(lambda tensor: None if tensor is None else tf.gather(tensor, rows), batch)


def _trim(part: Any) -> Any:
    """Leaves out the places at both ends where no row has a token."""
    inputs, *rest = part
    if not isinstance(inputs, dict) or "attention_mask" not in inputs:
        return part
    used = tf.reduce_any(inputs["attention_mask"] != 0, axis=0)
    place = tf.range(tf.size(used))
    first = tf.reduce_min(tf.where(used, place, tf.size(used)))
    end = tf.reduce_max(tf.where(used, place + 1, 0))
    first, end = tf.minimum(first, end), tf.maximum(first, end)  # all, if no place is used
    trimmed = {name: value[:, first:end] if name in INPUT_NAMES else value for name, value in inputs.items()}
    return (trimmed, *rest)


def _equal_parts(model: Any, parts: int, batch: Any) -> list[Any]:
    """The gradient of a batch, from parts whose sizes differ by one row at most, and follow from the batch's alone."""
    rows = tf.shape(batch[1])[0]
    small, larger = rows // parts, rows % parts
    total = _Total(model, rows)

    def add_parts(sums: list[Any], start: Any, size: Any, count: Any) -> list[Any]:
        """Adds the gradients of `count` parts of `size` rows, from row `start`."""

        def add_part(i: Any, sums: list[Any]) -> tuple[Any, list[Any]]:
            return i + 1, total.add(sums, *_slice(batch, start + i * size, size))

        return list(tf.while_loop(lambda i, _: i < count, add_part, (0, sums), parallel_iterations=1)[1])

    sums = add_parts(total.zeros(), 0, small + 1, larger)
    count = tf.where(small > 0, parts - larger, 0)
    return total.gradients(add_parts(sums, larger * (small + 1), tf.maximum(small, 1), count))


def _slice(batch: Any, start: Any, size: Any) -> Any:
    """Rows `start` to `start + size` of each tensor."""

    def cut(tensor: Any) -> Any:
        rest = tensor.shape.rank - 1
        return tf.slice(tensor, [start] + [0] * rest, [size] + [-1] * rest)

    return tf.nest.map_structure(lambda tensor: None if tensor is None else cut(tensor), batch)


class _Total:
    """Sums the gradients of the micro-batches of a batch of `rows` rows, of this replica."""

    def __init__(self, model: Any, rows: Any) -> None:
        self.model, self.rows = model, _rows_a_replica(rows)
        self.connected: set[int] = set()  # places of variables that the loss depends on; known once a part is traced

    def zeros(self) -> list[Any]:
        """A sum of nothing, dense, one tensor for each trainable variable."""
        return [tf.zeros_like(variable) for variable in self.model.trainable_variables]

    def add(self, sums: list[Any], x: Any, y: Any, sample_weight: Any) -> list[Any]:
        """Adds the gradient of a micro-batch's share of the mean loss, and counts its metrics."""
        model = self.model
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            logits = getattr(outputs, "logits", outputs)
            loss = model.compiled_loss(y, logits, sample_weight, regularization_losses=model.losses)
            share = loss * tf.cast(tf.shape(y)[0], loss.dtype) / tf.cast(self.rows, loss.dtype)
            scales = isinstance(model.optimizer, keras.mixed_precision.LossScaleOptimizer)
            scaled = model.optimizer.get_scaled_loss(share) if scales else share
        model.compiled_metrics.update_state(y, logits, sample_weight)
        gradients = tape.gradient(scaled, model.trainable_variables)
        self.connected |= {i for i, gradient in enumerate(gradients) if gradient is not None}
        return [_sum(before, gradient) for before, gradient in zip(sums, gradients)]

    def gradients(self, sums: list[Any]) -> list[Any]:
        """The sums; None for variables that the loss does not depend on, as from a tape."""
        return [total if i in self.connected else None for i, total in enumerate(sums)]


def _rows_a_replica(rows: Any) -> Any:
    """Mean number of rows of a batch over the replicas, which Keras gives equal parts in the loss."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return rows
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, tf.cast(rows, tf.float32))


def _sum(total: Any, gradient: Any) -> Any:
    """Adds a gradient to a dense one, in place if TensorFlow can; of an embedding only the rows that were read."""
    if gradient is None:
        return total
    if isinstance(gradient, tf.IndexedSlices):
        return tf.tensor_scatter_nd_add(total, gradient.indices[:, None], gradient.values)
    return total + gradient
