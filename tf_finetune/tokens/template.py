"""Where a tokenizer puts its special tokens, read off the tokenizer itself."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tf_finetune.errors import TokenizerError

__all__ = ["Template", "read_template"]

PROBES = ("a", "the", "1", "x")


@dataclass(frozen=True)
class Template:
    """`specials[0] text specials[1]`, or `specials[0] text specials[1] pair specials[2]`.

    Attributes:
        specials: ids of the special tokens before, between and after the segments.
        special_types: their token type ids, in the same shape.
        segment_types: token type id of each segment.
    """

    specials: tuple[tuple[int, ...], ...]
    special_types: tuple[tuple[int, ...], ...]
    segment_types: tuple[int, ...]

    @property
    def added(self) -> int:
        """How many special tokens are added to a text."""
        return sum(len(group) for group in self.specials)


def read_template(tokenizer: Any, *, pairs: bool) -> Template:
    """Encodes one short probe and splits it into special tokens and segments.

    Args:
        tokenizer: A fast tokenizer without truncation and padding.
        pairs: Whether texts come in pairs.

    Raises:
        TokenizerError: The special tokens do not frame the segments (no known tokenizer does otherwise).
    """
    segments = 2 if pairs else 1
    for probe in PROBES:
        encoding = tokenizer.backend_tokenizer.encode(probe, probe if pairs else None)
        marks = [(mask, sequence) for mask, sequence in zip(encoding.special_tokens_mask, encoding.sequence_ids)]
        if len({sequence for mask, sequence in marks if not mask}) == segments:
            return _split(encoding, marks, segments)
    raise TokenizerError(f"The tokenizer makes no tokens of {PROBES[0]!r}; its vocabulary seems to be empty.")


def _split(encoding: Any, marks: list[tuple[int, int | None]], segments: int) -> Template:
    specials: list[list[int]] = [[] for _ in range(segments + 1)]
    special_types: list[list[int]] = [[] for _ in range(segments + 1)]
    segment_types: list[int] = []
    for _, positions in groupby(
        range(len(marks)), key=lambda i: (marks[i][0], marks[i][1] if not marks[i][0] else None)
    ):
        run = list(positions)
        if not marks[run[0]][0]:
            segment_types.append(encoding.type_ids[run[0]])
            continue
        specials[len(segment_types)] = [encoding.ids[i] for i in run]
        special_types[len(segment_types)] = [encoding.type_ids[i] for i in run]
    if len(segment_types) != segments:
        raise TokenizerError("The tokenizer puts special tokens inside a segment; such tokenizers are not supported.")
    return Template(
        specials=tuple(tuple(group) for group in specials),
        special_types=tuple(tuple(group) for group in special_types),
        segment_types=tuple(segment_types),
    )
