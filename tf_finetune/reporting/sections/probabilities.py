"""Whether the probabilities can be believed, and which answers are accepted."""

from __future__ import annotations

import numpy as np

from tf_finetune.evaluation.operating_point import wilson_interval
from tf_finetune.evaluation.reliability import measure_reliability
from tf_finetune.pages.page import row, section, table
from tf_finetune.reporting.plots.reliability import plot_confidence, plot_reliability
from tf_finetune.reporting.reported import Reported
from tf_finetune.reporting.words import cell, command, number, share

__all__ = ["probabilities_section"]


def probabilities_section(found: Reported) -> str:
    """Reliability diagram, before and after calibration, and the operating point."""
    answers, names = found.answers, found.answers.label_names
    now = measure_reliability(answers.labels, answers.probabilities, names)
    before = measure_reliability(answers.labels, answers.uncalibrated, names) if found.is_calibrated else None
    least = 1 / len(names)
    pictures = plot_reliability(now, before=before, least=least) + plot_confidence(now, least=least)
    caption = (
        "First, of the rows whose answer has some probability, the share that is right. Bars are 95% intervals; hollow "
        "points have fewer than 10 rows. Below the dashed line the model is too sure, above it not sure enough. "
        "Second, how many rows there are."
    )
    if before is not None:
        words = (
            f"<p>Calibrated with temperature {found.manifest.temperature:.3f}: the calibration error goes from "
            f"{before.ece:.4f} to {now.ece:.4f}, the log loss from {before.log_loss:.4f} to {now.log_loss:.4f}. The "
            "order of the classes stays.</p>"
        )
    else:
        words = f"<p>The run is not calibrated. To do so: {command(f'tf-finetune calibrate {found.path}')}</p>"
    figure = f'<figure><div class="panels">{pictures}</div><figcaption>{caption}</figcaption></figure>'
    return section("Can its probabilities be believed?", words, figure, _operating_point(found), anchor="probabilities")


def _operating_point(found: Reported) -> str:
    """What the thresholds do to these rows."""
    if not found.manifest.thresholds:
        return ""
    answers = found.answers
    predicted, top = answers.predicted, answers.probabilities.max(axis=1)
    thresholds = np.array([np.inf if one is None else one for one in found.manifest.thresholds])
    accepted, right = top >= thresholds[predicted], predicted == answers.labels
    rows = []
    for i, (name, threshold) in enumerate(zip(found.names, found.manifest.thresholds, strict=True)):
        rows.append(_accepted(cell(name), threshold, predicted == i, accepted, right))
    rows.append(_accepted("<th>all</th>", None, np.ones(len(answers), bool), accepted, right))
    heads = ["<th>answer</th>", '<th class="number">threshold</th>', '<th class="number">accepted</th>']
    heads += ['<th class="number">of them right</th>', "<th>95% interval</th>"]
    lead = "Answers below the threshold of their class are called uncertain."
    return f"<h3>Operating point</h3><p>{lead}</p>{table(heads, rows)}"


def _accepted(name: str, threshold: float | None, is_class: np.ndarray, accepted: np.ndarray, right: np.ndarray) -> str:
    """A row of the table: of the answers `is_class`, bool `[n]`, those that are accepted."""
    answers, taken, hits = (int(np.sum(one)) for one in (is_class, is_class & accepted, is_class & accepted & right))
    interval = wilson_interval(hits, taken)
    share_taken = "" if not answers else f" ({share(taken / answers)})"
    cells = [
        name,
        number(threshold) if name != "<th>all</th>" else "<td></td>",
        f'<td class="number">{taken:,} of {answers:,}{share_taken}</td>',
        f'<td class="number">{share(hits / taken) if taken else "–"}</td>',
        f'<td class="faint">{"" if interval is None else " to ".join(map(share, interval))}</td>',
    ]
    return row(cells)
