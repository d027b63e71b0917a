"""`excerpts`: the parts of a long explained text that hold the words which count most."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from tf_finetune.explain.explanation import ExplainedText

__all__ = ["excerpts"]

AROUND = 90
"""Characters that are kept before and after a word."""

Span = tuple[int, int]


def excerpts(one: ExplainedText, width: int) -> list[ExplainedText]:
    """Parts of a text, in order and apart from each other, around its strongest words.

    Args:
        one: The text.
        width: Most characters of all parts together. A text of so many is one part, whole.
    """
    if len(one.text) <= width:
        return [one]
    spans: list[Span] = []
    for word in sorted(one.words, key=lambda word: -abs(word.attribution)):
        end = min(word.end, word.start + AROUND)
        wider = _merged([*spans, _to_spaces(one.text, word.start - AROUND, end + AROUND)])
        if sum(last - first for first, last in wider) > width:
            break
        spans = wider
    return [_part(one, span) for span in spans or [(0, width)]]


def _to_spaces(text: str, start: int, end: int) -> Span:
    """A span made smaller to begin and end at spaces near its ends, so that no word is cut; within the text."""
    start, end = max(start, 0), min(end, len(text))
    if start:
        start += max(text[start : start + AROUND // 2].find(" "), -1) + 1
    if end < len(text):
        space = text.rfind(" ", end - AROUND // 2, end)
        end = space if space > start else end
    return start, end


def _merged(spans: list[Span]) -> list[Span]:
    """Spans in order; those that touch as one."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def _part(one: ExplainedText, span: Span) -> ExplainedText:
    first, last = span
    words = tuple(
        dataclasses.replace(word, start=start, end=end)
        for word in one.words
        for start, end in _within(word.start, word.end, span)
    )
    cut = tuple(part for start, end in one.cut for part in _within(start, end, span))
    return ExplainedText(one.text[first:last], words, cut)


def _within(start: int, end: int, span: Span) -> Iterator[Span]:
    """What of a span lies within another, counted from that one's start; nothing if they are apart."""
    first, last = span
    start, end = max(start, first), min(end, last)
    if start < end:
        yield start - first, end - first
