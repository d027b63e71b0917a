"""`group_words`: tokens to the words that a reader sees, by the places of their characters in the text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["TokenGroup", "group_words", "trimmed"]

APOSTROPHES = "'\u2019"
JOINER = "\u200d"
"""Zero-width joiner, which makes one emoji of several."""

WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, kana and Han, which are written without spaces between words: there, a token is a word."""


@dataclass(frozen=True)
class TokenGroup:
    """The tokens of one word.

    Attributes:
        start: First character of the word.
        end: Character after the last one.
        tokens: Index of each of its tokens.
    """

    start: int
    end: int
    tokens: tuple[int, ...]


def group_words(text: str, spans: Sequence[tuple[int, int]], cut: Sequence[tuple[int, int]] = ()) -> list[TokenGroup]:
    """Puts tokens together that are pieces of one word.

    A word is a run of letters, digits and marks, with apostrophes inside ("don't"); any other character is one by
    itself, unless a token holds several of them. Every token belongs to one word: one that stands for a space alone to
    the word after it.

    Args:
        text: The text.
        spans: First character of each token, and the one after its last; in order.
        cut: The same of each part that was cut out between tokens; no word goes on across it.

    Returns:
        The words in order, without overlap; none if all tokens stand for spaces.
    """
    cuts = [start for start, _ in cut]
    groups: list[TokenGroup] = []
    waiting: list[int] = []
    for i, span in enumerate(spans):
        start, end = trimmed(text, *span)
        if start == end:
            waiting.append(i)
            continue
        before = groups[-1] if groups and not waiting else None
        if before is not None and _next(cuts, before.end, start) == start and _is_one_word(text, before.end, start):
            groups[-1] = TokenGroup(before.start, max(before.end, end), (*before.tokens, i))
            continue
        groups.append(TokenGroup(start, end, (*waiting, i)))
        waiting = []
    if waiting and groups:
        last = groups[-1]
        groups[-1] = TokenGroup(last.start, last.end, (*last.tokens, *waiting))
    return list(_with_marks(text, groups, cuts))


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A span without the spaces at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _is_one_word(text: str, end: int, start: int) -> bool:
    """Whether a token that begins at `start` goes on with the word that ends at `end`."""
    if start < end:
        return True  # two tokens share a character, such as the bytes of an emoji
    if any(char.isspace() for char in text[end:start]):
        return False
    before, after = text[end - 1], text[start]
    if _is_mark(after) or JOINER in (before, after):
        return True
    if WITHOUT_SPACES.match(before) or WITHOUT_SPACES.match(after):
        return False
    if before in APOSTROPHES:
        return end > 1 and _is_letter(text[end - 2]) and _is_letter(after)
    if after in APOSTROPHES:
        return _is_letter(before) and start + 1 < len(text) and _is_letter(text[start + 1])
    return _is_letter(before) and _is_letter(after)


def _is_letter(char: str) -> bool:
    return char.isalnum() or char == "_" or _is_mark(char)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char).startswith("M")


def _next(places: Sequence[int], start: int, end: int) -> int:
    """The first of some places from `start` on, if it lies before `end`; else `end`."""
    return min((place for place in places if start <= place < end), default=end)


def _with_marks(text: str, groups: Sequence[TokenGroup], cuts: Sequence[int]) -> Iterator[TokenGroup]:
    """Takes accents at the end of a word in, which some tokenizers drop."""
    for i, group in enumerate(groups):
        end = group.end
        limit = _next(cuts, end, groups[i + 1].start if i + 1 < len(groups) else len(text))
        while end < limit and _is_mark(text[end]):
            end += 1
        yield TokenGroup(group.start, end, group.tokens)
