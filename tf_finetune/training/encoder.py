"""Which encoder computes: the unpadded one where it fits and was found equal, else the model's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tf_finetune.backend import gpus
from tf_finetune.errors import ConfigError
from tf_finetune.model.unpadded import check_equal, choose_sizes, training_operations, use_unpadded_encoder, why_not
from tf_finetune.tokens.table import TokenTable

__all__ = ["EncoderChoice", "choose_encoder"]

TOLERANCE = 1e-5
"""Largest difference of a logit or a gradient between the two encoders; 1e-7 is usual."""

CHECKED_ROWS = 4


@dataclass(frozen=True)
class EncoderChoice:
    """Which encoder was chosen.

    Attributes:
        unpadded: Whether it is the unpadded one.
        reason: Why, in words.
    """

    unpadded: bool
    reason: str

    @property
    def line(self) -> str:
        """The choice in words."""
        name = "unpadded" if self.unpadded else "the model's own"
        return f"encoder: {name} ({self.reason})"


def choose_encoder(
    model: Any,
    mode: str,
    table: TokenTable,
    spec: dict[str, Any],
    *,
    seed: int,
    jit_compile: bool = False,
    count_tokens: Callable[[], np.ndarray] | None = None,
) -> EncoderChoice:
    """Puts the unpadded encoder into a model where it applies.

    It is used after a check on a few rows, dropout off: logits and the gradients of all variables must be the model's
    own within `TOLERANCE`.

    Args:
        model: The loaded model, not yet compiled.
        mode: ``auto``; ``unpadded``, which fails where it does not apply; or ``model``.
        table: Rows to check with.
        spec: The model's inputs.
        seed: Seed of dropout.
        jit_compile: Whether XLA is to compile the training step.
        count_tokens: Gives the real tokens of all batches of the run, int `[batches]`, from which the sizes are chosen
            that are compiled; None if they are not known. Called where the unpadded encoder is used.

    Raises:
        ConfigError: ``unpadded`` was asked for, and does not apply.
    """
    if mode == "model":
        return EncoderChoice(False, "--encoder model")
    reason = why_not(model)
    if jit_compile:
        reason = "XLA compiles the whole step, which needs shapes that do not depend on the padding"
    if reason is None and mode == "auto" and gpus():
        reason = "it was measured on CPUs alone"
    if reason is None:
        difference = _largest_difference(model, table, spec)
        if difference <= TOLERANCE:
            sizes: tuple[int, ...] = ()
            if count_tokens is not None:
                sizes = choose_sizes(count_tokens(), token_operations=training_operations(model))
            use_unpadded_encoder(model, seed=seed, sizes=sizes)
            return EncoderChoice(True, f"logits and gradients within {difference:.0e} of the model's own")
        reason = f"logits or gradients differ by {difference:.0e} from the model's own"
    if mode == "unpadded":
        raise ConfigError(f"--encoder unpadded: {reason}. Leave it out, or give --encoder model.")
    return EncoderChoice(False, reason)


def _largest_difference(model: Any, table: TokenTable, spec: dict[str, Any]) -> float:
    """On the shortest, the longest and two rows between."""
    order = np.argsort(table.lengths, kind="stable")
    rows = order[np.linspace(0, len(order) - 1, min(CHECKED_ROWS, len(order))).astype(int)]
    columns = table.inputs(rows)
    differences = check_equal(model, {name: columns[name] for name in spec}, table.labels[rows])
    return float(np.max(list(differences.values())))
