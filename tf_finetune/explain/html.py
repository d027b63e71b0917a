"""`explanation_sections` and `marked_text`: an explanation as HTML, by itself or within another page."""

from __future__ import annotations

from collections.abc import Iterator

from tf_finetune.explain.explanation import ExplainedText, Explanation
from tf_finetune.explain.pieces import Piece, pieces
from tf_finetune.explain.terminal import completeness
from tf_finetune.pages.page import escaped, row, section
from tf_finetune.pages.words import shorten

__all__ = ["explanation_sections", "legend", "marked_text"]

TOWARDS = "26 128 192"
AGAINST = "213 94 0"
"""The page's blue and vermilion, as numbers, to be laid over its paper."""

STRONGEST = 60
"""Percent of the colour behind the word with the largest attribution; the text stays easy to read."""

WEAKEST = 4
"""Percent below which a word is not marked."""

ROOM = 'style="min-width: 7rem"'
"""For bars: the tables fit on a phone."""

CUT = 300
"""Characters of a cut part that are shown."""

WORDS = 50
"""Words in the table."""


def explanation_sections(explanation: Explanation) -> list[str]:
    """Answer, marked text, words and completeness, as HTML, for pages that have other sections too."""
    texts = [f'<p class="lead">{marked_text(one, explanation.largest)}</p>' for one in explanation.texts]
    parts = [legend(explanation.label), *texts, _cuts(explanation)]
    sections = [section("Answer", _answer(explanation)), section("Words", *parts)]
    if explanation.largest:
        sections.append(section("Words that count most", _words(explanation)))
    return [*sections, section("Do they add up?", f"<p>{escaped(completeness(explanation))}</p>")]


def marked_text(one: ExplainedText, largest: float) -> str:
    """A text with a colour behind each word that counts, as a ``<span>``.

    Args:
        one: The text.
        largest: Absolute attribution that gets the full colour: `Explanation.largest`.
    """
    style = "white-space: pre-line; overflow-wrap: anywhere; line-height: 1.9"
    return f'<span dir="auto" style="{style}">{"".join(_marks(one, largest))}</span>'


def legend(label: str) -> str:
    """What the colours mean, as a paragraph."""
    swatches = [
        f'<mark style="{_paint(colour, STRONGEST)}">&nbsp;{words}&nbsp;</mark>'
        for colour, words in ((TOWARDS, "towards it"), (AGAINST, "against it"))
    ]
    return f'<p class="faint">How each word moved the logit of <b>{escaped(label)}</b>: {" ".join(swatches)}</p>'


def _marks(one: ExplainedText, largest: float) -> Iterator[str]:
    for piece in pieces(one):
        text = one.text[piece.start : piece.end]
        if piece.is_cut:
            yield f'<s class="faint" title="cut: the model has not seen it">{escaped(shorten(text, CUT))}</s>'
        else:
            yield _mark(piece, text, largest)


def _mark(piece: Piece, text: str, largest: float) -> str:
    value = 0.0 if piece.word is None else piece.word.attribution
    percent = STRONGEST * abs(value) / largest if largest else 0.0
    if percent < WEAKEST:
        return escaped(text)
    colour = TOWARDS if value > 0 else AGAINST
    return f'<mark style="{_paint(colour, percent)}" title="{value:+.4f}">{escaped(text)}</mark>'


def _paint(colour: str, percent: float) -> str:
    paper = "print-color-adjust: exact; -webkit-print-color-adjust: exact"
    return (
        f"background: rgb({colour} / {percent:.0f}%); color: var(--ink); border-radius: .2em; padding: .1em 0; {paper}"
    )


def _answer(explanation: Explanation) -> str:
    """A table of all classes, the most probable one first."""
    rows = []
    for name, probability in sorted(explanation.probabilities.items(), key=lambda item: -item[1]):
        explained = "explained below" if name == explanation.label else ""
        cells = [
            f"<th>{escaped(name)}</th>",
            f'<td class="number">{probability:.4f}</td>',
            f'<td class="bar" {ROOM}><i style="width: {100 * probability:.1f}%"></i></td>',
            f"<td>{explained}</td>",
        ]
        rows.append(row(cells, classes="best" if explained else ""))
    heads = ("<th>class</th>", '<th class="number">probability</th>', "<th></th>", "<th></th>")
    return _table(heads, rows)


def _words(explanation: Explanation) -> str:
    rows = [
        row([f"<td>{escaped(word)}</td>", f'<td class="number">{value:+.4f}</td>', _bar(value, explanation.largest)])
        for word, value in explanation.strongest(WORDS)
    ]
    heads = ("<th>word</th>", '<th class="number">logits</th>', "<th>share of the largest</th>")
    return _table(heads, rows, classes="sortable")


def _bar(value: float, largest: float) -> str:
    share = abs(value) / largest
    colour = "" if value > 0 else "; background: var(--vermilion)"
    return f'<td class="bar" {ROOM} data-sort="{share:.6f}"><i style="width: {100 * share:.1f}%{colour}"></i></td>'


def _cuts(explanation: Explanation) -> str:
    cut = sum(end - start for one in explanation.texts for start, end in one.cut)
    return f'<p class="faint">The model has not seen {cut:,} characters, which were cut.</p>' if cut else ""


def _table(heads: tuple[str, ...], rows: list[str], *, classes: str = "") -> str:
    start = f'<div class="wide"><table class="{classes}">'
    return "\n".join((f"{start}<thead>{row(heads)}</thead>", "<tbody>", *rows, "</tbody></table></div>"))
