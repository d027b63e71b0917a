"""Learning curves: the loss and the scores of each epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tf_finetune.pages.drawing import BEST, INK, SCORE, blank
from tf_finetune.reporting.plots.panel import Panel, panel

__all__ = ["plot_loss", "plot_scores"]

GREY = "#808080"
LOSS = {"loss": ("training", GREY, "--"), "val_loss": ("validation", SCORE, "-")}
SCORES = {
    "accuracy": ("accuracy, training", GREY, "--"),
    "val_accuracy": ("accuracy, validation", SCORE, "-"),
    "val_macro_f1": ("macro F1, validation", BEST, "-"),
}
NOTHING = "No epoch has numbers."


def plot_loss(history: Mapping[str, Sequence[float]], *, best_epoch: int) -> str:
    """Training and validation loss by epoch, as an ``<svg>`` element.

    Args:
        history: Name of a value to its values, one an epoch.
        best_epoch: The epoch whose weights were kept, from 1; 0 if there is none.
    """
    with panel("loss") as drawn:
        _lines(drawn, history, LOSS, best_epoch)
        drawn.axes.set_ylabel("loss")
        return drawn.svg(title="Loss by epoch", description=_words(history, LOSS, best_epoch))


def plot_scores(history: Mapping[str, Sequence[float]], *, best_epoch: int) -> str:
    """Training and validation accuracy, and validation macro F1, by epoch, as an ``<svg>`` element.

    Args:
        history: Name of a value to its values, one an epoch.
        best_epoch: The epoch whose weights were kept, from 1; 0 if there is none.
    """
    with panel("scores") as drawn:
        _lines(drawn, history, SCORES, best_epoch)
        return drawn.svg(title="Accuracy and macro F1 by epoch", description=_words(history, SCORES, best_epoch))


def _lines(
    drawn: Panel, history: Mapping[str, Sequence[float]], names: Mapping[str, tuple[str, str, str]], best_epoch: int
) -> None:
    from matplotlib.ticker import MaxNLocator

    axes = drawn.axes
    drawn_any = False
    for name, (label, colour, style) in names.items():
        values = [value if math.isfinite(value) else math.nan for value in history.get(name, ())]
        if any(value == value for value in values):
            epochs = range(1, len(values) + 1)
            axes.plot(epochs, values, label=label, color=colour, ls=style, lw=2, marker="o", ms=5)
            drawn_any = True
    if not drawn_any:
        blank(axes, NOTHING)
    elif best_epoch:
        axes.axvline(best_epoch, color=INK, alpha=0.45, lw=1.2, ls=(0, (2, 2)), label="kept", zorder=1)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.margins(x=0.08, y=0.1)
    if len(next(iter(history.values()), ())) == 1:
        axes.set_xlim(0.4, 1.6)
        axes.set_xticks([1])


def _words(history: Mapping[str, Sequence[float]], names: Mapping[str, tuple[str, str, str]], best_epoch: int) -> str:
    """First and last value of each line, in a sentence each."""
    found = []
    for name, (label, _, _) in names.items():
        values = list(history.get(name, ()))
        if values:
            found.append(f"{label}: {values[0]:.4f} in epoch 1, {values[-1]:.4f} in epoch {len(values)}")
    kept = f" The weights of epoch {best_epoch} were kept." if best_epoch else ""
    return f"{'; '.join(found)}.{kept}" if found else NOTHING
