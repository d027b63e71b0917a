"""`trace_tokens`: the tokens that a model sees of a text, each with its place in it, and what was cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from tf_finetune.errors import DataError, TokenizerError
from tf_finetune.explain.words import trimmed
from tf_finetune.tokens.encoder import TextEncoder
from tf_finetune.tokens.tokenizer import reset_backend, tokenizer_errors
from tf_finetune.tokens.truncation import budget_pair, keep

__all__ = ["TracedText", "TracedTokens", "trace_tokens"]

Span = tuple[int, int]


@dataclass(frozen=True)
class TracedText:
    """One text among the tokens.

    Attributes:
        text: The text.
        first: Position of its first token; the others follow it.
        spans: First character of each token, and the one after its last.
        cut: The same of each part that truncation cut out.
    """

    text: str
    first: int
    spans: tuple[Span, ...]
    cut: tuple[Span, ...]


@dataclass(frozen=True)
class TracedTokens:
    """The input of a model.

    Attributes:
        ids: int32 `[length]`, special tokens included.
        types: int32 `[length]`, token type ids.
        texts: The text, and the second sentence if there is one.
    """

    ids: np.ndarray
    types: np.ndarray
    texts: tuple[TracedText, ...]

    def replaced(self, token: int) -> np.ndarray:
        """int32 `[length]`, the ids with `token` in the place of each token of a text; special tokens stay."""
        ids: np.ndarray = self.ids.copy()
        for one in self.texts:
            ids[one.first : one.first + len(one.spans)] = token
        return ids


def trace_tokens(encoder: TextEncoder, text: str, pair: str | None = None) -> TracedTokens:
    """Encodes one text (or pair) as `encoder` does, and traces each token back to its characters.

    Args:
        encoder: The run's tokenizer with its length and truncation.
        text: The text.
        pair: The second sentence if the encoder was made for pairs.

    Raises:
        DataError: A text cannot be written as UTF-8.
        TokenizerError: A second sentence is missing, or there is one too many; or the tokens cannot be traced.
    """
    given = [text] if pair is None else [text, pair]
    for one in given:
        _check_text(one)
    with tokenizer_errors("The tokenizer does not work on this text"):
        encoded = encoder.encode([text], None if pair is None else [pair])
        reset_backend(encoder.tokenizer.backend_tokenizer)
        encodings = encoder.tokenizer.backend_tokenizer.encode_batch(given, add_special_tokens=False)
    kept = _kept(encoder, [len(encoding.ids) for encoding in encodings])
    specials = [len(group) for group in encoder.template.specials]
    firsts = list(accumulate(map(len, kept[:-1]), lambda first, length: first + length, initial=0))
    texts = []
    for i, (one, encoding, indices) in enumerate(zip(given, encodings, kept, strict=True)):
        first = sum(specials[: i + 1]) + firsts[i]
        if encoded.ids[first : first + len(indices)].tolist() != [encoding.ids[j] for j in indices.tolist()]:
            raise TokenizerError(f"The tokens of {one!r:.40} cannot be traced back to its characters.")
        texts.append(_trace(one, first, encoding.offsets, indices))
    return TracedTokens(encoded.ids, encoded.types.astype(np.int32), tuple(texts))


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise DataError(f"Expected a text to explain. Received: {type(text).__name__}.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"The text holds half of a surrogate pair at character {error.start}: no valid text.") from None


def _kept(encoder: TextEncoder, lengths: Sequence[int]) -> list[np.ndarray]:
    """Indices of the tokens of each text that truncation keeps."""
    budget = encoder.max_length - encoder.template.added
    budgets = budget_pair(lengths[0], lengths[1], budget) if len(lengths) > 1 else (budget,)
    return [keep(np.arange(length), most, encoder.truncate) for length, most in zip(lengths, budgets, strict=True)]


def _trace(text: str, first: int, offsets: Sequence[Span], kept: np.ndarray) -> TracedText:
    spans = tuple(offsets[i] for i in kept.tolist())
    cut = []
    edges = [-1, *kept.tolist(), len(offsets)]
    for before, after in zip(edges, edges[1:]):
        if after - before > 1:
            start = max(offsets[before + 1][0], offsets[before][1] if before >= 0 else 0)
            end = min(offsets[after - 1][1], offsets[after][0] if after < len(offsets) else len(text))
            start, end = trimmed(text, start, max(start, end))
            if end > start:
                cut.append((start, end))
    return TracedText(text, first, spans, tuple(cut))
