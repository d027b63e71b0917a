"""The space that is searched when none is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tf_finetune.config import Config
from tf_finetune.model.checkpoint import Checkpoint
from tf_finetune.model.freeze import LAYERS
from tf_finetune.tuning.space import Space

__all__ = ["default_space"]

LEARNING_RATES = (1e-5, 2e-4)
"""BERT's own are 2e-5 to 5e-5 (Devlin et al. 2019, A.3); smaller models take higher ones (Turc et al. 2019)."""


def default_space(config: Config, checkpoint: Checkpoint, *, algorithm: str, objective: str) -> Space:
    """Learning rate, batch size, warm-up, weight decay, epochs, length, frozen layers and smoothing, around `config`.

    Hyperband chooses the epochs itself; the loss of other smoothings is another loss. A grid has the learning rate and
    the batch size alone, eight combinations.
    """
    fit = config.fit
    if algorithm == "grid":
        rates = {rate for rate in (2e-5, 5e-5, 1e-4, 2e-4, fit.learning_rate) if rate >= fit.end_learning_rate}
        return Space.from_dict(_lists({"fit.learning_rate": rates, "fit.batch_size": _sizes(config, 16, 32)}))
    low = max(min(LEARNING_RATES[0], fit.learning_rate), fit.end_learning_rate)
    high = max(LEARNING_RATES[1], fit.learning_rate, 2 * low)
    space: dict[str, Any] = {
        "fit.learning_rate": {"min": low, "max": high, "sampling": "log"},
        **_lists({"fit.batch_size": _sizes(config, 16, 32, 64)}),
        "fit.warmup_ratio": sorted({0.0, 0.06, 0.1, 0.2, fit.warmup_ratio}),
        "fit.weight_decay": sorted({0.0, 0.01, 0.1, fit.weight_decay}),
    }
    if algorithm != "hyperband":
        space["fit.epochs"] = sorted({2, 3, 4, fit.epochs})
    length = config.tokens.max_length
    if config.fit.token_budget is None and length >= 64:
        space["tokens.max_length"] = [length // 2, length]
    parts = _freezable(checkpoint.config, given=config.model.freeze)
    if len(parts) > 1:
        space["model.freeze"] = parts
    if objective != "val_loss":
        space["fit.label_smoothing"] = sorted({0.0, 0.1, fit.label_smoothing})
    return Space.from_dict(space)


def _sizes(config: Config, *usual: int) -> set[int]:
    """Batch sizes, without those of which a token budget would cut nothing off."""
    fit, budget = config.fit, config.fit.token_budget
    tokens = fit.gradient_accumulation * config.tokens.max_length
    return {size for size in (*usual, fit.batch_size) if budget is None or budget < size * tokens}


def _lists(space: Mapping[str, set[Any]]) -> dict[str, list[Any]]:
    """The options with more than one value."""
    return {name: sorted(values) for name, values in space.items() if len(values) > 1}


def _freezable(settings: Mapping[str, Any], *, given: str | None) -> list[str | None]:
    """Nothing, the embeddings, these with the lower third of the layers; nothing where layers have no numbers."""
    layers = settings.get(LAYERS.get(str(settings.get("model_type")), ""))
    if not isinstance(layers, int) or layers < 3:
        return [None] if given is None else [None, given]
    found = [None, "embeddings", f"embeddings,0-{layers // 3 - 1}" if layers > 5 else "embeddings,0"]
    return found if given in found else [*found, given]
