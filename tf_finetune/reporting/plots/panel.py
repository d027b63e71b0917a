"""`Panel`: what the small pictures of a report have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tf_finetune.pages.drawing import drawing_style, new_figure, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "Panel", "panel"]

WIDTH = 380
HEIGHT = 300
"""Two lie side by side on a wide screen; on a phone one is a little smaller than drawn, and easy to read."""

COLOURS = ("#1a80c0", "#d55e00", "#009e73", "#b35c96", "#8a7a00", "#808080")
"""For the lines of classes. Their contrast to a white page and to a dark one is 3 or more."""

LEGEND_LINE = 18
MARGIN = 58, 46, 12, 10
"""Pixels around the axes: left, bottom, right, top."""


class Panel:
    """A picture that is being drawn.

    Attributes:
        figure: Of matplotlib.
        axes: To draw on.
    """

    axes: Axes

    def __init__(self, figure: Figure, *, width: int, height: int) -> None:
        self.figure, self.axes = figure, figure.subplots()
        self._width, self._height = width, height

    def svg(self, *, title: str, description: str, columns: int = 2) -> str:
        """An ``<svg>`` element, with the legend above the axes if any line has a label.

        Args:
            title: What the picture shows.
            description: What is to be seen, for those who cannot see it.
            columns: Of the legend.
        """
        left, bottom, right, top = MARGIN
        handles, labels = self.axes.get_legend_handles_labels()
        if handles:
            self.figure.legend(handles, labels, loc="upper center", ncols=columns, borderpad=0.4, columnspacing=1.2)
            top += 6 + LEGEND_LINE * -(-len(handles) // columns)
        width, height = self._width, self._height
        self.figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)
        return to_svg(self.figure, title=title, description=description)


@contextlib.contextmanager
def panel(name: str, *, width: int = WIDTH, height: int = HEIGHT) -> Iterator[Panel]:
    """An empty picture, to be drawn within the body.

    Args:
        name: Of the picture, unlike that of any other in the page.
        width: In pixels.
        height: In pixels.
    """
    with drawing_style(name):
        yield Panel(new_figure(width, height), width=width, height=height)
