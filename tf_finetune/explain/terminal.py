"""`format_explanation`: an explanation as text for the terminal, in colours or with signs."""

from __future__ import annotations

from collections.abc import Iterator

from tf_finetune.explain.explanation import ExplainedText, Explanation
from tf_finetune.explain.pieces import pieces
from tf_finetune.pages.words import printable

__all__ = ["format_explanation"]

WORDS = 10
"""Words in the list below the text."""

SHOWN = 0.1
"""Share of the largest attribution from which on a word is marked."""

TOWARDS = (153, 111, 75)
AGAINST = (223, 215, 208)
"""Blue and orange of the palette of 256 colours, from weak to strong; black is easy to read on all of them."""

BLACK = 16
RESET = "\x1b[0m"


def format_explanation(explanation: Explanation, *, colours: bool) -> str:
    """The answer, the text with its words marked, the words that count most, and whether they add up.

    Args:
        explanation: What to show.
        colours: Whether words are marked by ANSI colours: blue towards the class, orange against it. Else they are
            followed by their attribution in logits.
    """
    blocks = [_answer(explanation)]
    blocks += [_marked(one, explanation.largest, colours=colours) for one in explanation.texts]
    if explanation.largest:
        blocks.append(_strongest(explanation))
    return "\n\n".join([*blocks, completeness(explanation)])


def completeness(explanation: Explanation) -> str:
    """How the attributions add up, in a sentence."""
    if not any(one.words for one in explanation.texts):
        return "There is no word to explain: the model answers this way to an empty text."
    verdict = "" if explanation.is_complete else ", which is more than 1 %: take them as rough"
    return (
        f"The words sum to {explanation.total:+.4f}. The logit is {explanation.logit:+.4f}, and "
        f"{explanation.baseline_logit:+.4f} with every token replaced by {explanation.baseline}: a difference of "
        f"{explanation.difference:+.4f}, missed by {explanation.error:.2%} with {explanation.steps} steps{verdict}."
    )


def _answer(explanation: Explanation) -> str:
    """Probability of each class, the explained one marked."""
    names = {name: printable(name).replace("\n", "\\n") for name in explanation.probabilities}
    width = max(map(len, names.values()))
    lines = [
        f"{names[name]:<{width}}  {probability:.4f}{'  explained below' if name == explanation.label else ''}"
        for name, probability in explanation.probabilities.items()
    ]
    return "\n".join(lines)


def _strongest(explanation: Explanation) -> str:
    name = printable(explanation.label).replace("\n", "\\n")
    lines = [f"Words that moved the logit of {name} most:"]
    return "\n".join([*lines, *(f"  {value:+.4f}  {printable(word)}" for word, value in explanation.strongest(WORDS))])


def _marked(one: ExplainedText, largest: float, *, colours: bool) -> str:
    return "".join(_mark(one, largest, colours=colours))


def _mark(one: ExplainedText, largest: float, *, colours: bool) -> Iterator[str]:
    for piece in pieces(one):
        text = printable(one.text[piece.start : piece.end])
        if piece.is_cut:
            yield f"[... {piece.end - piece.start:,} characters cut ...]"
        elif piece.word is None or not largest or abs(piece.word.attribution) < SHOWN * largest:
            yield text
        elif colours:
            value = piece.word.attribution
            levels = TOWARDS if value > 0 else AGAINST
            level = levels[min(int(abs(value) / largest * len(levels)), len(levels) - 1)]
            yield f"\x1b[38;5;{BLACK};48;5;{level}m{text}{RESET}"
        else:
            yield f"{text}({piece.word.attribution:+.2f})"
