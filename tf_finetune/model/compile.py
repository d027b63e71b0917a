"""`compile_model`: loss, optimizer and metrics that fit a model of logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tf_finetune.backend import keras, tf
from tf_finetune.config import FitConfig
from tf_finetune.model.loss import check_loss, make_loss, refuse_keras3
from tf_finetune.model.micro_batches import use_micro_batches
from tf_finetune.model.optimizer import make_optimizer
from tf_finetune.model.schedule import make_schedule
from tf_finetune.tokens.cuts import Cuts

__all__ = ["check_compiled", "compile_model"]


def compile_model(
    model: Any,
    *,
    updates: int,
    learning_rate: float = FitConfig.learning_rate,
    end_learning_rate: float = FitConfig.end_learning_rate,
    power: float = FitConfig.power,
    warmup_ratio: float = FitConfig.warmup_ratio,
    weight_decay: float = FitConfig.weight_decay,
    clip_norm: float = FitConfig.clip_norm,
    label_smoothing: float = FitConfig.label_smoothing,
    cuts: Cuts = Cuts(),  # noqa: B008
    jit_compile: bool = False,
    loss: Any = None,
    optimizer: Any = None,
    metrics: Sequence[Any] = (),
) -> Any:
    """Compiles a classifier: cross-entropy over logits, Adam or AdamW, warm-up and PolynomialDecay, accuracy.

    Args:
        model: A Keras model of logits `[batch, labels]`.
        updates: Optimizer updates of the whole run, for the schedule.
        learning_rate: Rate after the warm-up.
        end_learning_rate: Rate when all updates are done.
        power: Power of the decay.
        warmup_ratio: Share of the updates with a rising rate.
        weight_decay: AdamW's decoupled decay; 0 is Adam.
        clip_norm: Largest global norm of the gradients; 0 turns clipping off.
        label_smoothing: Probability mass spread over all classes.
        cuts: How batches are cut into micro-batches; not at all without it.
        jit_compile: Compile training and evaluation with XLA, which compiles each batch shape apart: see `few_shapes`.
        loss: A Keras loss of your own instead of cross-entropy.
        optimizer: A Keras optimizer of your own instead of Adam.
        metrics: Keras metrics of your own beside the accuracy.

    Returns:
        The same model, compiled.

    Raises:
        ConfigError: XLA is asked for, and micro-batches that are cut by length.
        LossError: The loss does not read the model's outputs as what they are, or something is from Keras 3.
    """
    refuse_keras3(model=model, loss=loss, optimizer=optimizer, metrics=list(metrics))
    if optimizer is None:
        schedule = make_schedule(
            updates=updates,
            learning_rate=learning_rate,
            end_learning_rate=end_learning_rate,
            power=power,
            warmup_ratio=warmup_ratio,
        )
        optimizer = make_optimizer(schedule, weight_decay=weight_decay, clip_norm=clip_norm)
    model.compile(
        optimizer=optimizer,
        loss=make_loss(label_smoothing=label_smoothing) if loss is None else loss,
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy"), *metrics],
        jit_compile=jit_compile,
    )
    use_micro_batches(model, cuts)
    probe = _probe(model)
    if probe is not None:
        check_compiled(model, probe)
    return model


def check_compiled(model: Any, inputs: Any) -> None:
    """Checks on one batch that the outputs of a compiled model and its loss agree.

    Args:
        model: A compiled Keras model.
        inputs: One batch of inputs.

    Raises:
        LossError: They do not agree, or model, loss, optimizer or metrics are from Keras 3.
    """
    refuse_keras3(model=model)
    refuse_keras3(loss=model.loss, optimizer=model.optimizer, metrics=model.metrics)
    check_loss(model.loss, model(inputs, training=False))


def _probe(model: Any) -> Any:
    """A small batch that the model takes; None if its inputs are not known before it sees data."""
    if hasattr(model, "dummy_inputs"):
        return model.dummy_inputs
    if not getattr(model, "inputs", None):
        return None
    shape = [[1 if size is None else size for size in tensor.shape] for tensor in model.inputs]
    return [tf.zeros(sizes, tensor.dtype) for sizes, tensor in zip(shape, model.inputs)]
