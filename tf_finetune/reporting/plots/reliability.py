"""Reliability diagram: what the model says it knows, against what it knows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tf_finetune.evaluation.operating_point import wilson_interval
from tf_finetune.evaluation.reliability import Bin, Reliability
from tf_finetune.pages.drawing import INK, SCORE
from tf_finetune.reporting.plots.panel import panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_confidence", "plot_reliability"]

GREY = "#808080"

FEW = 10
"""Rows below which a point is hollow, and joined to no other."""


def plot_reliability(now: Reliability, *, before: Reliability | None, least: float) -> str:
    """Share of right rows by top probability, with Wilson's 95 % intervals; on the dashed line, both are equal.

    Args:
        now: What holds now.
        before: The same before calibration; None without one.
        least: Lowest top probability that there can be: one over the number of classes.

    Returns:
        An ``<svg>`` element.
    """
    with panel("reliability") as drawn:
        axes = drawn.axes
        axes.plot([0, 1], [0, 1], color=INK, alpha=0.45, lw=1.2, ls=(0, (5, 3)), label="what it should be", zorder=1)
        if before is not None:
            axes.plot(
                *_points(before.bins, FEW), color=GREY, lw=1.6, ls="--", marker="o", ms=4, mfc="none", label="before it"
            )
        _with_intervals(axes, now.bins, "after calibration" if before is not None else "this model")
        axes.set_xlim(max(0.0, least - 0.03), 1.02)
        axes.set_ylim(-0.02, 1.03)
        axes.set_xlabel("probability of the answer")
        axes.set_ylabel("share of right rows")
        return drawn.svg(title="Reliability diagram", description=_words(now.bins))


def plot_confidence(now: Reliability, *, least: float) -> str:
    """How many rows there are at each top probability, as an ``<svg>`` element.

    Args:
        now: What holds now.
        least: Lowest top probability that there can be.
    """
    with panel("confidence") as drawn:
        axes, bins = drawn.axes, now.bins
        width = bins[0].high - bins[0].low
        right = [(one.accuracy or 0.0) * one.rows for one in bins]
        wrong = [one.rows - hits for one, hits in zip(bins, right, strict=True)]
        places = [one.low for one in bins]
        axes.bar(places, right, width=0.9 * width, align="edge", color=SCORE, label="right")
        axes.bar(places, wrong, width=0.9 * width, align="edge", bottom=right, color="#d55e00", label="wrong")
        axes.set_xlim(max(0.0, least - 0.03), 1.02)
        axes.set_xlabel("probability of the answer")
        axes.set_ylabel("rows")
        return drawn.svg(title="Rows by the probability of the answer", description=_words(bins))


def _with_intervals(axes: Axes, bins: Sequence[Bin], label: str) -> None:
    """Points and their intervals; those of few rows are hollow, and joined to no other."""
    for one in bins:
        interval = wilson_interval(round((one.accuracy or 0.0) * one.rows), one.rows)
        if interval is not None and one.confidence is not None:
            axes.plot([one.confidence] * 2, interval, color=SCORE, alpha=0.55, lw=1.4)
    axes.plot(*_points(bins, 1, FEW), color=SCORE, marker="o", mfc="none", lw=0)
    axes.plot(*_points(bins, FEW), color=SCORE, lw=2, marker="o", ms=6, label=label)


def _points(bins: Sequence[Bin], least: int, most: float = math.inf) -> tuple[list[float], list[float]]:
    """Confidence and accuracy of the bins with at least `least` rows, and fewer than `most`."""
    kept = [one for one in bins if least <= one.rows < most]
    return [one.confidence or 0.0 for one in kept], [one.accuracy or 0.0 for one in kept]


def _words(bins: Sequence[Bin]) -> str:
    found = [f"{one.rows} rows at {one.confidence:.2f}: {one.accuracy:.2f} right" for one in bins if one.rows]
    return "; ".join(found) + "."
