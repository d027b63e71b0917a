"""What is known of single architectures, as data: which are refused, and which settings break upstream.

The reasons were measured with transformers 4.54 on tiny random checkpoints of all architectures that have a
TensorFlow class for sequence classification.
"""

from __future__ import annotations

import difflib
from typing import Any

from tf_finetune.errors import ModelError

__all__ = [
    "BROKEN",
    "EQUIVALENT",
    "NOT_TEXT",
    "RESERVED_POSITIONS",
    "check_architecture",
    "check_kind",
    "check_length",
    "check_settings",
    "longest_input",
]

NOT_TEXT = {
    "esm": "it reads protein sequences",
    "layoutlm": "it reads scanned pages: text with the place of every word",
    "layoutlmv3": "it reads scanned pages: text with places and images",
    "tapas": "it reads tables, and its token types have rank 3",
    "transfo-xl": "it is withdrawn upstream: its tokenizer is a pickle and its weights change when saved",
}
"""model_type -> why it is refused."""

BROKEN = {
    ("deberta", "jit_compile"): "XLA cannot compile the gradient of the condition in its attention",
    ("longformer", "jit_compile"): "XLA cannot convert its sliding-window attention",
    ("longformer", "mixed_bfloat16"): "its attention mixes bfloat16 with float32",
    ("longformer", "mixed_float16"): "its attention mixes float16 with float32",
    ("mistral", "mixed_bfloat16"): "its causal mask is float32 whatever the policy",
    ("mistral", "mixed_float16"): "its causal mask is float32 whatever the policy",
    ("xlnet", "mixed_bfloat16"): "its layers mix bfloat16 with float32",
    ("xlnet", "mixed_float16"): "its layers mix float16 with float32",
}
"""(model_type, setting) -> why the setting is refused. All are faults of the model's TensorFlow code."""

EQUIVALENT = {
    "funnel": {"attention_type": "factorized"},
}
"""model_type -> settings that replace those of config.json. Funnel's other form of attention gives the same numbers,
but its gradient fails on batches of unknown length."""

RESERVED_POSITIONS = {"roberta", "xlm-roberta", "camembert", "longformer", "mpnet", "roberta-prelayernorm"}
"""Position 0 and 1 are the padding's: max_position_embeddings counts two more than a text may have tokens."""

RELATIVE_POSITIONS = {"xlnet", "funnel"}
"""No table of positions, so no longest input."""


def check_architecture(model_type: Any, known: list[str]) -> None:
    """Refuses an architecture without a TensorFlow class for texts.

    Args:
        model_type: `model_type` of the checkpoint's config.json.
        known: Architectures with a TensorFlow class for sequence classification.

    Raises:
        ModelError: It has none, or is no classifier of texts. The message names the nearest ones that have it.
    """
    check_kind(model_type)
    if model_type not in known:
        usable = sorted(set(known) - set(NOT_TEXT))
        near = difflib.get_close_matches(model_type, usable, n=3, cutoff=0.4) or ["bert", "distilbert", "roberta"]
        raise ModelError(
            f"The architecture {model_type!r} has no TensorFlow class for sequence classification in transformers. "
            f"Nearest ones that have it: {', '.join(near)}. All: {', '.join(usable)}."
        )


def check_kind(model_type: Any) -> None:
    """Refuses an architecture that is known not to classify texts.

    Args:
        model_type: `model_type` of the checkpoint's config.json.

    Raises:
        ModelError: With the reason.
    """
    if not isinstance(model_type, str):
        raise ModelError(f"config.json must name the architecture as model_type. Received: {model_type!r}.")
    if model_type in NOT_TEXT:
        raise ModelError(f"The architecture {model_type!r} is not supported: {NOT_TEXT[model_type]}.")


def check_settings(model_type: str, *, precision: str, jit_compile: bool) -> None:
    """Refuses settings that are known to break an architecture.

    Raises:
        ModelError: With the reason and the flag to leave out.
    """
    if jit_compile and (model_type, "jit_compile") in BROKEN:
        raise ModelError(
            f"--jit-compile does not work with {model_type}: {BROKEN[model_type, 'jit_compile']}. Leave it out."
        )
    if (model_type, precision) in BROKEN:
        raise ModelError(
            f"--precision {precision} does not work with {model_type}: {BROKEN[model_type, precision]}. Use float32."
        )


def check_length(config: dict[str, object], max_length: int | None, *, name: str) -> None:
    """Refuses inputs that are longer than a model takes.

    Args:
        config: The checkpoint's config.json.
        max_length: Longest input in tokens, special tokens included; None is not checked.
        name: The checkpoint, for the message.

    Raises:
        ModelError: They are longer.
    """
    longest = longest_input(config)
    if max_length is not None and longest is not None and max_length > longest:
        raise ModelError(f"--max-length {max_length} is more than the {longest} tokens that {name} takes.")


def longest_input(config: dict[str, object]) -> int | None:
    """Most tokens that a model takes, special tokens included; None without a limit.

    Args:
        config: The checkpoint's config.json.
    """
    model_type = str(config.get("model_type"))
    positions = config.get("max_position_embeddings", config.get("n_positions"))
    if not isinstance(positions, int) or positions < 1 or model_type in RELATIVE_POSITIONS:
        return None
    return positions - 2 if model_type in RESERVED_POSITIONS else positions
