"""How many tokens of each segment are kept, and which."""

from __future__ import annotations

import numpy as np

__all__ = ["TRUNCATIONS", "budget_pair", "keep"]

TRUNCATIONS = ("head", "tail", "head+tail")

HEAD_SHARE = 0.25
"""Share of the head in head+tail: 128 of 512, the best of Sun et al. 2019, "How to Fine-Tune BERT for Text
Classification?", table 2."""


def keep(ids: np.ndarray, budget: int, truncate: str) -> np.ndarray:
    """Cuts one segment.

    Args:
        ids: int32 `[length]`.
        budget: Most tokens that may stay.
        truncate: ``head``, ``tail`` or ``head+tail``.

    Returns:
        int32 `[min(length, budget)]`.
    """
    if len(ids) <= budget:
        return ids
    if truncate == "head":
        return ids[:budget]
    if truncate == "tail":
        return ids[len(ids) - budget :]
    head = int(budget * HEAD_SHARE)
    return np.concatenate([ids[:head], ids[len(ids) - (budget - head) :]])


def budget_pair(first: int, second: int, budget: int) -> tuple[int, int]:
    """Shares a budget between two segments as the Hugging Face tokenizers' ``longest_first`` strategy does.

    Args:
        first: Length of the first segment.
        second: Length of the second segment.
        budget: Most tokens that both may have together.

    Returns:
        The lengths that stay. Ties and odd budgets follow `truncate_encodings` of the tokenizers library.
    """
    if first + second <= budget:
        return first, second
    short, long = sorted((first, second))
    long = short if short > budget else max(short, budget - short)
    if short + long > budget:
        short = budget // 2
        long = short + budget % 2
    return (short, long) if first <= second else (long, short)
