"""Whether long texts are answered worse than short ones."""

from __future__ import annotations

import numpy as np

from tf_finetune.pages.page import escaped, row, section, table
from tf_finetune.reporting.plots.lengths import LengthSlice, plot_lengths
from tf_finetune.reporting.reported import Reported
from tf_finetune.reporting.words import number

__all__ = ["lengths_section"]

HEADING = "Length and accuracy"


def lengths_section(found: Reported, lengths: np.ndarray | None) -> str:
    """Accuracy of the rows in quarters by length.

    Args:
        found: What the report is about.
        lengths: int64 `[n]`, characters of each row; None without texts.
    """
    slices = [one for slicing in found.scores.slicings if slicing.kind == "length" for one in slicing.slices]
    if lengths is None or not slices:
        return section(
            HEADING, f"<p>Not known without the texts. {escaped(found.answers.reason)}</p>", anchor="lengths"
        )
    ordered = np.sort(lengths)
    last = np.cumsum([one.rows for one in slices])
    parts = [
        LengthSlice(int(ordered[end - one.rows]), int(ordered[end - 1]), one)
        for one, end in zip(slices, last.tolist(), strict=True)
    ]
    rows = [
        row(
            [
                f'<td data-sort="{part.shortest}">{part.shortest:,} to {part.longest:,}</td>',
                number(part.scores.rows, digits=0),
                number(part.scores.accuracy.estimate, ends=part.scores.accuracy),
            ]
        )
        for part in parts
    ]
    heads = ["<th>characters</th>", *(f'<th class="number">{name}</th>' for name in ("rows", "accuracy"))]
    caption = "A line for each quarter of the rows, in a box of its 95% interval. Dashed: all rows."
    picture = plot_lengths(parts, accuracy=found.scores.accuracy)
    beside = f'<div class="panels">{picture}{table(heads, rows)}</div>'
    return section(HEADING, f'<p class="faint">{caption}</p>', beside, anchor="lengths")
