"""The lengths of the training texts as a picture."""

from __future__ import annotations

from tf_finetune.audit.lengths import TokenLengths
from tf_finetune.pages.drawing import BEST, FAILED, SCORE, drawing_style, new_figure, to_svg

__all__ = ["plot_lengths"]

WIDTH = 760
HEIGHT = 260

FAR = 2
"""Times the longest range, beyond which the chosen length is not drawn: the bars would be squeezed."""


def plot_lengths(lengths: TokenLengths) -> str:
    """Histogram of the lengths in tokens, with lines at the chosen and the suggested --max-length.

    Returns:
        An ``<svg>`` element.
    """
    ends = [end for end, _ in lengths.histogram]
    counts = [count for _, count in lengths.histogram]
    width = ends[0]
    now, best = lengths.current.max_length, lengths.suggestion
    with drawing_style("lengths"):
        figure = new_figure(WIDTH, HEIGHT)
        axes = figure.subplots()
        figure.subplots_adjust(64 / WIDTH, 48 / HEIGHT, 1 - 16 / WIDTH, 1 - 34 / HEIGHT)
        axes.bar([end - width for end in ends], counts, width=0.92 * width, align="edge", color=SCORE)
        is_near = now <= FAR * ends[-1]
        axes.axvline(now, color=FAILED, lw=2, label=f"chosen: {now}" + ("" if is_near else ", further right"))
        if best is not None and best.max_length != now:
            axes.axvline(best.max_length, color=BEST, lw=2, ls="--", label=f"suggested: {best.max_length}")
        axes.set_xlim(0, max(ends[-1], now if is_near else 0) * 1.02)
        axes.set_xlabel(f"tokens (the last bar: more than {ends[-1] - width})")
        axes.set_ylabel("texts")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper center", ncols=len(handles), borderpad=0.6)
        middle, most = lengths.percentiles[50], lengths.percentiles[100]
        description = f"Half of the texts have at most {middle} tokens, the longest {most}. {lengths.advice}"
        return to_svg(figure, title="Lengths of the training texts in tokens", description=description)
