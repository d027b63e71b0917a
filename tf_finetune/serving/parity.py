"""Is the tokenizer in the graph the run's own? Compared id by id, text by text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_finetune.backend import tf
from tf_finetune.errors import ExportError
from tf_finetune.tokens.encoder import TextEncoder

__all__ = ["check_parity", "first_difference"]

BATCH = 64


def first_difference(
    tokenize: Any, encoder: TextEncoder, texts: Sequence[str]
) -> tuple[str, list[int], list[int]] | None:
    """The first text whose ids differ: (text, ids of the graph, ids of the encoder); None if all agree.

    Args:
        tokenize: From string `[batch]` columns to `input_ids` and `attention_mask`, int32 `[batch, length]`.
        encoder: The run's encoder. Of a pair, each text is compared with the one at the other end of its batch.
        texts: Any texts.
    """
    for start in range(0, len(texts), BATCH):
        batch = list(texts[start : start + BATCH])
        pairs = batch[::-1] if encoder.pairs else None
        columns = {"text": tf.constant(batch)} | ({"text_pair": tf.constant(pairs)} if pairs else {})
        answer = tokenize(**columns)
        ids, lengths = answer["input_ids"].numpy(), answer["attention_mask"].numpy().sum(axis=1)
        encoded = encoder.encode(batch, pairs)
        rows = np.split(encoded.ids, np.cumsum(encoded.lengths)[:-1])
        for text, row, length, expected in zip(batch, ids, lengths, rows):
            if row[:length].tolist() != expected.tolist():
                return text, row[:length].tolist(), expected.tolist()
    return None


def check_parity(tokenize: Any, encoder: TextEncoder, texts: Sequence[str]) -> int:
    """Compares the tokenizer in the graph with the run's own.

    Returns:
        The number of texts compared.

    Raises:
        ExportError: A text has other ids; shows both, from the first that differs.
    """
    difference = first_difference(tokenize, encoder, texts)
    if difference is None:
        return len(texts)
    text, found, expected = difference
    place = next((i for i, (a, b) in enumerate(zip(found, expected)) if a != b), min(len(found), len(expected)))
    raise ExportError(
        f"The tokenizer in the graph differs from the run's on {text[:60]!r}, from token {place}: "
        f"{found[place : place + 5]} instead of {expected[place : place + 5]}. Nothing was published."
    )
