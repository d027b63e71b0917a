"""A calibration as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tf_finetune.evaluation.calibration import NOTE, Calibration, Change
from tf_finetune.evaluation.layout import align, display_names
from tf_finetune.evaluation.operating_point import OperatingPoint
from tf_finetune.evaluation.reliability import Bin

__all__ = ["calibration_lines", "format_calibration"]

SCORES = {"log_loss": "log loss", "brier_score": "Brier score", "ece": "calibration error"}


def calibration_lines(found: Calibration) -> Iterator[str]:
    """What was found, a sentence each."""
    temperature, point = found.temperature, found.operating_point
    if temperature.reason is not None:
        yield f"Not calibrated, the temperature stays 1: {temperature.reason}."
    else:
        yield (
            f"Temperature {temperature.value:.3f} (95 % interval {temperature.low:.3f} to {temperature.high:.3f}), "
            f"from {temperature.rows} validation rows: {_words(found.validation)}."
        )
        if found.test is not None:
            yield f"On the {found.test.rows} test rows, which chose nothing: {_words(found.test)}."
    if point is not None:
        all_rows = point.overall
        right = "" if all_rows.precision is None else f", of which {all_rows.precision:.1%} are right"
        yield f"Operating point {point.target}: {all_rows.coverage or 0:.1%} of the validation rows accepted{right}."
        for name, one in zip(display_names(point.label_names), point.classes, strict=True):
            if one.reason is not None:
                outcome = "none of its rows is accepted" if one.threshold is None else "all of its rows are accepted"
                yield f"Class {name} does not reach {point.target}: {one.reason}; {outcome}."


def _words(change: Change) -> str:
    before, after = change.before, change.after
    return (
        f"log loss {before.log_loss:.4f} -> {after.log_loss:.4f}, calibration error {before.ece:.4f} -> {after.ece:.4f}"
    )


def format_calibration(found: Calibration) -> str:
    """All that was found, without a trailing newline: scores and reliability before and after, and the thresholds."""
    validation = found.validation
    blocks = [
        list(calibration_lines(found)),
        _scores(found),
        _reliability(validation.before.bins, validation.after.bins),
    ]
    if found.operating_point is not None:
        blocks.append(_thresholds(found.operating_point))
    blocks.append([NOTE])
    return "\n\n".join("\n".join(block) for block in blocks)


def _scores(found: Calibration) -> list[str]:
    parts: dict[str, Change] = {"validation": found.validation}
    if found.test is not None:
        parts["test"] = found.test
    rows = [["", *(f"{name} {when}" for name in parts for when in ("before", "after"))]]
    for field, title in SCORES.items():
        values = [getattr(one, field) for part in parts.values() for one in (part.before, part.after)]
        rows.append([title, *(f"{value:.4f}" for value in values)])
    return align(rows)


def _reliability(before: Sequence[Bin], after: Sequence[Bin]) -> list[str]:
    """Confidence and accuracy in each bin that has rows."""
    rows = [["top probability", "rows before", "confidence", "accuracy", "rows after", "confidence", "accuracy"]]
    for first, second in zip(before, after, strict=True):
        if first.rows or second.rows:
            rows.append([f"{first.low:.3f} to {first.high:.3f}", *_cells(first), *_cells(second)])
    return align(rows)


def _cells(one: Bin) -> list[str]:
    shares = ["-" if value is None else f"{value:.3f}" for value in (one.confidence, one.accuracy)]
    return [str(one.rows), *shares]


def _thresholds(point: OperatingPoint) -> list[str]:
    rows = [["class", "threshold", "predicted", "accepted", "coverage", "precision", "95 % interval", "recall"]]
    named = zip([*display_names(point.label_names), "all"], [*point.classes, point.overall], strict=True)
    for name, one in named:
        threshold = getattr(one, "threshold", None)
        interval = one.precision_interval
        rows.append(
            [
                name,
                "-" if threshold is None else f"{threshold:.6f}",
                str(one.predicted),
                str(one.accepted),
                *(_share(value) for value in (one.coverage, one.precision)),
                "-" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}",
                _share(getattr(one, "recall", None)),
            ]
        )
    return align(rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
