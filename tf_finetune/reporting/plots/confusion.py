"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf_finetune.evaluation.layout import width as width_of
from tf_finetune.pages.drawing import FAILED, INK, SCORE, to_svg
from tf_finetune.pages.words import shorten
from tf_finetune.reporting.plots.panel import Panel, panel

__all__ = ["MOST_CLASSES", "plot_confusion"]

MOST_CLASSES = 60
"""With more, a cell would be too small to see."""

NUMBERED_CLASSES = 12
"""With more, the numbers would not fit into the cells."""

NAME_LETTERS = 18
LETTER = 7
STRONGEST = 0.75
"""Opacity of a cell that holds all rows of its class."""


def plot_confusion(confusion: np.ndarray, names: Sequence[str]) -> str:
    """True classes down, answers across; the colour is the share of the true class, blue if right, vermilion if wrong.

    Args:
        confusion: int64 `[true, predicted]`, of at most `MOST_CLASSES` classes.
        names: Names of the classes to show, in index order.

    Returns:
        An ``<svg>`` element.
    """
    count = len(names)
    cell = 86 if count <= 4 else 54 if count <= NUMBERED_CLASSES else 30 if count <= 30 else 16
    short = [shorten(name, NAME_LETTERS) for name in names]
    longest = LETTER * max(map(width_of, short))
    side = longest + 34
    is_upright = longest + 8 > cell
    foot = 30 + (side - 10 if is_upright else 24)
    width, height = side + count * cell + 16, count * cell + foot
    with panel("confusion", width=width, height=height) as drawn:
        _cells(drawn, confusion, numbered=count <= NUMBERED_CLASSES)
        axes = drawn.axes
        axes.set_xticks(range(count), short, rotation=90 if is_upright else 0, fontsize=10 if cell < 20 else 11.5)
        axes.set_yticks(range(count), short, fontsize=10 if cell < 20 else 11.5)
        axes.set_xlim(-0.5, count - 0.5)
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_xlabel("answer")
        axes.set_ylabel("true class")
        axes.grid(visible=False)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        svg = _svg(drawn, side / width, foot / height, width, confusion)
    return svg


def _svg(drawn: Panel, left: float, bottom: float, width: int, confusion: np.ndarray) -> str:
    drawn.figure.subplots_adjust(left, bottom, 1 - 16 / width, 0.995)
    right = int(confusion.diagonal().sum())
    return to_svg(
        drawn.figure,
        title="Confusion matrix",
        description=f"{right} of {int(confusion.sum())} rows lie on the diagonal, where the answer is the true class. "
        "The table beside it lists the rows that do not.",
    )


def _cells(drawn: Panel, confusion: np.ndarray, *, numbered: bool) -> None:
    """A square for each pair of classes that has rows, and its number."""
    from matplotlib.patches import Rectangle

    of_class = np.maximum(confusion.sum(axis=1), 1)
    for true, answer in np.ndindex(*confusion.shape):
        rows = int(confusion[true, answer])
        share = rows / of_class[true]
        if rows:
            colour = SCORE if true == answer else FAILED
            square = Rectangle(
                (answer - 0.48, true - 0.48), 0.96, 0.96, fc=colour, alpha=0.06 + STRONGEST * share, lw=0
            )
            drawn.axes.add_patch(square)
        if numbered:
            words = f"{rows}\n{share:.0%}" if rows else "0"
            drawn.axes.text(answer, true, words, ha="center", va="center", alpha=1 if rows else 0.5, color=INK)
