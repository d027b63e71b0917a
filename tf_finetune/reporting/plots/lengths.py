"""Length against accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tf_finetune.evaluation.slices import Slice
from tf_finetune.pages.drawing import INK, SCORE
from tf_finetune.reporting.plots.panel import panel

__all__ = ["LengthSlice", "plot_lengths"]

WIDE = 8
"""Times the shortest text that the longest one is, from which on the axis is logarithmic."""

MANY = 200
"""From which on it has fewer ticks."""


@dataclass(frozen=True)
class LengthSlice:
    """Rows of similar length.

    Attributes:
        shortest: Characters of the shortest text.
        longest: Characters of the longest text.
        scores: How well they are answered.
    """

    shortest: int
    longest: int
    scores: Slice


def plot_lengths(slices: Sequence[LengthSlice], *, accuracy: float) -> str:
    """Accuracy of each slice as a line from its shortest to its longest text, in a box of its interval.

    Args:
        slices: From the shortest.
        accuracy: Of all rows: a dashed line.

    Returns:
        An ``<svg>`` element.
    """
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    with panel("lengths-accuracy") as drawn:
        axes = drawn.axes
        for one in slices:
            found, wide = one.scores.accuracy, max(one.longest - one.shortest, 1)
            box = Rectangle((one.shortest, found.low), wide, found.high - found.low, fc=SCORE, alpha=0.22, lw=0)
            axes.add_patch(box)
            axes.plot([one.shortest, one.shortest + wide], [found.estimate] * 2, color=SCORE, lw=2.5)
        axes.axhline(accuracy, color=INK, alpha=0.55, lw=1.2, ls=(0, (5, 3)), zorder=1)
        first, last = slices[0].shortest, slices[-1].longest
        if last > WIDE * max(first, 1):
            axes.set_xscale("log")
            axes.set_xlim(max(first, 1) * 0.9, last * 1.1)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if last < MANY * max(first, 1) else (1,)))
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            room = 0.03 * (last - first) + 1
            axes.set_xlim(first - room, last + room)
        lowest = min(one.scores.accuracy.low for one in slices)
        axes.set_ylim(max(0.0, math.floor(lowest * 20 - 0.5) / 20), 1.01)
        axes.set_xlabel("characters of the text")
        axes.set_ylabel("accuracy")
        words = "; ".join(f"{one.scores.name}: {one.scores.accuracy.estimate:.3f}" for one in slices)
        return drawn.svg(title="Accuracy by length", description=f"{words}. All rows: {accuracy:.3f}.")
