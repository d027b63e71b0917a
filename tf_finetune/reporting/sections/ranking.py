"""How well the rows of each class are told from the others, at every threshold."""

from __future__ import annotations

import numpy as np

from tf_finetune.evaluation.ranking import Ranking
from tf_finetune.pages.page import row, section, table
from tf_finetune.reporting.plots.ranking import MOST_LINES, RankedClass, plot_precision_recall, plot_roc
from tf_finetune.reporting.reported import Reported
from tf_finetune.reporting.words import cell, number

__all__ = ["ranking_section"]


def ranking_section(found: Reported) -> str:
    """ROC and precision-recall curves of each class against the rest; of many classes, of the worst ones."""
    classes = _ranked(found)
    is_part = len(classes) > MOST_LINES
    drawn = sorted(classes, key=lambda one: one.average_precision)[:MOST_LINES] if is_part else classes
    of_roc = drawn[1:] if len(found.names) == 2 else drawn  # of two classes, that of one is that of the other
    pictures = plot_precision_recall(drawn) + plot_roc(of_roc)
    which = f" Drawn are the {MOST_LINES} classes with the lowest average precision." if is_part else ""
    caption = (
        "Each class against the rest, at every threshold of its probability. The numbers of the first picture are the "
        "average precision, those of the second the area under the curve; its dotted line is guessing."
        f"{which}"
    )
    figure = f'<figure><div class="panels">{pictures}</div><figcaption>{caption}</figcaption></figure>'
    return section("Precision-recall and ROC", figure, _table(classes) if is_part else "", anchor="ranking")


def _ranked(found: Reported) -> list[RankedClass]:
    """The classes that have rows, and that some rows have not, in index order."""
    answers, classes = found.answers, []
    ones = np.ones(len(answers))
    for i, name in enumerate(found.names):
        is_class, probabilities = answers.labels == i, answers.probabilities[:, i]
        if is_class.any() and not is_class.all():
            auroc, precision = Ranking(is_class, probabilities).scores(ones)
            classes.append(RankedClass(name, is_class, probabilities, auroc, precision))
    return classes


def _table(classes: list[RankedClass]) -> str:
    heads = ["<th>class</th>", '<th class="number">average precision</th>', '<th class="number">AUROC</th>']
    rows = [row([cell(one.name), number(one.average_precision), number(one.auroc)]) for one in classes]
    return table(heads, rows, classes="sortable narrow")
