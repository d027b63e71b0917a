"""`why_not`: what the unpadded encoder does not do, model by model."""

from __future__ import annotations

from typing import Any

from tf_finetune.backend import tf
from tf_finetune.model.unpadded.parts import FAMILIES

__all__ = ["asks_for_more", "why_not"]

CLOSE_RELATIVES = {
    "TFMPNetForSequenceClassification": "its attention adds a bias for each distance between two tokens",
}


def why_not(model: Any) -> str | None:
    """The reason for which a model keeps its own encoder; None if the unpadded one fits.

    Args:
        model: A transformers model, built.
    """
    name = type(model).__name__
    if name in CLOSE_RELATIVES:
        return f"{name}: {CLOSE_RELATIVES[name]}"
    if name not in FAMILIES or not type(model).__module__.startswith("transformers."):
        return f"{name} is not one of {', '.join(sorted(FAMILIES))}"
    return _why_not_config(model.config) or _why_not_layers(model)


def asks_for_more(config: Any) -> str | None:
    """What a configuration asks for beside logits; None if it asks for logits alone."""
    for name in ("output_attentions", "output_hidden_states"):
        if getattr(config, name, False):
            return f"{name} is set, and the last layer is computed for the first token alone"
    return None if config.use_return_dict else "return_dict is off"


def _why_not_config(config: Any) -> str | None:
    activation = getattr(config, "hidden_act", None) or getattr(config, "activation", None)
    if activation != "gelu":
        return f"its activation is {activation!r}, not 'gelu'"
    positions = getattr(config, "position_embedding_type", "absolute")
    if positions != "absolute":
        return f"its position embeddings are {positions!r}, not 'absolute'"
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        return "it is set up as a decoder"
    if getattr(config, "pruned_heads", None):
        return "some of its attention heads are pruned"
    if not getattr(config, "num_hidden_layers", 0):
        return "it has no layers"
    return asks_for_more(config)


def _why_not_layers(model: Any) -> str | None:
    if not model.built or not model.weights:
        return "it is not built yet"
    kinds = {layer.compute_dtype for layer in model.submodules if isinstance(layer, tf.keras.layers.Layer)}
    if kinds - {"float32"}:
        return f"it computes in {', '.join(sorted(kinds))}, and only float32 was found equal"
    if getattr(model, "jit_compile", False):
        return "XLA compiles the whole step, which needs shapes that do not depend on the padding"
    strategy = model.distribute_strategy
    if strategy.num_replicas_in_sync > 1 and len(strategy.extended.worker_devices) > 1:  # one each of workers is fine
        return "it is trained on several devices"
    return None
