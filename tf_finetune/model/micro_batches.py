"""Gradient accumulation: one update from several micro-batches, with the gradient of the whole batch."""

from __future__ import annotations

import functools
from typing import Any

from tf_finetune.backend import keras, tf

__all__ = ["accumulate_gradients"]


def accumulate_gradients(model: Any, micro_batches: int) -> None:
    """Replaces a compiled model's `train_step` by one that splits each batch into micro-batches.

    The gradients of the micro-batches are weighted by their rows and summed, which is the gradient of the mean loss
    over the batch; dropout is drawn for each micro-batch. One batch stays one update, so that steps, schedule and
    callbacks count as before. Memory is that of one micro-batch and a second copy of the gradients.

    Args:
        model: A compiled Keras model of logits, or a transformers model.
        micro_batches: Parts that a batch is cut into; 1 gives the model its own `train_step` back.
    """
    before = vars(model).get("train_step")
    if isinstance(before, functools.partial) and before.func is _train_step:
        del model.train_step
    if micro_batches > 1:
        model.train_step = functools.partial(_train_step, model, micro_batches)


def _train_step(model: Any, micro_batches: int, data: Any) -> dict[str, Any]:
    batch = keras.utils.unpack_x_y_sample_weight(data)
    rows = tf.shape(batch[1])[0]
    variables = model.trainable_variables
    # traced once for parts of both sizes; XLA needs sizes that do not depend on the place of the part
    part_gradients = tf.function(functools.partial(_gradients, model, rows))
    small, larger = rows // micro_batches, rows % micro_batches

    def add_parts(total: list[Any], start: Any, size: Any, count: Any) -> list[Any]:
        """Adds the gradients of `count` parts of `size` rows, from row `start`."""

        def add_part(i: Any, total: list[Any]) -> tuple[Any, list[Any]]:
            gradients = part_gradients(*_rows(batch, start + i * size, size))
            return i + 1, [before + gradient for before, gradient in zip(total, gradients)]

        # one at a time: parallel iterations would hold the activations of several parts
        return list(tf.while_loop(lambda i, _: i < count, add_part, (0, total), parallel_iterations=1)[1])

    total = add_parts([tf.zeros_like(v) for v in variables], 0, small + 1, larger)
    count = tf.where(small > 0, micro_batches - larger, 0)
    total = add_parts(total, larger * (small + 1), tf.maximum(small, 1), count)
    model.optimizer.apply_gradients(zip(_unscale(model, total), variables))
    return {metric.name: metric.result() for metric in model.metrics}


def _rows(batch: Any, start: Any, size: Any) -> Any:
    """Rows `start` to `start + size` of each tensor."""

    def cut(tensor: Any) -> Any:
        rest = tensor.shape.rank - 1
        return tf.slice(tensor, [start] + [0] * rest, [size] + [-1] * rest)

    return tf.nest.map_structure(lambda tensor: None if tensor is None else cut(tensor), batch)


def _gradients(model: Any, rows: Any, x: Any, y: Any, sample_weight: Any) -> list[Any]:
    """Gradients of a micro-batch's share of the mean loss, dense, one for each trainable variable."""
    with tf.GradientTape() as tape:
        outputs = model(x, training=True)
        logits = getattr(outputs, "logits", outputs)
        loss = model.compiled_loss(y, logits, sample_weight, regularization_losses=model.losses)
        share = loss * tf.cast(tf.shape(y)[0], loss.dtype) / tf.cast(rows, loss.dtype)
        scaled = model.optimizer.get_scaled_loss(share) if _scales(model) else share
    model.compiled_metrics.update_state(y, logits, sample_weight)
    gradients = tape.gradient(scaled, model.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


def _scales(model: Any) -> bool:
    return isinstance(model.optimizer, keras.mixed_precision.LossScaleOptimizer)


def _unscale(model: Any, gradients: list[Any]) -> list[Any]:
    return model.optimizer.get_unscaled_gradients(gradients) if _scales(model) else gradients
