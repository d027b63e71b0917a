"""Odd texts: without words, left-over mark-up, and characters that a wrong encoding left behind.

Each check is a function of one text. What they look for is written at each pattern.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from tf_finetune.audit.finding import NOTE, WARNING

__all__ = ["CHECKS", "MARKUP", "Check", "has_markup", "without_words"]

TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s[^<>]{0,500})?/?>")
"""``<br />``, ``</p>``, ``<a href="...">``."""

ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#[0-9]{1,6}|#[xX][0-9a-fA-F]{1,6});|(?<![\w&])#[0-9]{2,4};")
"""``&amp;``, ``&#39;``, and ``#39;``, which is left where only the & was mended."""

URL = re.compile(r"(?:https?://|www\.)\S+")

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line ends, and those that turn the direction of writing."""

WINDOWS = re.compile("[\x80-\x9f]")
"""What quotes and dashes of Windows-1252 become when it is read as Latin-1."""

BYTES = "\x80-\xbf" + re.escape("".join(bytes([byte]).decode("cp1252", "ignore") for byte in range(0x80, 0xA0)))
"""What Latin-1 and Windows-1252 make of the bytes with which UTF-8 continues a character."""

MOJIBAKE = re.compile(f"[ÂÃÄÅÐÑ][{BYTES}]|[âã][{BYTES}]{{2}}|ð[\u0178\x9f][{BYTES}]{{1,2}}")
"""``Ã©`` for é, ``â€™`` for ’: UTF-8 that was read as Windows-1252 or Latin-1. Western and Central European letters,
Greek and Cyrillic in part, punctuation and emoji; verified by decoding them once more."""

REPEATED = 4
"""Letters or digits from which on one character alone is no word."""


@dataclass(frozen=True)
class Check:
    """What to look for in each text.

    Attributes:
        kind: Name of the finding.
        severity: Its severity.
        title: What was found, before the number of rows.
        advice: What to make of it, in a sentence.
        is_so: Whether a text is one of them.
    """

    kind: str
    severity: str
    title: str
    advice: str
    is_so: Callable[[str], bool]


def has_markup(text: str) -> bool:
    """Whether a text has HTML tags or entities."""
    return ("<" in text and TAG.search(text) is not None) or (";" in text and ENTITY.search(text) is not None)


def without_words(text: str) -> str | None:
    """Why a text has no words, in words; None if it has some.

    - It has no letter of any script, as ``10/10`` or ``!!!``.
    - All of its four or more letters and digits are one, as in ``aaaaaaa``.
    - There is nothing beside URLs.
    """
    if not any(map(str.isalpha, text)):
        return "no letters"
    characters = [char for char in text.casefold() if char.isalnum()]
    if len(characters) >= REPEATED and len(set(characters)) == 1:
        return "one character repeated"
    if "://" in text or "www." in text:
        return None if any(map(str.isalpha, URL.sub("", text))) else "URLs only"
    return None


def is_mojibake(text: str) -> bool:
    """Whether a part of the text becomes another character when it is encoded as it was wrongly decoded."""
    return not text.isascii() and any(map(_decodes, MOJIBAKE.findall(text)))


def _decodes(found: str) -> bool:
    raw = b"".join(char.encode("cp1252", "ignore") or bytes([ord(char) & 0xFF]) for char in found)
    try:
        char = raw.decode("utf-8", "strict" if raw[0] < 0xF0 else "replace")
    except UnicodeDecodeError:
        return False
    return raw[0] >= 0xE0 or raw[0] == 0xC2 or char.isalpha()


def _is_not_normal(text: str) -> bool:
    return not text.isascii() and not unicodedata.is_normalized("NFC", text)


MARKUP = Check(
    "markup",
    NOTE,
    "HTML tags or entities, such as <br /> or &amp;",
    "A model reads them as words: replace them in the file.",
    has_markup,
)
CHECKS = (
    MARKUP,
    Check(
        "mojibake",
        WARNING,
        "Characters such as Ã©, which UTF-8 becomes when it is read in another encoding",
        "Write the file again from its source, or see --encoding.",
        is_mojibake,
    ),
    Check(
        "windows_characters",
        NOTE,
        "Characters such as U+0096, which dashes and quotes of Windows-1252 become when it is read as Latin-1",
        "Where the file is in one of these encodings: --encoding cp1252; else write it again from its source.",
        lambda text: not text.isascii() and WINDOWS.search(text) is not None,
    ),
    Check(
        "replacement_characters",
        WARNING,
        "U+FFFD, which stands where a character was lost",
        "Write the file again from its source.",
        lambda text: "\ufffd" in text,
    ),
    Check(
        "control_characters",
        NOTE,
        "Control characters, or ones that turn the direction of writing",
        "Nobody sees them, but the tokenizer may.",
        lambda text: not text.isprintable() and CONTROL.search(text) is not None,
    ),
    Check(
        "byte_order_marks",
        NOTE,
        "A byte order mark (U+FEFF) inside",
        "Files were joined without care.",
        lambda text: "\ufeff" in text,
    ),
    Check(
        "not_nfc",
        NOTE,
        "Not in Unicode's normal form NFC",
        "The same letter is written in two ways, and a tokenizer may take it for two.",
        _is_not_normal,
    ),
)
