"""How well each class is found, and what it is taken for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf_finetune.pages.page import row, section, table
from tf_finetune.reporting.plots.confusion import MOST_CLASSES, plot_confusion
from tf_finetune.reporting.reported import Reported
from tf_finetune.reporting.words import cell, number, share

__all__ = ["classes_section", "confusion_section"]

CONFUSIONS = 20
TITLES = {"precision": "precision", "recall": "recall", "f1": "F1"}


def classes_section(found: Reported) -> str:
    """Precision, recall and F1 of each class, with intervals."""
    heads = ["<th>class</th>", '<th class="number">rows</th>']
    heads += [f'<th class="number">{title}</th>' for title in TITLES.values()]
    parts = zip(found.names, found.scores.classes, found.scores.intervals.classes, strict=True)
    rows = [
        row(
            [
                cell(name),
                number(one.support, digits=0),
                *(number(getattr(one, key), ends=intervals.get(key)) for key in TITLES),
            ]
        )
        for name, one, intervals in parts
    ]
    caption = (
        '<p class="faint">Recall: share of the rows of the class that are found. Precision: share of the answers that '
        "name it that are right. F1 joins both. Small: the ends of the 95% interval.</p>"
    )
    return section("Classes", table(heads, rows, classes="sortable narrow"), caption, anchor="classes")


def confusion_section(found: Reported) -> str:
    """The confusion matrix, and the pairs of classes that are taken for each other most often."""
    confusion = np.array(found.scores.confusion)
    if len(confusion) <= MOST_CLASSES:
        picture = f'<div class="wide">{plot_confusion(confusion, found.names)}</div>'
        caption = "A row for each true class, a column for each answer. Blue is right, orange is wrong."
    else:
        picture, caption = "", f"{len(confusion)} classes are too many for a picture."
    parts = f'<div class="panels">{picture}<div>{_confused(confusion, found.names)}</div></div>'
    return section("Confusion matrix", f'<p class="faint">{caption}</p>', parts, anchor="confusion")


def _confused(confusion: np.ndarray, names: Sequence[str]) -> str:
    wrong = confusion - np.diag(confusion.diagonal())
    order = [divmod(int(place), len(names)) for place in np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]]
    pairs = [(true, answer) for true, answer in order if wrong[true, answer]]
    if not pairs:
        return "<p>No row is taken for another class.</p>"
    rows = []
    for true, answer in pairs:
        part = wrong[true, answer] / confusion[true].sum()
        rows.append(
            row(
                [
                    cell(names[true]),
                    cell(names[answer]),
                    number(int(wrong[true, answer]), digits=0),
                    f'<td class="number" data-sort="{part!r}">{share(part)}</td>',
                ]
            )
        )
    heads = ("<th>true class</th>", "<th>taken for</th>", '<th class="number">rows</th>')
    more = int((wrong > 0).sum()) - len(pairs)
    rest = f'<p class="faint">and {more:,} rarer pairs.</p>' if more else ""
    return table([*heads, '<th class="number">of the class</th>'], rows, classes="sortable narrow") + rest
