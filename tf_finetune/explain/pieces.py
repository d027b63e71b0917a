"""`pieces`: a text from its first character to its last, as words, what is between them, and what was cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tf_finetune.explain.explanation import ExplainedText, Word

__all__ = ["Piece", "pieces"]


@dataclass(frozen=True)
class Piece:
    """A part of a text.

    Attributes:
        start: Its first character.
        end: The character after its last one.
        word: The word that it is, or None.
        is_cut: Whether truncation kept it from the model.
    """

    start: int
    end: int
    word: Word | None = None
    is_cut: bool = False


def pieces(one: ExplainedText) -> Iterator[Piece]:
    """The pieces in order, which together are the text."""
    words = [Piece(word.start, word.end, word) for word in one.words]
    cuts = [Piece(start, end, is_cut=True) for start, end in one.cut]
    place = 0
    for piece in sorted([*words, *cuts], key=lambda piece: (piece.start, piece.end)):
        if piece.start > place:
            yield Piece(place, piece.start)
        yield piece
        place = piece.end
    if place < len(one.text):
        yield Piece(place, len(one.text))
