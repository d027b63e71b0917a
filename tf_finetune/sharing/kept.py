"""What a person wrote into a model card: found again, and kept when the card is written anew.

A card of ours has a seal: a digest of all its text but the block of metadata and the places that are for people. With
another text around these places it was changed by hand, and is no longer ours to replace.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tf_finetune.errors import RunError

__all__ = ["Kept", "fill_places", "place", "read_card", "read_kept", "replace_front", "seal"]

LARGEST = 1 << 20
"""Most bytes of a card that is read."""

FRONT = re.compile(r"\A---\n(.*?\n)---\n", re.DOTALL)
SEAL = re.compile(r"\n*<!-- Written by tf_finetune \(([0-9a-f]{16}), run ([0-9a-f]+)\)[^\n]*-->\n")
PLACE = re.compile(r"^<!-- keep: ([a-z ]+) -->\n(.*?)^<!-- end of keep -->$", re.DOTALL | re.MULTILINE)

HINT = (
    'Only what stands between "keep" and "end of keep" stays when it is written again, and your own keys in the block '
    "above."
)


@dataclass(frozen=True)
class Kept:
    """What a person wrote into a card.

    Attributes:
        metadata: All keys of the block, those that are written anew among them.
        places: Name of a place to the text in it.
        run_id: The run that the card was written for; None without a card.
    """

    metadata: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    run_id: str | None = None


def place(name: str, text: str) -> str:
    """A place that is for a person, with the text in it."""
    return f"<!-- keep: {name} -->\n{text}<!-- end of keep -->"


def seal(body: str, run_id: str) -> str:
    """The text below the metadata with its seal.

    Args:
        body: The text.
        run_id: Of the run, in hexadecimal digits.
    """
    return f"<!-- Written by tf_finetune ({_digest(body)}, run {run_id}). {HINT} -->\n{body}"


def read_card(path: Path) -> str | None:
    """The text of a card, None if there is none.

    Raises:
        RunError: It is no regular file, too large, or no UTF-8.
    """
    if not path.exists():
        return None
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise RunError(f"{path} is no model card: expected a text of at most {LARGEST >> 20} MB. Rename it.")
    try:
        return path.read_text(encoding="utf-8-sig")  # editors on Windows put a mark in front
    except (OSError, ValueError) as error:
        raise RunError(f"Cannot read {path}: {error}. Rename it, or save it as UTF-8.") from error


def read_kept(text: str) -> Kept | None:
    """What a person wrote into a card of ours; None if the card is not ours, or was changed around the places.

    A card that has nothing but metadata, as the hub makes one for a new repository, counts as ours.
    """
    text = text.replace("\r\n", "\n")  # of editors on Windows and on the hub
    front = FRONT.match(text)
    metadata = _metadata(front.group(1)) if front else None
    if front is None or metadata is None:
        return None
    if not text[front.end() :].strip():
        return Kept(metadata)
    found = SEAL.match(text, front.end())
    body = text[found.end() :] if found else ""
    if found is None or found.group(1) != _digest(body):
        return None
    return Kept(metadata, {match.group(1): match.group(2) for match in PLACE.finditer(body)}, found.group(2))


def fill_places(text: str, places: Mapping[str, str]) -> str:
    """A card with other texts in some of its places."""

    def filled(match: re.Match[str]) -> str:
        return place(match.group(1), places.get(match.group(1), match.group(2)))

    return PLACE.sub(filled, text)


def replace_front(text: str, front: str) -> str:
    """A card with another block of metadata, its two lines of dashes included."""
    return FRONT.sub(lambda _: front, text)


def _metadata(block: str) -> dict[str, Any] | None:
    """The keys of a block of metadata; None if it is none."""
    try:
        values = yaml.load(block, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    is_block = isinstance(values, dict) and all(isinstance(key, str) for key in values)
    return values if is_block else None


def _digest(body: str) -> str:
    """Of the text around the places, whatever the blanks at the ends of its lines."""
    around = PLACE.sub(r"\1", body)
    return hashlib.sha256("\n".join(map(str.rstrip, around.strip().splitlines())).encode()).hexdigest()[:16]


class _Loader(yaml.SafeLoader):
    """Takes ``no`` for a language, and a date for text, as YAML 1.2 does."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith((":bool", ":timestamp"))]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
