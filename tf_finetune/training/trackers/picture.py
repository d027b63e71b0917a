"""`confusion_figure`: the confusion matrix as a picture, for trackers that show pictures."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tf_finetune.pages.words import printable, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["confusion_figure", "pixels"]

DPI = 100
MOST_NUMBERS = 20
"""Classes up to which each cell has its count written into it."""
MOST_NAMES = 60
"""Classes up to which rows and columns have their names."""
NAME_LETTERS = 24


def confusion_figure(confusion: Sequence[Sequence[int]], label_names: Sequence[str]) -> Figure:
    """A picture of the confusion matrix: a row for each true class, coloured by the share of its rows.

    Args:
        confusion: Rows of each `[true][predicted]` pair of classes.
        label_names: Class names in index order.

    Returns:
        A matplotlib figure with a canvas of its own, at most 12 inches wide.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts = np.asarray(confusion, np.int64)  # [true, predicted]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = float(np.clip(2.5 + 0.55 * len(counts), 4.0, 12.0))  # inches
    with style.context(["default", {"text.parse_math": False}]):  # a name such as $x$ is no formula
        figure = Figure(figsize=(size + 1.0, size), dpi=DPI, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
        figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        places = range(len(counts)) if len(counts) <= MOST_NAMES else []
        names = [shorten(printable(label_names[place]), NAME_LETTERS) for place in places]
        axes.set_xticks(list(places), names, rotation=0 if max(map(len, names), default=0) <= 8 else 90)
        axes.set_yticks(list(places), names)
        if len(counts) <= MOST_NUMBERS:
            for (true, predicted), count in np.ndenumerate(counts):
                colour = "white" if shares[true, predicted] > 0.5 else "black"
                axes.text(predicted, true, f"{count:,}", ha="center", va="center", color=colour)
    return figure


def pixels(figure: Figure) -> np.ndarray:
    """The drawn figure as uint8 `[height, width, 4]`, RGBA."""
    with warnings.catch_warnings():
        # a name in letters that matplotlib's font lacks is drawn as boxes
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.canvas.draw()
    buffer = figure.canvas.buffer_rgba()  # type: ignore[attr-defined]
    return np.array(buffer)
