"""`LetterModel`: which texts are random letters, told by the letters of the other texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf_finetune.audit.corpus import Corpus

__all__ = ["LetterModel"]

MODEL_TEXTS = 5_000
"""Texts, evenly spaced, that the model is made from."""

LEAST_PAIRS = 10_000
"""Pairs of letters without which there is no model: a few hundred short texts."""

ROW_PAIRS = 15
"""Pairs of letters without which a text is too short to be judged."""

TIMES_USUAL = 1.7
"""Times the usual surprisal from which on letters are random: English words have about 3.4 bits a letter under such a
model, its rarest texts 1.4 times as much, German and French 1.2 times, letters drawn at random or typed by a cat 1.7
to 3.3 times."""

LETTERS = 26


class LetterModel:
    """How likely each of the letters a to z follows another within a word, counted over the data itself.

    A text is random if its letters surprise `TIMES_USUAL` times as much as those of the median text. Texts with
    characters beyond ASCII are not judged, so that other scripts and most other languages are never random; nor are
    words that exist in an odd order.

    Args:
        corpus: The rows.

    Attributes:
        usual: Surprisal of the median text, in bits a letter; None if there are too few letters to tell.
    """

    def __init__(self, corpus: Corpus) -> None:
        rows = np.unique(np.linspace(0, len(corpus) - 1, min(MODEL_TEXTS, len(corpus))).astype(np.int64))
        texts = corpus.texts_at(rows)
        pairs, _ = _letter_pairs(texts)
        counts = np.bincount(pairs, minlength=LETTERS**2).reshape(LETTERS, LETTERS) + 0.5
        self._bits = -np.log2(counts / counts.sum(axis=1, keepdims=True)).ravel()
        self.usual: float | None = None
        if len(pairs) >= LEAST_PAIRS:
            mean, enough = self._surprisals(texts)
            self.usual = float(np.median(mean[enough])) if enough.any() else None

    def random_rows(self, texts: Sequence[str]) -> np.ndarray:
        """Which of some texts are random letters, bool `[n]`."""
        mean, enough = self._surprisals(texts)
        if self.usual is None:
            return np.zeros(len(texts), bool)
        is_ascii = np.fromiter(map(str.isascii, texts), bool, len(texts))
        found: np.ndarray = is_ascii & enough & (mean > TIMES_USUAL * self.usual)
        return found

    def _surprisals(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Mean bits a letter of each text (float64 `[n]`), and which have letters enough."""
        pairs, of_text = _letter_pairs(texts)
        counts = np.bincount(of_text, minlength=len(texts))
        bits = np.bincount(of_text, weights=self._bits[pairs], minlength=len(texts))
        return bits / np.maximum(counts, 1), counts >= ROW_PAIRS


def _letter_pairs(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Neighbouring letters, a to z in any case, as one number each, and the text that each is from: int64 `[pairs]`."""
    encoded = [text.encode("ascii", "replace") for text in texts]
    flat = np.frombuffer(b"\n".join([*encoded, b""]), np.uint8)
    letters = (flat | np.uint8(0x20)) - np.uint8(ord("a"))  # what is no letter becomes 26 or more
    is_pair = (letters[:-1] < LETTERS) & (letters[1:] < LETTERS)
    places = np.flatnonzero(is_pair)
    pairs = letters[places].astype(np.int64) * LETTERS + letters[places + 1]
    ends = np.cumsum([len(raw) + 1 for raw in encoded])
    return pairs, np.searchsorted(ends, places, side="right")
