"""What matters most, in sentences, and all scores with their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tf_finetune.audit.audit import Audit
from tf_finetune.audit.finding import ERROR, WARNING
from tf_finetune.evaluation.resampling import LEVEL
from tf_finetune.evaluation.table import HEADLINE
from tf_finetune.pages.page import escaped, row, section, table
from tf_finetune.reporting.columns import ScoreColumn
from tf_finetune.reporting.reported import Reported
from tf_finetune.reporting.words import command, name_of, number, share

__all__ = ["scores_section", "summary_section"]

ROWS = {"given": "given", "train": "training", "validation": "validation", "test": "test"}

MEANINGS = {
    "accuracy": "share of right answers",
    "macro_f1": "mean F1 of the classes, each counts the same",
    "weighted_f1": "mean F1 of the classes, each counts by its rows",
    "mcc": "0 is guessing, 1 is perfect; fair to rare classes",
    "auroc": "how well rows are ranked: 0.5 is guessing, 1 is perfect",
    "average_precision": "mean precision over all thresholds: 1 is perfect",
    "log_loss": "how far off the probabilities are: 0 is perfect",
    "brier_score": "the same by squares: 0 is perfect",
    "ece": "by how much the probabilities miss the share of right answers: 0 is perfect",
}


def summary_section(found: Reported, audit: Audit | None) -> str:
    """How good the model is, and what stands out."""
    points = "".join(f"<li>{point}</li>" for point in _points(found, audit))
    return section(
        "In short", f'<p class="lead">{_lead(found)}</p>', f'<ul class="points">{points}</ul>', anchor="short"
    )


def scores_section(found: Reported) -> str:
    """All scores, a column for each data set."""
    heads = ["<th>score</th>"]
    heads += [f'<th class="number">{ROWS[column.name]}<br>{column.rows:,} rows</th>' for column in found.columns]
    rows = [_score_row(name, title, found.columns) for name, title in HEADLINE.items()]
    return section("Scores", table(heads, rows), *_notes(found), anchor="scores")


def _lead(found: Reported) -> str:
    """Accuracy, of rows that chose nothing where there are any."""
    first, *others = found.columns
    words = f"The model is right in {_accuracy(first)}."
    test = next((column for column in others if column.name == "test"), None)
    if test is not None:
        words += f" It is right in {_accuracy(test)}, which chose nothing."
    return words


def _accuracy(column: ScoreColumn) -> str:
    """As in "86.4% (95% interval 83.2% to 89.2%) of 500 test rows"."""
    found = column.intervals["accuracy"]
    return (
        f"<strong>{share(found.estimate)}</strong> of {column.rows:,} {ROWS[column.name]} rows "
        f"({found.level:.0%} interval {share(found.low)} to {share(found.high)})"
    )


def _points(found: Reported, audit: Audit | None) -> Iterator[str]:
    """What stands out, a sentence or two each."""
    yield _baseline(found)
    yield from _trust(found)
    yield _classes(found)
    yield _confidence(found)
    yield from _length(found)
    yield from _epochs(found)
    if audit is not None:
        counts = {severity: sum(one.severity == severity for one in audit.findings) for severity in (ERROR, WARNING)}
        words = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if count]
        said = f"has <strong>{' and '.join(words)}</strong>" if words else "found nothing that is likely to harm"
        yield f'The <a href="#data">data audit</a> {said}.'


def _baseline(found: Reported) -> str:
    support = [one.support for one in found.scores.classes]
    most = int(np.argmax(support))
    rate = support[most] / found.scores.rows
    words = f"Always answering {name_of(found.names[most])}, the most frequent class, would be right in {share(rate)}."
    if found.scores.intervals.scores["accuracy"].low <= rate:
        words += " <strong>The model is not surely better than that.</strong>"
    return words


def _trust(found: Reported) -> Iterator[str]:
    if found.answers.name == "train":
        yield "<strong>The model was trained on these rows: the scores say nothing about new ones.</strong>"
    if not found.answers.is_validation:
        return
    words = "The validation rows chose the epoch" + (" and the temperature" if found.is_calibrated else "")
    words += ", so that scores on them flatter the model a little."
    if any(column.name == "test" for column in found.columns):
        yield f"{words} Believe the test rows. All pictures below show the validation rows."
    else:
        ask = command(f"tf-finetune report {found.path} --data FILE")
        yield f"{words} Rows that chose nothing tell what to expect: {ask}"


def _classes(found: Reported) -> str:
    """The class that is found worst."""
    there = [i for i, one in enumerate(found.scores.classes) if one.support]
    worst = min(there, key=lambda i: found.scores.classes[i].f1)
    one = found.scores.classes[worst]
    if not any(row[worst] for row in found.scores.confusion):
        return f'The <a href="#classes">class</a> {name_of(found.names[worst])} is never the answer.'
    return (
        f'The weakest <a href="#classes">class</a> is {name_of(found.names[worst])}: {share(one.recall)} of its rows '
        f"are found, and {share(one.precision)} of the answers that name it are right."
    )


def _confidence(found: Reported) -> str:
    sure = float(found.answers.probabilities.max(axis=1).mean())
    accuracy = found.scores.intervals.scores["accuracy"]
    words = (
        f'On average it gives its answer a <a href="#probabilities">probability</a> of {share(sure)}, and is right in '
        f"{share(accuracy.estimate)}: "
    )
    if accuracy.low <= sure <= accuracy.high:
        return f"{words}that fits."
    mend = f" To mend that: {command(f'tf-finetune calibrate {found.path}')}" * (not found.is_calibrated)
    return f"{words}it is {'too sure' if sure > accuracy.estimate else 'not sure enough'}.{mend}"


def _length(found: Reported) -> Iterator[str]:
    """A length at which the model is worse than on average, by its whole interval."""
    accuracy = found.scores.accuracy
    slices = [one for slicing in found.scores.slicings if slicing.kind == "length" for one in slicing.slices]
    worst = min(slices, key=lambda one: one.accuracy.estimate, default=None)
    if worst is not None and not worst.is_small and worst.accuracy.high < accuracy:
        yield (
            f'Texts of <a href="#lengths">{worst.name}</a> are harder: it is right in {share(worst.accuracy.estimate)} '
            "of them."
        )


def _epochs(found: Reported) -> Iterator[str]:
    losses = [value if np.isfinite(value) else np.inf for value in found.history.get("val_loss", ())]
    if len(losses) < 2 or not np.isfinite(losses).any():
        return
    lowest = int(np.argmin(losses)) + 1
    if lowest < len(losses):
        yield (
            f'The <a href="#learning">validation loss</a> was lowest in epoch {lowest} of {len(losses)}, and rose '
            "after it: the model began to learn the training rows by heart."
        )
    elif found.best_epoch == len(losses):
        yield f'The last <a href="#learning">epoch</a> of {len(losses)} was the best: more of them may help.'


def _score_row(name: str, title: str, columns: Sequence[ScoreColumn]) -> str:
    cells = [f'<th>{title}<br><span class="faint" style="font-weight: normal">{MEANINGS[name]}</span></th>']
    return row([*cells, *(number(column.values[name], ends=column.intervals.get(name)) for column in columns)])


def _notes(found: Reported) -> Iterator[str]:
    first, *others = found.columns
    lacking = ""
    if any(len(column.intervals) < len(first.intervals) for column in others):
        lacking = f" For those that are missing: {command(f'tf-finetune report {found.path} --data FILE')}"
    yield (
        f'<p class="faint">Small: {LEVEL:.0%} intervals, by the bootstrap over rows, '
        f"{found.scores.intervals.resamples:,} resamples (percentile, not stratified; of the calibration error basic). "
        f"They cover the chance of the rows, not that of another seed in training.{lacking}</p>"
    )
    if found.scores.auroc_reason:
        yield f"<p>AUROC and average precision are {escaped(found.scores.auroc_reason)}.</p>"
    if found.is_calibrated:
        yield (
            '<p class="faint">Probabilities are those after calibration, as predict gives them: logits are divided by '
            f"{found.manifest.temperature:.3f}. metrics.json has the scores from before.</p>"
        )
