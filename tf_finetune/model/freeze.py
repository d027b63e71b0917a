"""`freeze`: keep the embeddings or some encoder layers as they are."""

from __future__ import annotations

import re
from typing import Any

from tf_finetune.errors import ConfigError

__all__ = ["freeze"]

NUMBERED = re.compile(r"(?:layer|layers|h|block)(?:_\._|\.|_)(\d+)$")
EMBEDDINGS = re.compile(
    r"embeddings$|embed_tokens$|embed_positions$|^wte$|^wpe$|^w$|^shared$|tokens_embed$|positions_embed$"
)


def freeze(model: Any, parts: str) -> list[str]:
    """Makes parts of a transformers model untrainable.

    Args:
        model: A built TFAutoModelForSequenceClassification.
        parts: ``embeddings`` and layer numbers from 0, as in ``embeddings,0-3``. In an encoder-decoder a number
            means both layers.

    Returns:
        The names of what was frozen.

    Raises:
        ConfigError: The value is malformed, names a layer that the model lacks, or leaves nothing to train.
    """
    layers = _numbered_layers(model)
    embeddings = _embeddings(model)
    frozen = []
    for part in filter(None, (p.strip() for p in parts.split(","))):
        if part == "embeddings":
            chosen = embeddings
        else:
            numbers = _range(part)
            unknown = [n for n in numbers if n not in layers]
            if unknown:
                raise ConfigError(
                    f"--freeze {parts}: the model has no layer {unknown[0]}; "
                    f"its layers are {min(layers, default=0)} to {max(layers, default=0)}."
                )
            chosen = [layer for n in numbers for layer in layers[n]]
        if not chosen:
            raise ConfigError(f"--freeze {parts}: no {part} were found in {type(model).__name__}.")
        for layer in chosen:
            layer.trainable = False
        frozen.append(part)
    if not model.trainable_variables:
        raise ConfigError(f"--freeze {parts} leaves nothing to train.")
    return frozen


def _range(part: str) -> list[int]:
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
    if not match or int(match[2] or match[1]) < int(match[1]):
        raise ConfigError(f"--freeze takes 'embeddings' and layer numbers, as in 'embeddings,0-3'. Received: {part!r}.")
    return list(range(int(match[1]), int(match[2] or match[1]) + 1))


def _numbered_layers(model: Any) -> dict[int, list[Any]]:
    layers: dict[int, list[Any]] = {}
    for layer in _layers(model):
        match = NUMBERED.search(layer.name)
        if match:
            layers.setdefault(int(match[1]), []).append(layer)
    return layers


def _embeddings(model: Any) -> list[Any]:
    return [layer for layer in _layers(model) if EMBEDDINGS.search(layer.name)]


def _layers(model: Any) -> list[Any]:
    return [m for m in model.submodules if hasattr(m, "trainable_weights") and hasattr(m, "name") and m.weights]
