"""Texts made of sentences that were drawn at random, with near duplicates planted among them."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

SPLIT = re.compile(r"(?<=[.!?])\s+")
IMDB = Path(__file__).parents[3] / "shared" / "data" / "imdb"
"""The Large Movie Review Dataset, beside the checkout."""


def imdb_sentences(limit: int = 60_000) -> list[str]:
    """Sentences of reviews, in a fixed order."""
    found: list[str] = []
    for path in sorted(IMDB.glob("*/*/*.txt")):
        found += SPLIT.split(path.read_text(encoding="utf-8"))
        if len(found) > limit:
            break
    return found


def recombined(sentences: Sequence[str], count: int, *, seed: int = 1) -> list[str]:
    """Texts of 5 to 18 of the sentences."""
    chance = random.Random(seed)
    return [" ".join(chance.choices(sentences, k=chance.randint(5, 18))) for _ in range(count)]


def plant(texts: list[str], pairs: int, *, changed: int, seed: int = 2) -> set[tuple[int, int]]:
    """Overwrites some texts with copies of others in which 1 to `changed` words are replaced; returns the pairs."""
    chance = random.Random(seed)
    chosen = chance.sample(range(len(texts)), 2 * pairs)
    planted = set()
    for original, copy in zip(chosen[:pairs], chosen[pairs:], strict=True):
        words = texts[original].split()
        for place in chance.sample(range(len(words)), chance.randint(1, changed)):
            words[place] = chance.choice(["splendid", "tedious", "peculiar", "unlikely", "whatever"])
        texts[copy] = " ".join(words)
        planted.add((min(original, copy), max(original, copy)))
    return planted
