"""Gradient accumulation: one update from several micro-batches, with the gradient of the whole batch."""

from __future__ import annotations

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
        micro_batches: Parts that a batch is cut into.
    """

    def train_step(data: Any) -> dict[str, Any]:
        return _train_step(model, micro_batches, data)

    model.train_step = train_step


def _train_step(model: Any, micro_batches: int, data: Any) -> dict[str, Any]:
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    rows = tf.shape(y)[0]
    size = -(-rows // micro_batches)
    variables = model.trainable_variables

    def add_part(start: Any, total: list[Any]) -> tuple[Any, list[Any]]:
        part = slice(start, start + size)
        weights = None if sample_weight is None else sample_weight[part]
        gradients = _gradients(model, _rows(x, part), y[part], weights, rows)
        return start + size, [before + gradient for before, gradient in zip(total, gradients)]

    start = (tf.constant(0), [tf.zeros_like(v) for v in variables])
    _, total = tf.while_loop(lambda i, _: i < rows, add_part, start, maximum_iterations=micro_batches)
    model.optimizer.apply_gradients(zip(_unscale(model, total), variables))
    return {metric.name: metric.result() for metric in model.metrics}


def _rows(x: Any, part: slice) -> Any:
    return tf.nest.map_structure(lambda tensor: tensor[part], x)


def _gradients(model: Any, x: Any, y: Any, sample_weight: Any, rows: Any) -> list[Any]:
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
