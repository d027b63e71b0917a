"""`Explanation`: the words of a text, how much each moved the logit of a class, and whether that adds up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["MOST_STEPS", "STEPS", "TOLERANCE", "ExplainedText", "Explanation", "Word", "allowed_error"]

STEPS = 16
"""Points between baseline and text at first. Of 150 sentences of SST-2 and MiniLM, the mean is 24."""

MOST_STEPS = 1024
"""Points at last."""

TOLERANCE = 0.01
"""Largest share of the difference in logit by which the sum of the attributions may miss it."""

SMALLEST = 1e-4
"""Logits by which it may miss it in any case: they move no probability by more than 0.000025, and float32 logits of
deep models are no more exact."""


@dataclass(frozen=True)
class Word:
    """A word of a text.

    Attributes:
        start: First character in the text.
        end: Character after the last one.
        attribution: By how much it moved the logit; above 0 towards the class.
    """

    start: int
    end: int
    attribution: float


@dataclass(frozen=True)
class ExplainedText:
    """A text and its words.

    Attributes:
        text: As it was given.
        words: In order, without overlap. Spaces, and characters that the tokenizer drops, are in no word.
        cut: Spans `(start, end)` of characters that truncation kept from the model.
    """

    text: str
    words: tuple[Word, ...]
    cut: tuple[tuple[int, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values; each word with its characters."""
        words = [
            {"word": self.text[word.start : word.end], "start": word.start, "end": word.end, "value": word.attribution}
            for word in self.words
        ]
        return {"text": self.text, "words": words, "cut": [list(span) for span in self.cut]}


@dataclass(frozen=True)
class Explanation:
    """Which words moved the logit of a class, by integrated gradients.

    Attributes:
        label: The class that is explained.
        probabilities: Class name to probability, in index order.
        text: The text.
        pair: The second sentence, or None.
        logit: Logit of the class.
        baseline_logit: The same with every word replaced by `baseline`.
        baseline: The token that stands for a word that is not there.
        total: Sum of the attributions of all words, which should be `logit - baseline_logit`.
        steps: Points between baseline and text at which gradients were computed.
    """

    label: str
    probabilities: dict[str, float]
    text: ExplainedText
    pair: ExplainedText | None
    logit: float
    baseline_logit: float
    baseline: str
    total: float
    steps: int

    @property
    def texts(self) -> tuple[ExplainedText, ...]:
        """The text, and the second sentence if there is one."""
        return (self.text,) if self.pair is None else (self.text, self.pair)

    @property
    def predicted(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def difference(self) -> float:
        """What there is to explain: the logit less that of the baseline."""
        return self.logit - self.baseline_logit

    @property
    def error(self) -> float:
        """Share of the difference by which the sum of the attributions misses it."""
        missed = abs(self.total - self.difference)
        return missed / max(abs(self.difference), SMALLEST)

    @property
    def is_complete(self) -> bool:
        """Whether the attributions add up, within `TOLERANCE`."""
        return abs(self.total - self.difference) <= allowed_error(self.difference)

    @property
    def largest(self) -> float:
        """Largest absolute attribution of a word; 0 without words."""
        return max((abs(word.attribution) for one in self.texts for word in one.words), default=0.0)

    def strongest(self, count: int) -> list[tuple[str, float]]:
        """Up to `count` words with their attributions, the largest absolute value first."""
        words = [(one.text[word.start : word.end], word.attribution) for one in self.texts for word in one.words]
        return sorted(words, key=lambda word: -abs(word[1]))[:count]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "label": self.label,
            "predicted": self.predicted,
            "probabilities": self.probabilities,
            "text": self.text.to_dict(),
            "pair": None if self.pair is None else self.pair.to_dict(),
            "completeness": {
                "baseline": self.baseline,
                "logit": self.logit,
                "baseline_logit": self.baseline_logit,
                "difference": self.difference,
                "sum": self.total,
                "error": self.error,
                "complete": self.is_complete,
                "steps": self.steps,
            },
        }


def allowed_error(difference: float) -> float:
    """Logits by which attributions may miss a difference in logit."""
    return max(TOLERANCE * abs(difference), SMALLEST)
