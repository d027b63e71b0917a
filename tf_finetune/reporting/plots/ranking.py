"""ROC and precision-recall curves, of each class against the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tf_finetune.pages.drawing import INK, blank
from tf_finetune.pages.words import shorten
from tf_finetune.reporting.curves import precision_recall_points, roc_points
from tf_finetune.reporting.plots.panel import COLOURS, Panel, panel

__all__ = ["MOST_LINES", "RankedClass", "plot_precision_recall", "plot_roc"]

MOST_LINES = len(COLOURS)
NAME_LETTERS = 14
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)))


@dataclass(frozen=True, eq=False)
class RankedClass:
    """One class, and how well its rows are told from the others.

    Attributes:
        name: As it is shown.
        is_class: bool `[n]`, whether the row has the class.
        probabilities: float `[n]`, its probability of the class.
        auroc: Area under the ROC curve.
        average_precision: Mean precision over the steps of recall.
    """

    name: str
    is_class: np.ndarray
    probabilities: np.ndarray
    auroc: float
    average_precision: float


def plot_roc(classes: Sequence[RankedClass]) -> str:
    """True against false positives, as an ``<svg>`` element.

    Args:
        classes: At most `MOST_LINES`, each with rows of it and others.
    """
    with panel("roc", height=_height(classes)) as drawn:
        drawn.axes.plot([0, 1], [0, 1], color=INK, alpha=0.45, lw=1.2, ls=(0, (2, 3)), zorder=1)
        for i, one in enumerate(classes):
            label = f"{shorten(one.name, NAME_LETTERS)} {one.auroc:.3f}"
            drawn.axes.plot(
                *roc_points(one.is_class, one.probabilities), label=label, color=COLOURS[i], ls=STYLES[i], lw=2
            )
        _square(drawn, "share of the others taken for it", "share of its rows found", classes)
        words = "; ".join(f"{one.name}: area {one.auroc:.3f}" for one in classes)
        return drawn.svg(title="ROC curves", description=f"Area under the curve: {words}.")


def plot_precision_recall(classes: Sequence[RankedClass]) -> str:
    """Precision against recall, as an ``<svg>`` element.

    Args:
        classes: At most `MOST_LINES`, each with rows of it and others.
    """
    with panel("precision-recall", height=_height(classes)) as drawn:
        for i, one in enumerate(classes):
            label = f"{shorten(one.name, NAME_LETTERS)} {one.average_precision:.3f}"
            recall, precision = precision_recall_points(one.is_class, one.probabilities)
            drawn.axes.plot(
                [0, *recall],
                [precision[0], *precision],
                label=label,
                color=COLOURS[i],
                ls=STYLES[i],
                lw=2,
                drawstyle="steps-pre",
            )
        _square(drawn, "recall: share of its rows found", "precision: share of right answers", classes)
        words = "; ".join(f"{one.name}: average precision {one.average_precision:.3f}" for one in classes)
        return drawn.svg(title="Precision-recall curves", description=f"{words}.")


def _height(classes: Sequence[RankedClass]) -> int:
    """With room for the legend, of two columns."""
    return 310 + 18 * (-(-len(classes) // 2))


def _square(drawn: Panel, across: str, up: str, classes: Sequence[RankedClass]) -> None:
    axes = drawn.axes
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.03)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    if not classes:
        blank(axes, "No class has rows of it and others.")
