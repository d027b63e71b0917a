"""Which weights a checkpoint did not fill, whatever its format, and whether the model may be used all the same."""

from __future__ import annotations

import logging
import re
from typing import Any

from tf_finetune.errors import ModelError
from tf_finetune.model.checkpoint import Checkpoint

__all__ = ["check_report", "fresh_weights"]

logger = logging.getLogger(__name__)

IN_LAYER = re.compile(r"[._]\d+/")
"""In the name of a weight that belongs to one of the encoder's layers."""


def fresh_weights(model: Any, names: set[str]) -> list[Any]:
    """The variables of a model that transformers reports under some names.

    It reports a TF name from TF safetensors and sharded h5, a PyTorch name (with or without the encoder's prefix) from
    PyTorch safetensors, and from h5 a TF name, or only the name of a whole layer.

    Args:
        model: A transformers model.
        names: Keys of the loading report.
    """
    fresh: dict[int, Any] = {}
    for layer in model.layers:
        for weight in layer.weights:
            if layer.name in names or not names.isdisjoint(_names(model, weight)):
                fresh[id(weight)] = weight
    return list(fresh.values())


def check_report(model: Any, report: dict[str, Any], checkpoint: Checkpoint, *, complete: bool) -> None:
    """Says which weights are new, and refuses a checkpoint that does not fit.

    Args:
        model: The loaded model.
        report: `output_loading_info` of `from_pretrained`.
        checkpoint: What was loaded.
        complete: Whether the checkpoint must have every weight.

    Raises:
        ModelError: No weight of the encoder was filled, a shape differs in the encoder, one of its layers is missing,
            or any weight if the checkpoint must be complete.
    """
    mismatched = {str(entry[0]) for entry in report["mismatched_keys"]}
    reshaped = fresh_weights(model, mismatched)
    fresh = fresh_weights(model, mismatched | set(report["missing_keys"]))
    encoder = {id(weight) for weight in getattr(model, model.base_model_prefix).weights}
    new = [weight for weight in fresh if id(weight) in encoder]
    if len(new) == len(encoder):
        raise ModelError(
            f"Nothing in {checkpoint.weights} fits {type(model).__name__}: all {len(new)} weights of the encoder "
            f"would be new. The file has, for example, {sorted(report['unexpected_keys'])[:3]}."
        )
    foreign = [weight for weight in reshaped if id(weight) in encoder]
    if foreign:
        raise ModelError(
            f"{checkpoint.weights} does not have the shapes that its config.json describes: {_list(foreign[:3])}. "
            "The two files do not belong together."
        )
    lacking = fresh if complete else [weight for weight in new if IN_LAYER.search(weight.name)]
    if lacking:
        raise ModelError(
            f"{checkpoint.weights} lacks weights that its config.json describes, or has them in another shape: "
            f"{_list(lacking[:3])}{', ...' if len(lacking) > 3 else ''}. "
            "The files do not belong together, or are damaged."
        )
    if fresh:
        logger.info("freshly initialised, to be trained: %s", _list(fresh))
    unused = sorted(key for key in report["unexpected_keys"] if _is_weight(key) and key not in mismatched)
    if unused:
        logger.info("weights of the checkpoint that a classifier does not use: %s", ", ".join(unused[:8]))


def _names(model: Any, weight: Any) -> set[str]:
    """Every name under which transformers may report a variable."""
    from transformers.modeling_tf_pytorch_utils import convert_tf_weight_name_to_pt_weight_name

    short = "/".join(weight.name.split("/")[1:])
    names = {weight.name, short, re.sub(r"embeddings:0$", "weight:0", short)}
    for prefix in ("", model.base_model_prefix + "."):
        name, _ = convert_tf_weight_name_to_pt_weight_name(weight.name, prefix, weight.shape)
        aliases = model.tf_to_pt_weight_rename(name) if hasattr(model, "tf_to_pt_weight_rename") else ()
        names |= {name, *aliases}
    return names


def _is_weight(key: str) -> bool:
    return not key.endswith("position_ids") and not re.fullmatch(r"dropout_\d+", key)


def _list(weights: list[Any]) -> str:
    return ", ".join("/".join(weight.name.split("/")[1:]).removesuffix(":0") for weight in weights)
