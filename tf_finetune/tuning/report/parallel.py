"""Parallel coordinates: each trial as a line across its values to its score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tf_finetune.pages.drawing import INK, new_figure, rank_colour, wrapped
from tf_finetune.pages.words import score_text
from tf_finetune.tuning.objective import direction, scored_trials
from tf_finetune.tuning.report.axis import Axis, axes_of
from tf_finetune.tuning.trial import FAILED, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_parallel"]

HEIGHT = 325
LINE = 15
BOTTOM = 14
SIDE = 96
"""Sizes in pixels: the axes, a line of a name above them, and the margins; ticks stand at the sides."""

LETTER = 7.4
"""Pixels that a letter takes at most, on average."""

FOOT = -0.13
"""Where the lines of failed trials end on the axis of the score."""


def draw_parallel(trials: Sequence[Trial], objective: str) -> Figure:
    """The figure, to be drawn within `drawing_style`.

    Args:
        trials: All trials, in their order.
        objective: What the score is; the better score is always the upper one.
    """
    found = axes_of(trials)
    gap = min(280, max(84, (1060 - 2 * SIDE) // max(1, len(found))))
    width = gap * max(1, len(found)) + 2 * SIDE
    letters = min(28, int((gap - 14) / LETTER))
    names = [wrapped(name, letters) for name in (*(axis.name for axis in found), objective)]
    height = HEIGHT + BOTTOM + LINE * (1 + max(name.count("\n") + 1 for name in names))
    figure = new_figure(width, height)
    axes = figure.add_axes((SIDE / width, BOTTOM / height, 1 - 2 * SIDE / width, HEIGHT / height))
    axes.set_axis_off()
    axes.set_xlim(0, max(1, len(found)))
    axes.set_ylim(FOOT - 0.04, 1)
    for place, name in enumerate(names):
        axes.plot([place, place], [0, 1], color=INK, lw=1.1, alpha=0.8, zorder=3, clip_on=False)
        _write(axes, name, (place, 1), (0, 10), align=("center", "bottom"))
    for place, axis in enumerate(found):
        for position, label in axis.ticks(width=letters):
            _tick(axes, place, position, label, side=-1)
    for position, label in _score_ticks(trials, objective):
        _tick(axes, len(found), position, label, side=1)
    _lines(axes, found, trials, objective)
    return figure


def _tick(axes: Axes, place: int, position: float, label: str, *, side: int) -> None:
    """A mark on an axis, and its label at the left (-1) or right (1) of it."""
    _write(axes, label, (place, position), (6 * side, 0), align=("right" if side < 0 else "left", "center"))
    axes.plot([place], [position], marker="_", ms=6, color=INK, zorder=3, clip_on=False)


def _write(
    axes: Axes, text: str, at: tuple[float, float], shift: tuple[float, float], *, align: tuple[str, str]
) -> None:
    """A text so many pixels right of a point, and above it."""
    axes.annotate(text, at, shift, textcoords="offset points", ha=align[0], va=align[1], fontsize=10.5, zorder=5)


def _score_ticks(trials: Sequence[Trial], objective: str) -> list[tuple[float, str]]:
    """Place and label of the worst and the best score and of round ones between; and where failed trials end."""
    from matplotlib.ticker import MaxNLocator

    ticks = [(FOOT, FAILED)] if any(trial.status == FAILED for trial in trials) else []
    scores = [score for _, score in scored_trials(trials)]
    if not scores:
        return ticks
    for end in {min(scores), max(scores)}:
        ticks.append((_score_place(end, scores, objective), score_text(end)))
    for score in MaxNLocator(5).tick_values(min(scores), max(scores)):
        place = _score_place(score, scores, objective)
        if 0.07 < place < 0.93 and len(set(scores)) > 1:
            ticks.append((place, f"{score:.4g}"))
    return ticks


def _score_place(score: float, scores: Sequence[float], objective: str) -> float:
    """Place of a score on the axis of all scores: 0 is the worst, 1 the best."""
    worst, best = min(scores), max(scores)
    if direction(objective) == "min":
        worst, best = best, worst
    return 0.5 if worst == best else (score - worst) / (best - worst)


def _lines(axes: Axes, found: Sequence[Axis], trials: Sequence[Trial], objective: str) -> None:
    """Lines of the failed trials, then of the others from the worst to the best."""
    across = range(len(found) + 1)
    for trial in trials:
        if trial.status == FAILED:
            heights = [*_heights(found, trial), FOOT]
            axes.plot(across, heights, color=INK, lw=1.1, alpha=0.5, ls=(0, (1, 2.5)), zorder=1.5, clip_on=False)
    scored = scored_trials(trials)
    scores = [score for _, score in scored]
    places = [(_score_place(score, scores, objective), trial) for trial, score in reversed(scored)]
    ranked = sorted(places, key=lambda one: one[0])  # of equal scores, the earliest trial comes last, as the better one
    for rank, (place, trial) in enumerate(ranked, start=1):
        best = rank == len(ranked)
        share = 1.0 if best else (rank - 1) / (len(ranked) - 1)
        axes.plot(
            across,
            [*_heights(found, trial), place],
            color=rank_colour(share),
            lw=3.2 if best else 0.9 + 0.9 * share,
            alpha=1.0 if best else 0.35 + 0.4 * share,
            zorder=2 + share / 2,
            clip_on=False,
        )


def _heights(found: Sequence[Axis], trial: Trial) -> list[float]:
    return [axis.position(trial.values.get(axis.name)) for axis in found]
