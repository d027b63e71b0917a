"""Pictures of a search, as SVG text: its history, parallel coordinates, and each value against the score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tf_finetune.pages.drawing import (
    BEST,
    FAILED,
    INK,
    SCORE,
    blank,
    drawing_style,
    new_figure,
    to_svg,
    wrapped,
)
from tf_finetune.pages.words import score_text
from tf_finetune.tuning.objective import baseline_trial, best_trial, direction, in_order, is_better, scored_trials
from tf_finetune.tuning.report.axis import CATEGORY, Axis, axes_of
from tf_finetune.tuning.report.parallel import draw_parallel
from tf_finetune.tuning.trial import COMPLETED, Trial
from tf_finetune.tuning.trial import FAILED as FAILED_STATUS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_history", "plot_parallel", "plot_values"]

WIDTH = 900
HISTORY_HEIGHT = 340

COLUMNS = 3
PANEL_HEIGHT = 150
GAP = 62
SLANTED_GAP = 92
"""Sizes of `plot_values` in pixels: the axes of a panel, and the room between two for names and ticks."""

LABEL_LETTERS = 14
ROW_LETTERS = 36
"""Letters of a label under a panel, and of all of them before they are slanted."""

NO_SCORE = "No trial was completed."


def plot_history(trials: Sequence[Trial], objective: str) -> str:
    """The score of each trial by its number, the best so far as steps, the baseline as a dashed line.

    Hollow diamonds were stopped early; crosses at the bottom failed.

    Args:
        trials: All trials of a search, in any order.
        objective: What the score is.

    Raises:
        ConfigError: There is no such objective.
    """
    from matplotlib.ticker import MaxNLocator

    trials = in_order(trials)
    best = best_trial(trials, objective)
    with drawing_style("history"):
        figure = new_figure(WIDTH, HISTORY_HEIGHT)
        axes = figure.subplots()
        figure.subplots_adjust(70 / WIDTH, 48 / HISTORY_HEIGHT, 1 - 16 / WIDTH, 1 - 42 / HISTORY_HEIGHT)
        axes.set_xlabel("trial")
        last = max((int(trial.id) for trial in trials), default=0)
        axes.set_xlim(-0.6, last + 0.6)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        _mark(axes, trials, {trial.id: float(trial.id) for trial in trials}, best)
        _score_axis(axes, trials, objective)
        _best_so_far(axes, trials, objective, last)
        baseline = baseline_trial(trials)
        if baseline is not None and baseline.status == COMPLETED and baseline.score is not None:
            label = f"baseline {score_text(baseline.score)}"
            axes.axhline(baseline.score, color=INK, alpha=0.7, lw=1.2, ls=(0, (5, 3)), label=label, zorder=1.5)
        _legend(axes)
        return to_svg(figure, title=f"{objective} of each trial", description=_summary(trials, objective))


def plot_parallel(trials: Sequence[Trial], objective: str) -> str:
    """Parallel coordinates: a line for each trial across an axis for each hyperparameter, and the score.

    The colour is the rank of the score, from vermilion (worst) over grey to blue (best). Failed trials are dotted.

    Args:
        trials: All trials of a search, in any order.
        objective: What the score is.

    Raises:
        ConfigError: There is no such objective.
    """
    direction(objective)
    with drawing_style("parallel"):
        figure = draw_parallel(in_order(trials), objective)
        description = "A line for each trial across its values to its score. " + _summary(trials, objective)
        return to_svg(figure, title="Values of each trial and its score", description=description)


def plot_values(trials: Sequence[Trial], objective: str) -> str:
    """The score against the values of each hyperparameter, a panel for each.

    Args:
        trials: All trials of a search, in any order.
        objective: What the score is.

    Raises:
        ConfigError: There is no such objective.
    """
    trials = in_order(trials)
    best = best_trial(trials, objective)
    found = axes_of(trials)
    rows, columns = max(1, -(-len(found) // COLUMNS)), min(COLUMNS, max(1, len(found)))
    gap = SLANTED_GAP if any(map(_is_slanted, found)) else GAP
    height = rows * (PANEL_HEIGHT + gap) + 34
    with drawing_style("values"):
        figure = new_figure(WIDTH, height)
        panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
        bottom, top = (gap - 24) / height, 1 - 58 / height
        figure.subplots_adjust(70 / WIDTH, bottom, 1 - 16 / WIDTH, top, wspace=0.1, hspace=gap / PANEL_HEIGHT)
        _score_axis(panels[0][0], trials, objective)
        for row in panels:
            row[0].set_ylabel(objective)
        for panel, axis in zip(panels.flat, found):
            _panel(panel, axis, trials, best)
        for panel in panels.flat[len(found) :]:
            panel.set_axis_off()
        _legend(panels[0][0])
        description = f"A panel for each hyperparameter. {_summary(trials, objective)}"
        return to_svg(figure, title="Score against each value", description=description)


def _panel(axes: Axes, axis: Axis, trials: Sequence[Trial], best: Trial | None) -> None:
    """The score against one hyperparameter; points of a category lie a little beside each other."""
    shift = 0.3 / max(1, len(axis.apart)) if axis.kind == CATEGORY else 0.0
    places = {
        trial.id: axis.position(trial.values.get(axis.name)) + shift * (int(trial.id) * 0.618 % 1 - 0.5)
        for trial in trials
    }
    _mark(axes, trials, places, best)
    room = 0.5 / len(axis.apart) if axis.kind == CATEGORY else 0.06
    axes.set_xlim(-room, 1 + room)
    places_of_ticks, labels = zip(*axis.ticks(width=LABEL_LETTERS))
    axes.set_xticks(places_of_ticks, labels, fontsize=10)
    if _is_slanted(axis):
        for text in axes.get_xticklabels():
            text.set(ha="right", rotation=20, rotation_mode="anchor")
    axes.set_title(wrapped(axis.name, 40), fontsize=11.5, pad=6)


def _is_slanted(axis: Axis) -> bool:
    return axis.kind == CATEGORY and sum(len(label) + 2 for _, label in axis.ticks(width=LABEL_LETTERS)) > ROW_LETTERS


def _mark(axes: Axes, trials: Sequence[Trial], places: dict[str, float], best: Trial | None) -> None:
    """Points at the scores of completed trials, crosses at the bottom for failed ones."""
    scored = scored_trials(trials)
    size = 26 if len(trials) > 60 else 40
    for pruned, marker, label in ((False, "o", "completed"), (True, "D", "stopped early")):
        points = [(places[trial.id], score) for trial, score in scored if trial.pruned == pruned]
        if points:
            across, up = zip(*points)
            marks = axes.scatter(across, up, size * (0.7 if pruned else 1), marker=marker, label=label, zorder=3)
            marks.set(facecolor="none" if pruned else SCORE, edgecolor=SCORE, linewidth=1.3, alpha=0.8)
    failed = [places[trial.id] for trial in trials if trial.status == FAILED_STATUS]
    if failed:
        foot = [0.05] * len(failed)
        axes.scatter(
            failed, foot, s=36, marker="x", color=FAILED, lw=1.6, transform=axes.get_xaxis_transform(), label="failed"
        )
    if best is not None and best.score is not None:
        ring = axes.scatter([places[best.id]], [best.score], s=150, zorder=4, label=f"best: {best.id}")
        ring.set(facecolor="none", edgecolor=BEST, linewidth=2.2)


def _score_axis(axes: Axes, trials: Sequence[Trial], objective: str) -> None:
    """Range of the scores, with room for the crosses below."""
    scores = [score for _, score in scored_trials(trials)]
    better = "greater" if direction(objective) == "max" else "smaller"
    axes.set_ylabel(f"{objective} ({better} is better)")
    if not scores:
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        blank(axes, NO_SCORE)
        return
    low, high = min(scores), max(scores)
    span = high - low or abs(high) * 0.05 or 0.05
    axes.set_ylim(low - 0.2 * span, high + 0.12 * span)
    axes.ticklabel_format(axis="y", useOffset=False)


def _best_so_far(axes: Axes, trials: Sequence[Trial], objective: str, last: int) -> None:
    steps: list[tuple[int, float]] = []
    for trial, score in scored_trials(trials):
        if not steps or is_better(objective, score, steps[-1][1]):
            steps.append((int(trial.id), score))
    if steps:
        places, scores = zip(*steps, (last, steps[-1][1]))
        axes.step(places, scores, where="post", color=BEST, lw=2, label="best so far", zorder=2)


def _legend(axes: Axes) -> None:
    """In one line above the picture."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        marks = {"scatterpoints": 1, "markerscale": 0.85, "handletextpad": 0.4, "columnspacing": 1.4}
        axes.figure.legend(handles, labels, loc="upper center", borderpad=0.8, ncols=len(handles), **marks)


def _summary(trials: Sequence[Trial], objective: str) -> str:
    """What is to be seen, in words."""
    scored = scored_trials(trials)
    best = best_trial(trials, objective)
    if best is None:
        return f"{NO_SCORE} Trials: {len(trials)}."
    pruned = sum(trial.pruned for trial, _ in scored)
    failed = sum(trial.status == FAILED_STATUS for trial in trials)
    scores = [score for _, score in scored]
    return (
        f"{len(trials)} trials: {len(scored)} completed, {pruned} of them stopped early, and {failed} failed. "
        f"{objective} from {score_text(min(scores))} to {score_text(max(scores))}; the best is trial {best.id} with "
        f"{score_text(best.score)}."
    )
