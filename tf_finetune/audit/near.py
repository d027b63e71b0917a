"""Near duplicates: pairs of texts that share most of their word pairs, found without comparing all with all.

MinHash (Broder 1997, "On the resemblance and containment of documents"): under a random order of all shingles, two
sets have the same least shingle with a probability that is their Jaccard similarity. Signatures of 125 such minima are
cut into 25 bands of 5; texts that agree in a band are compared (Indyk and Motwani 1998; Leskovec, Rajaraman, Ullman,
"Mining of Massive Datasets", section 3.4). A pair of similarity s is missed with probability (1 - s^5)^25: 5e-5 at 0.8,
4e-7 at 0.85. What is found is verified by the exact Jaccard similarity of the shingles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from tf_finetune.audit.corpus import Corpus
from tf_finetune.data.sampling import mix

__all__ = ["SIMILAR", "NearPairs", "find_near_pairs", "jaccard", "shingles"]

SIMILAR = 0.8
"""Least Jaccard similarity of near duplicates. With pairs of words as shingles, one word changed within a text of 19
words or more leaves that much; in a longer text, one word in 19."""

BANDS = 25
BAND_ROWS = 5
SEED = 1997
BATCH_TEXTS = 256
"""Their shingles, 4 bytes each, stay in the processor's cache while 125 minima are taken."""

WINDOW = 32
"""Texts of the same band with which each is compared. Only in crowds of more than that many alike are there others."""

MOST_CANDIDATES = 2_000_000
"""Most pairs that are compared: some minutes. Data that has more is nearly all made from one template."""

VERIFIED_TOGETHER = 4096
KNOWN_WORDS = 1 << 20

SCRIPTS_WITHOUT_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
WORD = re.compile(f"[^\\W{SCRIPTS_WITHOUT_SPACES}]+|[{SCRIPTS_WITHOUT_SPACES}]")
"""Letters and digits in a row; in scripts that write no spaces (Chinese, Japanese, Thai, ...), each character."""


@dataclass(frozen=True)
class NearPairs:
    """Pairs of rows with different texts that are near duplicates; for equal texts, the first row stands for all.

    Attributes:
        first: int64 `[pairs]`, the row with the smaller number.
        second: int64 `[pairs]`.
        similarity: float64 `[pairs]`, Jaccard, `SIMILAR` or more.
        is_complete: Whether all candidates were compared.
    """

    first: np.ndarray
    second: np.ndarray
    similarity: np.ndarray
    is_complete: bool


def find_near_pairs(corpus: Corpus, rows: np.ndarray) -> NearPairs:
    """Finds the near duplicates among some rows.

    Memory: 204 bytes a row, and the texts of a few thousand rows at a time.

    Args:
        corpus: All rows.
        rows: int64 `[m]`, ascending: one row for each different text.
    """
    keys, is_empty = _band_keys(corpus, rows)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    left = MOST_CANDIDATES
    is_complete = True
    for first, second, crowded in _candidates(keys, np.flatnonzero(~is_empty)):
        is_complete &= not crowded and len(first) <= left
        first, second = first[:left], second[:left]
        left -= len(first)
        found.append(_verified(corpus, rows[first], rows[second]))
        if not left:
            break
    one, two, similarity = (
        (np.concatenate(part) for part in zip(*found, strict=True))
        if found
        else (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    )
    order = np.lexsort((two, one))
    return NearPairs(one[order], two[order], similarity[order], is_complete)


def shingles(text: str) -> set[tuple[str, ...]]:
    """All pairs of neighbouring words, in lower case and without punctuation; of a single word, the word."""
    words = WORD.findall(text.casefold())
    return set(zip(words, words[1:], strict=False)) if len(words) > 1 else {(word,) for word in words}


def jaccard(first: set[tuple[str, ...]], second: set[tuple[str, ...]]) -> float:
    """Shared shingles by all shingles; 0 for two empty sets."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared) if shared else 0.0


class _Codes(dict[str, int]):
    """CRC-32 of words, each computed once."""

    def __missing__(self, word: str) -> int:
        if len(self) >= KNOWN_WORDS:
            self.clear()
        code = self[word] = crc32(word.encode("utf-8"))
        return code


def _band_keys(corpus: Corpus, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A hash of each band of each text's signature (uint64 `[m, BANDS]`), and which texts have no words."""
    count = BANDS * BAND_ROWS
    numbers = mix(np.arange(2 * count, dtype=np.uint64), seed=SEED) >> np.uint64(32)
    factors = numbers[:count].astype(np.uint32) | np.uint32(1)  # odd: one to one modulo 2^32
    offsets = numbers[count:].astype(np.uint32)
    codes = _Codes()
    keys = np.zeros((len(rows), BANDS), np.uint64)
    is_empty = np.zeros(len(rows), bool)
    for start in range(0, len(rows), BATCH_TEXTS):
        texts = corpus.texts_at(rows[start : start + BATCH_TEXTS])
        hashes, sizes = _shingle_hashes(texts, codes)
        here = slice(start, start + len(texts))
        is_empty[here] = sizes == 0
        full = np.flatnonzero(sizes)
        if len(full):
            starts = np.cumsum(sizes[full]) - sizes[full]
            minima = np.stack(  # [full, count]
                [np.minimum.reduceat(hashes * a + b, starts) for a, b in zip(factors, offsets, strict=True)], axis=1
            )
            keys[start + full] = _hashed_bands(minima)
    return keys, is_empty


def _shingle_hashes(texts: Sequence[str], codes: _Codes) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of all shingles, one text after the other (uint32 `[shingles]`), and how many each text has."""
    flat: list[int] = []
    lengths = np.zeros(len(texts), np.int64)
    for i, text in enumerate(texts):
        words = WORD.findall(text.casefold())
        flat += map(codes.__getitem__, words)
        lengths[i] = len(words)
    words_in_order = np.array(flat, np.uint64)
    following = np.append(words_in_order[1:], np.uint64(0)) if flat else words_in_order
    ends = np.cumsum(lengths)[lengths > 0] - 1
    is_single = lengths[lengths > 0] == 1
    following[ends] = 0
    is_shingle = np.ones(len(flat), bool)
    is_shingle[ends[~is_single]] = False
    pairs = (words_in_order << np.uint64(32)) | following
    hashes = (mix(pairs[is_shingle], seed=SEED) >> np.uint64(32)).astype(np.uint32)
    return hashes, np.where(lengths > 1, lengths - 1, lengths)


def _hashed_bands(minima: np.ndarray) -> np.ndarray:
    """uint64 `[m, BANDS]` from uint32 `[m, BANDS * BAND_ROWS]`."""
    bands = minima.reshape(len(minima), BANDS, BAND_ROWS).astype(np.uint64)
    key = np.zeros(bands.shape[:2], np.uint64)
    for i in range(BAND_ROWS):
        key = mix(key ^ bands[:, :, i], seed=i)
    return key


def _candidates(keys: np.ndarray, members: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
    """Yields pairs that agree in a band, each pair once, and whether there was a crowd that is not all compared.

    Args:
        keys: uint64 `[m, BANDS]`.
        members: int64, the texts to look at.
    """
    for band in range(BANDS):
        order = members[np.argsort(keys[members, band], kind="stable")]
        ordered = keys[order, band]
        for distance in range(1, WINDOW + 1):
            same = np.flatnonzero(ordered[distance:] == ordered[:-distance])
            if not len(same):
                break
            first, second = order[same], order[same + distance]
            is_new = ~(keys[first, :band] == keys[second, :band]).any(axis=1)
            if is_new.any():
                yield first[is_new], second[is_new], distance == WINDOW


def _verified(corpus: Corpus, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of rows whose exact similarity is `SIMILAR` or more, and that similarity."""
    similarity = np.zeros(len(first))
    for start in range(0, len(first), VERIFIED_TOGETHER):
        here = slice(start, start + VERIFIED_TOGETHER)
        rows = np.unique(np.concatenate([first[here], second[here]]))
        sets = dict(zip(rows.tolist(), map(shingles, corpus.texts_at(rows)), strict=True))
        pairs = zip(first[here].tolist(), second[here].tolist(), strict=True)
        similarity[here] = [jaccard(sets[one], sets[two]) for one, two in pairs]
    kept = similarity >= SIMILAR
    return np.minimum(first, second)[kept], np.maximum(first, second)[kept], similarity[kept]
