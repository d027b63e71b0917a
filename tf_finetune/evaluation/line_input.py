"""Lines of text as they arrive, none held back while more is waited for."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from tf_finetune.errors import DataError

__all__ = ["arriving_lines"]

MOST_LINES = 256
READ_BYTES = 1 << 16


def arriving_lines(lines: TextIO, *, has_pairs: bool) -> Iterator[tuple[list[list[str]], DataError | None]]:
    """Yields what has arrived, at most 256 lines at a time: the fields of each line, and what is wrong with the next.

    Fields are ``[text]``, or ``[text, pair]`` with `has_pairs`. After an error nothing more is read. What arrives while
    the caller works waits in the pipe, so memory does not grow with the input.

    Args:
        lines: an open text file, from which nothing was read yet.
        has_pairs: whether a line holds text TAB pair.
    """
    buffer = getattr(lines, "buffer", None)
    encoding = "utf-8" if buffer is None else lines.encoding
    number = 1
    for raw in _complete_lines(_blocks(lines)):
        fields, error = _parse(raw, number, encoding, has_pairs)
        yield fields, error
        if error is not None:
            return
        number += len(raw)


def _blocks(lines: TextIO) -> Iterator[bytes]:
    """Bytes as they arrive: a read returns what is there, and waits only when there is nothing."""
    buffer = getattr(lines, "buffer", None)
    if buffer is not None:
        # beneath the text layer, which decodes ahead: there, a broken byte would hide the good lines before it
        return iter(lambda: buffer.read1(READ_BYTES), b"")
    return (line.encode("utf-8", "surrogatepass") for line in iter(lines.readline, ""))


def _complete_lines(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines that each block completes, without their line feed; at the end also one without."""
    pending: list[bytes] = []
    for block in blocks:
        first, *rest = block.split(b"\n")
        pending.append(first)
        if rest:
            complete = [b"".join(pending), *rest[:-1]]
            pending = [rest[-1]]
            for start in range(0, len(complete), MOST_LINES):
                yield complete[start : start + MOST_LINES]
    if any(pending):
        yield [b"".join(pending)]


def _parse(
    raw: Sequence[bytes], number: int, encoding: str, has_pairs: bool
) -> tuple[list[list[str]], DataError | None]:
    """The fields of each line up to the first broken one, and its error; `number` is that of the first line."""
    parsed: list[list[str]] = []
    for i, line in enumerate(raw, start=number):
        if i == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        try:
            text = line.removesuffix(b"\r").decode(encoding)
        except UnicodeDecodeError as error:
            return parsed, DataError(
                f"Line {i} of the input is not {encoding}: byte {error.start + 1}, {error.reason}. "
                "Give the encoding that the input has, for example --encoding cp1252."
            )
        fields = text.split("\t") if has_pairs else [text]
        if has_pairs and len(fields) != 2:
            return parsed, DataError(
                f"Line {i} of the input must hold text TAB pair: the model was trained on sentence pairs. "
                f"Received {len(fields) - 1} tabs."
            )
        parsed.append(fields)
    return parsed, None
