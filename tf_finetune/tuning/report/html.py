"""`write_report`: what a search found, as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tf_finetune.evaluation.bootstrap import Interval
from tf_finetune.pages.page import escaped, row, section
from tf_finetune.pages.words import duration_text, score_text, value_text
from tf_finetune.pages.write import write_page
from tf_finetune.tuning.objective import baseline_trial, best_trial, in_order
from tf_finetune.tuning.report.importance import Importance
from tf_finetune.tuning.report.plots import plot_history, plot_parallel, plot_values
from tf_finetune.tuning.report.verdict import counts, headline
from tf_finetune.tuning.trial import COMPLETED, FAILED, Trial

__all__ = ["write_report"]

REASON_LETTERS = 1200
"""Of the reason of a failure; trials.csv has all of it."""

PLOTS = (
    (
        plot_history,
        "History",
        "The score of each trial, in the order of their numbers; the best so far as steps, the configuration as given "
        "as a dashed line. Crosses failed, hollow diamonds were stopped early.",
    ),
    (
        plot_parallel,
        "All values together",
        "A line for each trial, coloured by the rank of its score: "
        '<i class="swatch" style="background: #d55e00"></i> the worst to '
        '<i class="swatch" style="background: #1a80c0"></i> the best, which is the thick one. The better score is '
        "above. Dotted lines failed.",
    ),
    (
        plot_values,
        "Each value against the score",
        "Trials differ in all values at once: a pattern in one panel may come from another value.",
    ),
)


def write_report(
    path: Path,
    *,
    title: str,
    objective: str,
    trials: Sequence[Trial],
    comparison: Interval | None,
    importance: Importance,
    facts: Mapping[str, Any],
) -> None:
    """Writes the report: one HTML file, whole or not at all, which loads nothing from elsewhere.

    Args:
        path: The file.
        title: Of the page.
        objective: What the score is.
        trials: All trials of the search, in any order.
        comparison: The best trial's score minus the baseline's on the validation rows; None if there is no baseline,
            or it is the best trial.
        importance: How much each hyperparameter mattered.
        facts: What else is to be known by name, such as the algorithm, the seed and the data.

    Raises:
        ConfigError: There is no such objective.
    """
    ordered = in_order(trials)
    best = best_trial(ordered, objective)
    sections = [
        section("What was found", headline(ordered, objective, comparison), _best_values(ordered, best)),
        *(
            section(heading, f'<figure><div class="wide">{plot(ordered, objective)}</div>', _caption(caption))
            for plot, heading, caption in PLOTS
        ),
        section("How much each value mattered", _importance(importance)),
        section("All trials", f"<p>{counts(ordered)}</p>", _failures(ordered), _all_trials(ordered, objective, best)),
        section("How it was searched", _facts({"objective": objective, **facts})),
    ]
    write_page(path, title, sections)


def _caption(words: str) -> str:
    return f"<figcaption>{words}</figcaption></figure>"


def _best_values(trials: Sequence[Trial], best: Trial | None) -> str:
    """The values of the best trial beside those of the baseline; they are whole, to be copied."""
    if best is None:
        return ""
    baseline = baseline_trial(trials)
    others = {} if baseline is None or baseline is best else baseline.values
    heads = ["value", f"best trial, {escaped(best.id)}", *(["as given"] if others else [])]
    rows = []
    for name, value in best.values.items():
        changed = ' class="changed"' if others and others.get(name) != value else ""
        cells = [f"<th>{escaped(name)}</th>", f"<td{changed}>{escaped(value)}</td>"]
        rows.append(row([*cells, f"<td>{escaped(others.get(name))}</td>"] if others else cells))
    return _table([f"<th>{head}</th>" for head in heads], rows)


def _importance(importance: Importance) -> str:
    if importance.reason:
        return f"<p>{escaped(importance.reason)}</p>"
    rows = []
    for name, share in importance.shares.items():
        bar = f'<td class="bar"><i style="width: {100 * share:.1f}%"></i></td>'
        rows.append(row([f"<th>{escaped(name)}</th>", f'<td class="number">{share:.0%}</td>', bar]))
    r2 = "" if importance.r2 is None else f" It explains {importance.r2:.0%} of the variance of their scores (R²)."
    doubt = (
        " Most of what they differ by is not explained: the shares are a hint." if (importance.r2 or 0) < 0.5 else ""
    )
    heads = ["<th>value</th>", '<th class="number">share</th>', "<th></th>"]
    note = f"{escaped(importance.method)} From {importance.trials} trials.{r2}{doubt}"
    return f'{_table(heads, rows)}<p class="faint">{note}</p>'


def _failures(trials: Sequence[Trial]) -> str:
    """The failed trials with their reasons, which are too long for a column of the table of all trials."""
    rows = []
    for trial in trials:
        if trial.status == FAILED:
            cut = " … (the rest is in trials.csv)" if len(trial.reason) > REASON_LETTERS else ""
            reason = f'<td class="reason">{escaped(trial.reason[:REASON_LETTERS])}{cut}</td>'
            rows.append(row([f"<td>{escaped(trial.id)}</td>", reason]))
    return _table(["<th>failed</th>", "<th>why</th>"], rows) if rows else ""


def _all_trials(trials: Sequence[Trial], objective: str, best: Trial | None) -> str:
    names = list(dict.fromkeys(name for trial in trials for name in trial.values))
    numbers = [objective, "best epoch", "epochs", "time"]
    heads = ["<th>trial</th>", "<th>status</th>", *(f'<th class="number">{escaped(name)}</th>' for name in numbers)]
    heads += [f"<th>{escaped(name).replace('.', '.<wbr>').replace('_', '_<wbr>')}</th>" for name in names]
    rows = []
    for trial in trials:
        cells = [
            f"<td>{escaped(trial.id)}{_parent(trial)}</td>",
            f"<td>{_status(trial)}</td>",
            _number(trial.score, score_text(trial.score)),
            _number(trial.best_epoch or None, str(trial.best_epoch or "–")),
            _number(trial.epochs, f"{trial.epochs} of {trial.planned}"),
            _number(trial.seconds, duration_text(trial.seconds)),
            *(_value(trial.values.get(name)) for name in names),
        ]
        classes = [name for name, true in (("best", trial is best), ("failed", trial.status == FAILED)) if true]
        rows.append(row(cells, classes=" ".join(classes)))
    return f'<div class="wide">{_table(heads, rows, classes="sortable")}</div>'


def _parent(trial: Trial) -> str:
    return f' <span class="faint">from {escaped(trial.parent)}</span>' if trial.parent else ""


def _status(trial: Trial) -> str:
    return "stopped early" if trial.pruned and trial.status == COMPLETED else escaped(trial.status)


def _number(value: float | None, text: str) -> str:
    key = "" if value is None else repr(float(value))
    return f'<td class="number" data-sort="{key}">{escaped(text)}</td>'


def _value(value: Any) -> str:
    """A value as people read it; sorted and shown on hovering by all of its digits."""
    whole = escaped(value)
    short = escaped(value_text(value))
    hint = f' title="{whole}"' if whole != short else ""
    return f'<td data-sort="{whole}"{hint}>{short}</td>'


def _facts(facts: Mapping[str, Any]) -> str:
    return _table([], [row([f"<th>{escaped(name)}</th>", f"<td>{escaped(fact)}</td>"]) for name, fact in facts.items()])


def _table(heads: Sequence[str], rows: Sequence[str], *, classes: str = "") -> str:
    start = f'<table class="{classes}">' if classes else "<table>"
    head = f"<thead>{row(heads)}</thead>" if heads else ""
    return "\n".join((start + head, "<tbody>", *rows, "</tbody></table>"))
