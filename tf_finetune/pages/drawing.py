"""Pictures as SVG text to be put into a page: in the page's own ink, on its own paper, the same at every drawing."""

from __future__ import annotations

import contextlib
import html
import io
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tf_finetune.pages.words import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BEST", "FAILED", "INK", "SCORE", "blank", "drawing_style", "new_figure", "rank_colour", "to_svg", "wrapped"]

INK = "#0a0b0c"
"""Stands for the colour of the text around the picture, as which `to_svg` writes it."""

SCORE = "#1a80c0"
BEST = "#009e73"
FAILED = "#d55e00"
"""Blue (a little lighter), green and vermilion of Okabe and Ito's palette, which the colour-blind can tell apart. Their
contrast to a white page and to a dark one is 3 or more."""

RANKS = ((0xD5, 0x5E, 0x00), (0x80, 0x80, 0x80), (0x1A, 0x80, 0xC0))
"""From the worst trial to the best one: vermilion, grey, blue."""

PIXELS = 72
"""Units of an SVG by matplotlib in an inch; one unit is one pixel of the page."""

STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.borderaxespad": 0.0,
}


@contextlib.contextmanager
def drawing_style(name: str) -> Iterator[None]:
    """The settings of matplotlib for one picture, whatever the user's own are.

    Args:
        name: Of the picture; the ids in its SVG are made from it, so that two in one page do not clash.
    """
    from matplotlib import style

    with style.context(["default", {**STYLE, "svg.hashsalt": name}]), warnings.catch_warnings():
        # a name in letters that matplotlib's font lacks is measured wrongly, but written as it is
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def new_figure(width: int, height: int) -> Figure:
    """An empty figure of so many pixels, without pyplot."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / PIXELS, height / PIXELS))
    FigureCanvasSVG(figure)
    return figure


def blank(axes: Axes, message: str) -> None:
    """A sentence in the place of points that are not there."""
    axes.text(0.5, 0.5, message, transform=axes.transAxes, ha="center", va="center", alpha=0.75)


def rank_colour(share: float) -> str:
    """Colour of a trial: 0 is the worst, 1 the best."""
    low, high = RANKS[:2] if share < 0.5 else RANKS[1:]
    part = 2 * share if share < 0.5 else 2 * share - 1
    return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in zip(low, high, strict=True))


def wrapped(name: str, width: int) -> str:
    """A dotted name on several lines of at most `width` characters where dots and underscores allow."""
    lines = [""]
    for part in re.findall(r"[^._]+[._]?|[._]", printable(name)):
        if lines[-1] and len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def to_svg(figure: Figure, *, title: str, description: str) -> str:
    """An ``<svg>`` element that stands alone, and in a page takes its text colour.

    Args:
        figure: The picture, drawn within `drawing_style`.
        title: What it shows.
        description: What is to be seen, for those who cannot see it.
    """
    with io.StringIO() as file:
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
        drawn = file.getvalue()
    body = drawn[drawn.index("<svg") :]
    body = body[body.index(">") + 1 :]
    body = re.sub(r"<style.*?</style>", "", body, count=1, flags=re.DOTALL)  # it would hold for the whole page
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    used = set(re.findall(r"#([\w.]+)", body))
    body = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", body)
    body = re.sub(rf"(fill|stroke): {INK}", r"\1: currentColor", body)
    body = re.sub(r">\s+<", "><", body).replace("<defs></defs>", "")
    width, height = (round(size * PIXELS) for size in figure.get_size_inches())
    title, description = (html.escape(printable(text)) for text in (title, description))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'aria-label="{title}" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'stroke-linejoin="round" stroke-linecap="butt">\n<title>{title}</title>\n<desc>{description}</desc>'
        f"{body.strip()}\n"
    )
