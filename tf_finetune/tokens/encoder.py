"""`TextEncoder`: texts to ragged token ids, exactly as the Hugging Face tokenizer gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tf_finetune.config import TokensConfig
from tf_finetune.errors import TokenizerError
from tf_finetune.tokens.template import read_template
from tf_finetune.tokens.tokenizer import reset_backend, tokenizer_errors
from tf_finetune.tokens.truncation import TRUNCATIONS, budget_pair, keep

__all__ = ["EncodedTexts", "TextEncoder"]

PROBE = "The plot is thin, but the acting! Not bad at all: 7/10. "


@dataclass(frozen=True)
class EncodedTexts:
    """Ragged token ids of `n` texts.

    Attributes:
        ids: int32 `[tokens]`, all rows one after the other.
        types: int8 `[tokens]`, token type ids.
        lengths: int32 `[n]`, tokens in each row, special tokens included.
        full_lengths: int32 `[n]`, the same before truncation.
    """

    ids: np.ndarray
    types: np.ndarray
    lengths: np.ndarray
    full_lengths: np.ndarray


class TextEncoder:
    """Turns texts into token ids with special tokens, truncated to `max_length`.

    Args:
        tokenizer: A tokenizer from `load_tokenizer`.
        max_length: Longest row in tokens, special tokens included.
        truncate: ``head``, ``tail`` or ``head+tail``.
        pairs: Whether texts come in pairs.

    Raises:
        TokenizerError: `max_length` leaves no room for text, or the rows would differ from the tokenizer's own.
    """

    def __init__(
        self, tokenizer: Any, *, max_length: int, truncate: str = TokensConfig.truncate, pairs: bool = False
    ) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.truncate = truncate
        self.pairs = pairs
        if truncate not in TRUNCATIONS:
            raise TokenizerError(f"`truncate` must be one of {', '.join(TRUNCATIONS)}. Received: {truncate!r}.")
        reset_backend(tokenizer.backend_tokenizer)
        with tokenizer_errors("The tokenizer does not work"):
            self.template = read_template(tokenizer, pairs=pairs)
        self._budget = max_length - self.template.added
        if self._budget < 1 + pairs:
            raise TokenizerError(
                f"max_length {max_length} leaves no room for text: this tokenizer adds "
                f"{self.template.added} special tokens."
            )
        self._check_against_tokenizer()

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> EncodedTexts:
        """Encodes a batch.

        Args:
            texts: `n` strings.
            pairs: `n` second sentences if the encoder was made for pairs, else None.

        Raises:
            TokenizerError: Pairs are missing, or were given to an encoder of single texts.
        """
        if (pairs is not None) != self.pairs:
            wanted = "pairs of texts" if self.pairs else "single texts"
            raise TokenizerError(
                f"This encoder takes {wanted}. Received: {'pairs' if pairs is not None else 'single texts'}."
            )
        columns = [self._segment_ids(texts)] + ([] if pairs is None else [self._segment_ids(pairs)])
        rows = [self._assemble(segments, self.truncate) for segments in zip(*columns)]
        lengths = np.array([len(ids) for ids, _ in rows], dtype=np.int32)
        full = np.array([sum(map(len, segments)) for segments in zip(*columns)], dtype=np.int32)
        return EncodedTexts(
            ids=np.concatenate([ids for ids, _ in rows]) if rows else np.zeros(0, np.int32),
            types=np.concatenate([types for _, types in rows]) if rows else np.zeros(0, np.int8),
            lengths=lengths,
            full_lengths=np.maximum(full + np.int32(self.template.added), lengths),
        )

    def _segment_ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        backend = self.tokenizer.backend_tokenizer
        reset_backend(backend)  # the tokenizer is the caller's, and every call of it leaves its settings behind
        encodings = backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]

    def _assemble(self, segments: tuple[np.ndarray, ...], truncate: str) -> tuple[np.ndarray, np.ndarray]:
        """Cuts the segments to the budget and frames them with special tokens: ids and types `[length]`."""
        template = self.template
        budgets = budget_pair(len(segments[0]), len(segments[1]), self._budget) if self.pairs else (self._budget,)
        ids, types = [np.array(template.specials[0], np.int32)], [np.array(template.special_types[0], np.int8)]
        for i, (segment, budget) in enumerate(zip(segments, budgets)):
            kept = keep(segment, budget, truncate)
            ids += [kept, np.array(template.specials[i + 1], np.int32)]
            types += [
                np.full(len(kept), template.segment_types[i], np.int8),
                np.array(template.special_types[i + 1], np.int8),
            ]
        row = np.concatenate(ids)
        if len(row) == 0:  # an empty text of a tokenizer without special tokens: a model needs one position
            return np.array([self._filler()], np.int32), np.zeros(1, np.int8)
        return row, np.concatenate(types)

    def _filler(self) -> int:
        unknown = self.tokenizer.unk_token_id
        return int(self.tokenizer.pad_token_id if unknown is None else unknown)

    def _check_against_tokenizer(self) -> None:
        """Compares a short and a long probe with the tokenizer's own call.

        The tokenizer knows no head+tail: the head stands in for it, since the special tokens are put in the same way.
        """
        truncate = "tail" if self.truncate == "tail" else "head"
        for text in (PROBE, PROBE * (self.max_length // 4 + 1)):
            texts = [text, text[::-1]] if self.pairs else [text]
            own = self._assemble(tuple(self._segment_ids(texts)), truncate)[0].tolist()
            theirs = self._own_call(texts, "left" if truncate == "tail" else "right")
            if own != theirs:
                raise TokenizerError(
                    f"{type(self.tokenizer).__name__} assembles its rows in a way that is not supported: "
                    f"it gives {theirs[:8]}..., the encoder {own[:8]}... for {text[:20]!r}."
                )

    def _own_call(self, texts: Sequence[str], side: str) -> list[int]:
        """The ids that the tokenizer itself gives, cut on a side of the text whatever its own setting."""
        tokenizer = self.tokenizer
        before = tokenizer.truncation_side
        tokenizer.truncation_side = side
        try:
            ids: list[int] = tokenizer(
                *texts, truncation=True, max_length=self.max_length, padding=False, split_special_tokens=True
            )["input_ids"]
        finally:
            tokenizer.truncation_side = before
            reset_backend(tokenizer.backend_tokenizer)
        return ids
