"""`TokenLengths`: how long the texts are in tokens, what is cut off, and which length would cut next to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tf_finetune.audit.corpus import Corpus
from tf_finetune.audit.finding import NOTE, WARNING, Finding
from tf_finetune.config import TokensConfig
from tf_finetune.data import Examples
from tf_finetune.tokens.encoder import TextEncoder
from tf_finetune.tokens.lengths import PERCENTILES

__all__ = ["Choice", "TokenLengths", "length_findings", "measure_lengths"]

CHOICES = (32, 64, 128, 256, 384, 512)
LITTLE = 0.01
"""Share of all tokens that may be cut off without a word."""

BATCH_TEXTS = 256
BINS = 40
LOST_PART = {"head": "the end of a text", "tail": "the start of a text", "head+tail": "what is in the middle of a text"}


@dataclass(frozen=True)
class Choice:
    """What one --max-length would do to the training rows.

    Attributes:
        max_length: Longest row, special tokens included.
        truncated: Share of the rows that are cut.
        lost: Share of all tokens that are cut off.
        tokens: Tokens of an epoch that are left to compute.
    """

    max_length: int
    truncated: float
    lost: float
    tokens: int


@dataclass(frozen=True)
class TokenLengths:
    """Lengths of the training rows in tokens, special tokens included, before anything is cut.

    Attributes:
        model: Whose tokenizer counts them.
        truncate: Which part of a longer text is kept.
        longest: Most tokens that the model takes; None without a limit.
        percentiles: Percentile to length.
        current: What the chosen --max-length does.
        choices: What others would do, as far as the model takes them.
        suggestion: The smallest of them that cuts off less than 1 % of the tokens; None if all cut more.
        histogram: Upper end and number of rows of each range of lengths; the last one holds all that are longer.
    """

    model: str
    truncate: str
    longest: int | None
    percentiles: dict[int, int]
    current: Choice
    choices: tuple[Choice, ...]
    suggestion: Choice | None
    histogram: tuple[tuple[int, int], ...]

    @property
    def advice(self) -> str:
        """What to make of it, in sentences."""
        now, best = self.current, self.suggestion
        cut = f"--max-length {now.max_length} cuts none of the texts."
        if now.truncated:
            cut = (
                f"--max-length {now.max_length} cuts {now.truncated:.1%} of the texts and {now.lost:.1%} of all tokens "
                f"({LOST_PART[self.truncate]}: --truncate {self.truncate})."
            )
        if now.lost < LITTLE and (best is None or best.max_length >= now.max_length):
            return f"{cut} That is next to nothing." if now.truncated else cut
        if best is None:
            last = max((now, *self.choices), key=lambda choice: choice.max_length)
            return (
                f"{cut} None up to {last.max_length} cuts less than {LITTLE:.0%}; that one still cuts {last.lost:.1%}. "
                "Try other values of --truncate."
            )
        if best.max_length < now.max_length:
            return (
                f"{cut} --max-length {best.max_length} would do, too: it cuts {best.lost:.1%} of all tokens. "
                "That saves memory rather than time: shorter texts are not padded to it."
            )
        return (
            f"{cut} --max-length {best.max_length} would cut only {best.lost:.1%} of them, and cost "
            f"{best.tokens / now.tokens:.2f} times the tokens to compute an epoch, and more memory for each text: "
            "attention grows with the square of the length."
        )


def measure_lengths(
    train: Examples,
    tokenizer: Any,
    *,
    model: str,
    longest: int | None = None,
    max_length: int = TokensConfig.max_length,
    truncate: str = TokensConfig.truncate,
) -> TokenLengths:
    """Counts the tokens of the training rows; nothing is kept on disk, and 4 bytes a row in memory.

    Args:
        train: The training rows.
        tokenizer: A tokenizer from `load_tokenizer`.
        model: Its name.
        longest: Most tokens that the model takes; None without a limit.
        max_length: Longest row in tokens, special tokens included.
        truncate: ``head``, ``tail`` or ``head+tail``.

    Raises:
        TokenizerError: `max_length` leaves no room for text.
    """
    encoder = TextEncoder(tokenizer, max_length=max_length, truncate=truncate, pairs=train.has_pairs)
    full = np.concatenate([encoder.encode(*batch).full_lengths for batch in train.batches(BATCH_TEXTS)])
    shortest = encoder.template.added + 1 + train.has_pairs
    usable = [n for n in CHOICES if (longest is None or n <= longest) and n >= shortest]
    choices = tuple(_choice(full, n) for n in usable)
    return TokenLengths(
        model=model,
        truncate=truncate,
        longest=longest,
        percentiles={p: int(np.percentile(full, p, method="higher")) for p in PERCENTILES},
        current=_choice(full, max_length),
        choices=choices,
        suggestion=next((choice for choice in choices if choice.lost < LITTLE), None),
        histogram=_histogram(full, max_length),
    )


def length_findings(corpus: Corpus, lengths: TokenLengths) -> list[Finding]:
    """Whether much is cut off, or far more was allowed than is needed."""
    now, best = lengths.current, lengths.suggestion
    cut = round(now.truncated * len(corpus.parts[0]))
    splits = (corpus.names[0],)
    if now.lost >= LITTLE:
        return [Finding("truncated", WARNING, cut, lengths.advice, (), splits)]
    if best is not None and best.max_length < now.max_length and best.tokens < now.tokens:
        return [Finding("short_texts", NOTE, len(corpus.parts[0]), lengths.advice, (), splits)]
    return []


def _choice(full: np.ndarray, max_length: int) -> Choice:
    kept, total = int(np.minimum(full, max_length).sum()), int(full.sum())
    return Choice(max_length, float((full > max_length).mean()), 1.0 - kept / total, kept)


def _histogram(full: np.ndarray, max_length: int) -> tuple[tuple[int, int], ...]:
    """Ranges of one width up to the 99.5th percentile, with `max_length` in sight, and one for the rest."""
    reach = max(int(np.percentile(full, 99.5)), min(max_length, 2 * int(full.max())))
    width = max(1, -(-reach // BINS))
    place = np.minimum((full - 1) // width, -(-reach // width))
    counts = np.bincount(place)
    return tuple((int((i + 1) * width), int(count)) for i, count in enumerate(counts))
