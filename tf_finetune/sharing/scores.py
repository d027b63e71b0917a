"""The sections of a model card on how good the model is, and where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tf_finetune.evaluation.bootstrap import Interval
from tf_finetune.evaluation.intervals import METHOD
from tf_finetune.evaluation.resampling import RESAMPLES
from tf_finetune.evaluation.slices import SMALL
from tf_finetune.sharing.facts import Facts
from tf_finetune.sharing.markdown import comma_list, plain, table
from tf_finetune.sharing.measured import Measured

__all__ = ["MOST_CLASSES", "limits", "probabilities", "scores", "share"]

NAMES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
    "mcc": "Matthews correlation (MCC)",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "log_loss": "Log loss",
    "brier_score": "Brier score",
    "ece": "Expected calibration error",
}
"""Field of `Scores` to its name in a card, in the order of the table."""

MOST_CLASSES = 60
"""Most classes that a table shows."""

WORST, MISTAKES, FEW_ROWS = 3, 5, 10
"""Most classes that do badly, kinds of mistakes, and classes of few rows that are named."""

CUTS = {
    "head": "of a longer one, the start is read and the rest is not",
    "tail": "of a longer one, the end is read and the rest is not",
    "head+tail": "of a longer one, a quarter from the start and the rest from the end are read, the middle is not",
}


def share(value: float) -> str:
    """A share as a percentage."""
    return f"{value:.1%}".replace("%", " %")


def scores(facts: Facts) -> Iterator[str]:
    """Scores of each split, then of each class, then what is mistaken for what."""
    chosen = "The validation texts have chosen the weights that were kept, so they flatter the model a little."
    if any(measured.split == "test" for measured in facts.measured):
        yield f"The test texts were used for no choice: they tell what to expect. {chosen}"
    else:
        yield f"{chosen} There was no test data: score the model on other texts (`tf-finetune evaluate`)."
    head = ["", *(f"{one.split.capitalize()} ({one.rows:,} texts)" for one in facts.measured)]
    known = {name: title for name, title in NAMES.items() if any(name in one.values for one in facts.measured)}
    yield table(head, [[title, *(_cell(one, name) for one in facts.measured)] for name, title in known.items()])
    yield (
        f"In brackets: 95 % intervals ({METHOD}; {RESAMPLES:,} resamples). They cover the chance of the texts, not "
        "that of another training. What is missing, `tf-finetune evaluate` measures."
    )
    yield from _class_scores(facts)


def _cell(measured: Measured, name: str) -> str:
    value = measured.values.get(name)
    return "not measured" if value is None else _with_ends(value, measured.intervals.get(name))


def _with_ends(value: float, interval: Interval | None) -> str:
    return f"{value:.3f}" + ("" if interval is None else f" [{interval.low:.3f} to {interval.high:.3f}]")


def _class_scores(facts: Facts) -> Iterator[str]:
    """Of the split that counts most."""
    names, measured = facts.manifest.label_names, facts.measured[0]
    yield f"Each class, {measured.split} texts:"
    found = zip(names, measured.classes, measured.class_intervals, strict=True)
    rows = [
        [
            plain(name),
            *(_with_ends(getattr(one, field), ends.get(field)) for field in ("precision", "recall", "f1")),
            f"{one.support:,}",
        ]
        for name, one, ends in found
    ]
    yield table(["Class", "Precision", "Recall", "F1", "Texts"], rows[:MOST_CLASSES])
    if len(rows) > MOST_CLASSES:
        yield f"{len(rows) - MOST_CLASSES} more classes are not shown."
    mistakes = _mistakes(measured)
    if len(names) > 2 and mistakes:
        shown = [
            f"{plain(names[true])} taken for {plain(names[answer])} ({count:,})" for count, true, answer in mistakes
        ]
        yield f"Most frequent mistakes: {'; '.join(shown)}."


def _mistakes(measured: Measured) -> list[tuple[int, int, int]]:
    """The most frequent ones: how many texts, their class, and the answer."""
    counted = [
        (count, true, answer)
        for true, row in enumerate(measured.confusion)
        for answer, count in enumerate(row)
        if count and true != answer
    ]
    return sorted(counted, key=lambda one: (-one[0], *one[1:]))[:MISTAKES]


def probabilities(facts: Facts) -> Iterator[str]:
    """Whether they are calibrated, what that changed, and the operating point."""
    found = facts.calibration
    if found is None:
        yield (
            "The probabilities are those of the model as it was trained, not calibrated: it may be too sure of itself. "
            "The expected calibration error above says how far they are from the share of right answers."
        )
        return
    yield (
        f"The probabilities are calibrated: the logits are divided by {facts.manifest.temperature:.3f} before the "
        f"softmax, a temperature that was found on the validation texts. {_change(found)}"
    )
    point = found["operating_point"]
    if point is not None:
        yield from _operating_point(facts, point)


def _change(calibration: Mapping[str, Any]) -> str:
    split = "test" if calibration["test"] is not None else "validation"
    before, after = calibration[split]["before"], calibration[split]["after"]
    return (
        f"On the {split} texts the calibration error went from {before['ece']:.3f} to {after['ece']:.3f}, the log loss "
        f"from {before['log_loss']:.3f} to {after['log_loss']:.3f}."
    )


def _operating_point(facts: Facts, point: Mapping[str, Any]) -> Iterator[str]:
    target = ", ".join(f"a {kind} of {share(value)}" for kind, value in point["target"].items())
    yield (
        f"An answer is taken if its probability reaches the threshold of its class; else the decision is `uncertain`. "
        f"The thresholds were chosen on the validation texts for {target} in each class. There, "
        f"{share(point['coverage'] or 0)} of all answers were taken"
        + ("." if point["precision"] is None else f", and {share(point['precision'])} of these were right.")
    )
    rows = []
    for name in facts.manifest.label_names[:MOST_CLASSES]:
        one = point["classes"][name]
        ends, right = one["precision_interval"], one["precision"]
        interval = "" if ends is None else f" [{share(ends[0])} to {share(ends[1])}]"
        threshold = "never taken" if one["threshold"] is None else f"{one['threshold']:.4f}"
        taken = f"{one['accepted']:,} of {one['predicted']:,}"
        rows.append([plain(name), threshold, taken, "–" if right is None else f"{share(right)}{interval}"])
    yield table(["Class", "Threshold", "Taken", "Right among them"], rows)


def limits(facts: Facts) -> Iterator[str]:
    """What was measured that a user should be warned of, as list items."""
    names, measured = facts.manifest.label_names, facts.measured[0]
    yield f"- {_length_limit(facts)}"
    worst = sorted((one.f1, place) for place, one in enumerate(measured.classes) if one.support)
    worst = worst[: min(WORST, max(1, len(names) // 2))]
    told = [
        f"{plain(names[place])}, F1 {_with_ends(f1, measured.class_intervals[place].get('f1'))}"
        f"{_taken_for(facts, measured, place)}"
        for f1, place in worst
    ]
    yield f"- What it finds worst: {'; '.join(told)}."
    few = [name for name, one in zip(names, measured.classes, strict=True) if one.support < SMALL]
    if few:
        listed = comma_list(few, most=FEW_ROWS)
        yield f"- Fewer than {SMALL} {measured.split} texts, so that their scores tell little: {listed}."
    if facts.settings.get("data.allow_leaks"):
        yield (
            "- It was trained with `--allow-leaks`: texts of one split may be in another as well, which makes the "
            "scores look better than they are."
        )
    yield (
        "- The scores are of the texts named under Data. Texts of other sources, times or languages were not measured, "
        "and neither was how the model treats groups of people."
    )


def _taken_for(facts: Facts, measured: Measured, place: int) -> str:
    """What the texts of a class are most often mistaken for."""
    count, answer = max((count, -answer) for answer, count in enumerate(measured.confusion[place]) if answer != place)
    if not count:
        return ""
    rows = measured.classes[place].support
    return f" ({count:,} of its {rows:,} texts were taken for {plain(facts.manifest.label_names[-answer])})"


def _length_limit(facts: Facts) -> str:
    first = (
        f"It reads at most {facts.manifest.max_length} tokens of a text; {CUTS.get(facts.manifest.truncate, 'cut')}."
    )
    lengths = facts.environment.get("lengths")
    if not isinstance(lengths, Mapping):
        return first
    return (
        f"{first} {share(lengths['truncated'])} of the training texts were longer, and {share(lengths['lost'])} of all "
        "their tokens were not read."
    )
