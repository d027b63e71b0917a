"""Where the model is wrong, and where the label may be."""

from __future__ import annotations

import numpy as np

from tf_finetune.evaluation.probability_scores import log_loss_rows
from tf_finetune.explain.explanation import ExplainedText
from tf_finetune.explain.html import legend, marked_text
from tf_finetune.noise.confident import confident_learning
from tf_finetune.pages.page import escaped, row, section, table
from tf_finetune.pages.words import shorten
from tf_finetune.reporting.excerpt import excerpts
from tf_finetune.reporting.reported import Reported
from tf_finetune.reporting.words import cell, command, name_of, number
from tf_finetune.reporting.worst import WorstError, WorstErrors

__all__ = ["errors_section", "labels_section"]

ERRORS_HEADING = "Worst errors"
LABELS_HEADING = "Labels that may be wrong"

TEXT_LETTERS = 900
"""Characters of an error's text that are shown."""

LISTED = 15
LISTED_LETTERS = 200
SHOWN_FOLDERS = 1
SEEN = {
    "given": "",
    "train": ", which it was trained on: it may have learned wrong labels by heart",
    "validation": ", which it was not trained on, though they chose its epoch",
    "test": ", which it was not trained on",
}
GAP = ' <span class="faint">…</span> '


def errors_section(found: Reported, worst: WorstErrors | None) -> str:
    """The wrong answers that the model is most sure of.

    Args:
        found: What the report is about.
        worst: They; None without texts.
    """
    if worst is None:
        return section(
            ERRORS_HEADING, f"<p>Not known without the texts. {escaped(found.answers.reason)}</p>", anchor="errors"
        )
    if not worst.errors:
        return section(ERRORS_HEADING, "<p>No row is answered wrongly.</p>", anchor="errors")
    lead = (
        f"<p>{worst.count:,} of {len(found.answers):,} rows are answered wrongly. Of these {len(worst.errors)} wrong "
        "answers the model is most sure: it has not learned something, or the label is wrong.</p>"
    )
    how = f'<p class="faint">{escaped(worst.reason)}</p>' if worst.reason else legend("the wrong answer")
    if any(one.cut for error in worst.errors for one in error.texts):
        how += '<p class="faint">Struck out: what the model has not seen, since it was cut.</p>'
    cards = [_card(number, one, found) for number, one in enumerate(worst.errors, start=1)]
    return section(ERRORS_HEADING, lead, how, *cards, anchor="errors")


def _card(place: int, error: WorstError, found: Reported) -> str:
    head = (
        f"<p>{place}. {name_of(found.names[error.label])} taken for {name_of(found.names[error.answer])}, probability "
        f"{error.probability:.3f} {_where(error.where)}</p>"
    )
    texts = "".join(f"<p>{_excerpt(one, error.largest)}</p>" for one in error.texts)
    return f'<div class="card">{head}{texts}</div>'


def _excerpt(one: ExplainedText, largest: float) -> str:
    """The parts of a text that count most, coloured."""
    parts = excerpts(one, TEXT_LETTERS)
    words = GAP.join(marked_text(part, largest) for part in parts)
    start = "" if one.text.startswith(parts[0].text) else GAP
    return start + words + ("" if one.text.endswith(parts[-1].text) else GAP)


def labels_section(found: Reported) -> str:
    """Rows whose label the model confidently contradicts, by confident learning, the highest loss first."""
    answers = found.answers
    rows = confident_learning(answers.labels, answers.probabilities)
    ask = command("tf-finetune inspect --data FILE --label-errors --folds 3")
    lead = (
        f"<p>The model confidently contradicts {len(rows):,} of {len(answers):,} labels (confident learning). The "
        "first ones have the highest loss: look at them, and correct the label where it is wrong. More often it is the "
        f"model that is wrong: this is what one model says to these rows{SEEN[answers.name]}. To ask models about "
        f"every row of your data that they have not seen: {ask}</p>"
    )
    if not len(rows):
        return section(LABELS_HEADING, lead, anchor="labels")
    losses = log_loss_rows(answers.labels, answers.probabilities.astype(np.float64))
    listed = [_listed(i, float(losses[i]), found) for i in rows[:LISTED].tolist()]
    last = '<th class="number">row</th>' if answers.examples is None else "<th>text</th>"
    heads = ["<th>label → answer</th>", '<th class="number">loss</th>', last]
    more = f'<p class="faint">{LISTED} of {len(rows):,}.</p>' if len(rows) > LISTED else ""
    return section(LABELS_HEADING, lead, table(heads, listed, classes="sortable narrow"), more, anchor="labels")


def _listed(i: int, loss: float, found: Reported) -> str:
    answers = found.answers
    label, answer = (found.names[int(one)] for one in (answers.labels[i], answers.predicted[i]))
    middle = [cell(f"{label} → {answer}"), number(loss, digits=2)]
    if answers.examples is None:
        return row([*middle, number(i + 1, digits=0)])
    texts, pairs = next(answers.examples.take(np.array([i])).batches(1))
    text = texts[0] if pairs is None else f"{texts[0]}\n{pairs[0]}"
    words = f'<span dir="auto">{escaped(shorten(text, LISTED_LETTERS))}</span> {_where(answers.examples.where(i))}'
    return row([*middle, f'<td class="reason" style="min-width: 11rem">{words}</td>'])


def _where(where: str) -> str:
    """The end of a file's path, and the row; all of it is shown on hovering."""
    end = "/".join(where.split("/")[-SHOWN_FOLDERS - 1 :])
    return f'<span class="faint" title="{escaped(where)}">{escaped(end).replace("/", "/<wbr>")}</span>'
