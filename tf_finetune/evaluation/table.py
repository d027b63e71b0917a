"""Scores as aligned tables for the terminal, with their intervals and slices where there are any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tf_finetune.evaluation.bootstrap import Interval
from tf_finetune.evaluation.evaluation import Evaluation
from tf_finetune.evaluation.intervals import ScoreIntervals
from tf_finetune.evaluation.layout import align, display_names, escape, width
from tf_finetune.evaluation.metrics import Scores
from tf_finetune.evaluation.slices import LENGTH_SLICES, SMALL, Slicing

__all__ = ["display_names", "format_scores"]

MATRIX_WIDTH = 100
MATRIX_CLASSES = 12
CONFUSED_PAIRS = 10

HEADLINE = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "mcc": "MCC",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier_score": "Brier score",
    "ece": "calibration error",
}
"""Field of `Scores` -> its name for people, in the order of the table."""


def format_scores(scores: Scores, *, title: str = "") -> str:
    """Lays scores out as plain text without a trailing newline: headline, per-class table, confusion matrix.

    An `Evaluation` has its intervals beside the scores, and a table for each slicing but that by class, which the
    per-class table is. Columns are aligned by display width (East Asian names take two cells a character). Control
    characters in names are shown escaped, so that a label cannot write to the terminal. Beyond 12 classes, the most
    confused pairs of classes take the place of the matrix.
    """
    found = scores if isinstance(scores, Evaluation) else None
    intervals = None if found is None else found.intervals
    names = display_names(scores.label_names)
    confusion = _matrix(scores, names) if len(names) <= MATRIX_CLASSES else _confused_pairs(scores, names)
    blocks = [_headline(scores, intervals), _class_table(scores, names, intervals), confusion]
    if title:
        blocks.insert(0, [escape(title)])
    if found is not None:
        blocks += [_slice_table(slicing) for slicing in found.slicings if slicing.kind != "class"]
        blocks.append(list(_notes(found)))
    return "\n\n".join("\n".join(block) for block in blocks)


def _headline(scores: Scores, intervals: ScoreIntervals | None) -> list[str]:
    lines = [["rows", str(scores.rows), ""]]
    for field, name in HEADLINE.items():
        value = getattr(scores, field)
        interval = None if intervals is None else intervals.scores.get(field)
        ends = "" if interval is None else f"{interval.low:.4f} to {interval.high:.4f}"
        lines.append([name, "-" if value is None else f"{value:.4f}", ends])
        if value is None and scores.auroc_reason and field in ("auroc", "average_precision"):
            lines[-1][1] += f" ({escape(scores.auroc_reason)})"
    if intervals is not None:
        lines[0][2] = "95 % interval"
    return align(lines, left=3)


def _class_table(scores: Scores, names: Sequence[str], intervals: ScoreIntervals | None) -> list[str]:
    rows = [["class", "precision", "recall", "F1", "rows"]]
    ends: Sequence[Mapping[str, Interval]] = [{}] * len(names) if intervals is None else intervals.classes
    for name, one, interval in zip(names, scores.classes, ends, strict=True):
        cells = [_with_ends(getattr(one, field), interval.get(field)) for field in ("precision", "recall", "f1")]
        rows.append([name, *cells, str(one.support)])
    return align(rows)


def _with_ends(value: float, interval: Interval | None) -> str:
    return f"{value:.4f}" + ("" if interval is None else f" [{interval.low:.3f}, {interval.high:.3f}]")


def _slice_table(slicing: Slicing) -> list[str]:
    title = "length" if slicing.kind == "length" else display_names([slicing.by])[0]
    rows = [[title, "rows", "accuracy", "macro F1"]]
    for name, one in zip(display_names([one.name for one in slicing.slices]), slicing.slices, strict=True):
        scores = ["-" if score is None else _with_ends(score.estimate, score) for score in (one.accuracy, one.macro_f1)]
        rows.append([f"{name} *" if one.is_small else name, str(one.rows), *scores])
    return align(rows)


def _notes(found: Evaluation) -> Iterator[str]:
    """What the intervals are, and what to beware of."""
    yield (
        f"Intervals: 95 %, bootstrap over rows, {found.intervals.resamples} resamples (percentile, not stratified; "
        "of the calibration error basic)."
    )
    slices = [one for slicing in found.slicings if slicing.kind != "class" for one in slicing.slices]
    if len(slices) > LENGTH_SLICES:
        yield "Of many slices, some are better or worse than the others by chance alone."
    if any(one.is_small for one in slices):
        yield f"* fewer than {SMALL} rows: too few to conclude much."
    of_classes = [interval for one in found.intervals.classes for interval in one.values()]
    intervals = [found.intervals.scores["accuracy"], *of_classes, *(one.accuracy for one in slices)]
    if any(one.low == one.high for one in intervals):
        yield "An interval without width is not certainty: where no row is wrong, no resample has a wrong one."


def _matrix(scores: Scores, names: Sequence[str]) -> list[str]:
    """True classes down, predicted ones across; numbered where the names would make it too wide."""
    corner = "true \\ predicted"
    lines = align(
        [[corner, *names], *([name, *map(str, row)] for name, row in zip(names, scores.confusion, strict=True))]
    )
    if width(lines[0]) <= MATRIX_WIDTH:
        return lines
    numbers = [str(i + 1) for i in range(len(names))]
    down = [f"{i + 1} {name}" for i, name in enumerate(names)]
    return align(
        [[corner, *numbers], *([name, *map(str, row)] for name, row in zip(down, scores.confusion, strict=True))]
    )


def _confused_pairs(scores: Scores, names: Sequence[str]) -> list[str]:
    pairs = [
        (rows, true, predicted)
        for true, counts in enumerate(scores.confusion)
        for predicted, rows in enumerate(counts)
        if true != predicted and rows
    ]
    if not pairs:
        return ["No class was taken for another."]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    table = [["most confused: true", "predicted", "rows", "of the class"]]
    for rows, true, predicted in pairs[:CONFUSED_PAIRS]:
        share = f"{rows / scores.classes[true].support:.1%}"
        table.append([names[true], names[predicted], str(rows), share])
    return align(table, left=2)
