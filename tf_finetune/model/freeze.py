"""`freeze`: keep the embeddings or some encoder layers as they are."""

from __future__ import annotations

import re
from typing import Any

from tf_finetune.errors import ConfigError

__all__ = ["check_freeze", "freeze"]

NUMBERED = re.compile(r"^(?:\w*layers?|h|blocks|attentions|ffns|layer_norm[12])(?:_\._|\.)(\d+)(?:_\._(\d+))?$")
"""Layer n is one Keras layer as a rule; in XLM it is four. Funnel numbers its layers within blocks."""
EMBEDDINGS = re.compile(
    r"embeddings$|embed_tokens$|embed_positions$|^w[tp]e$|^w$|(?:^|\.)shared$|tokens_embed$|word_embedding$"
)

LAYERS = dict.fromkeys(("bert", "camembert", "electra", "roberta", "xlm-roberta"), "num_hidden_layers")
LAYERS["distilbert"] = "n_layers"
"""model_type -> key of config.json that counts the layers, where each is one numbered Keras layer."""


def freeze(model: Any, parts: str) -> list[str]:
    """Makes parts of a transformers model untrainable; to be called before `compile_model`.

    Args:
        model: A built TFAutoModelForSequenceClassification.
        parts: ``embeddings`` and layer numbers from 0, as in ``embeddings,0-3``. In an encoder-decoder a number
            means both layers. Position embeddings that are no Keras layer (XLM, FlauBERT, OpenAI GPT) stay trainable.

    Returns:
        The names of what was frozen.

    Raises:
        ConfigError: The value is malformed, names a layer that the model lacks, or leaves nothing to train.
    """
    names = [part.strip() for part in parts.split(",")]
    chosen = [layer for part in names for layer in _find(model, part)]
    for layer in chosen:
        layer.trainable = False
    if not model.trainable_variables:
        raise ConfigError(f"--freeze {parts} leaves nothing to train.")
    return names


def _find(model: Any, part: str) -> list[Any]:
    if part == "embeddings":
        found = [layer for layer in _layers(model) if EMBEDDINGS.search(layer.name)]
        if not found:
            raise ConfigError(f"--freeze embeddings: none were found in {type(model).__name__}.")
        return found
    first, last = _numbers(part)
    layers = _numbered_layers(model)
    if last >= len(layers):
        raise _no_layer(part, last, layers=len(layers), name=type(model).__name__)
    return [layer for number in range(first, last + 1) for layer in layers[number]]


def check_freeze(parts: str, config: dict[str, Any]) -> None:
    """Refuses parts that are malformed, or that a model surely lacks, before it is loaded.

    Args:
        parts: As for `freeze`.
        config: The checkpoint's config.json.

    Raises:
        ConfigError: As of `freeze`.
    """
    model_type = str(config.get("model_type"))
    layers = config.get(LAYERS[model_type]) if model_type in LAYERS else None
    for part in (part.strip() for part in parts.split(",")):
        if part != "embeddings":
            _, last = _numbers(part)
            if isinstance(layers, int) and last >= layers:
                raise _no_layer(part, last, layers=layers, name=model_type)


def _numbers(part: str) -> tuple[int, int]:
    """First and last layer of a part such as ``3`` or ``0-3``."""
    match = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", part)
    if not match or int(match[2] or match[1]) < int(match[1]):
        raise ConfigError(f"--freeze takes 'embeddings' and layer numbers, as in 'embeddings,0-3'. Received: {part!r}.")
    return int(match[1]), int(match[2] or match[1])


def _no_layer(part: str, last: int, *, layers: int, name: str) -> ConfigError:
    has = f"its layers are 0 to {layers - 1}" if layers else "none of its layers is numbered"
    return ConfigError(f"--freeze {part}: {name} has no layer {last}; {has}.")


def _numbered_layers(model: Any) -> list[list[Any]]:
    """The Keras layers of each layer of the model, by its number."""
    layers: dict[tuple[int, ...], list[Any]] = {}
    for layer in _layers(model):
        match = NUMBERED.search(layer.name)
        if match:
            layers.setdefault(tuple(int(n) for n in match.groups() if n is not None), []).append(layer)
    return [layers[key] for key in sorted(layers)]


def _layers(model: Any) -> list[Any]:
    return [m for m in model.submodules if hasattr(m, "trainable_weights") and hasattr(m, "name") and m.weights]
