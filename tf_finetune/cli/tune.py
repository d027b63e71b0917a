"""``tf-finetune tune``."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.fit import format_seconds
from tf_finetune.cli.options import config_params, given_section, resolved_config, section_params
from tf_finetune.cli.session import say, write_utf8
from tf_finetune.config import RESUME_AUTO
from tf_finetune.errors import ConfigError
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.settings import TuneConfig

if TYPE_CHECKING:
    from tf_finetune.tuning.refit import Refit
    from tf_finetune.tuning.tune import TuneResult

__all__ = ["tune"]

SHOWN = 5
"""Trials in the result."""


def _config_file(model: Any) -> Any:
    return TuneFolder(model).config


@click.command("tune", cls=Command, params=[*config_params(without=["monitor"]), *section_params(TuneConfig)])
@click.option(
    "--space", metavar="FILE", help="YAML file of what to try.  [default: learning rate, batch size and more]"
)
@click.option("--refit", "refits", is_flag=True, help="Train with the best values afterwards: a run, tests and export.")
@click.option("--seeds", type=click.IntRange(min=1), metavar="N", help="With --refit: train with so many seeds.")
@click.option("--json", "as_json", is_flag=True, help="Print all trials as JSON.")
@click.pass_context
def tune(ctx: click.Context, space: str | None, refits: bool, seeds: int | None, as_json: bool) -> None:
    """Search for better hyperparameters, and train with the best.

    The first trial is the configuration as given; all options of fit describe it. --resume DIR goes on with a search
    that was stopped or killed, or whose --max-trials is to be more. --max-hours is for the whole search.
    """
    from tf_finetune.training.fit import output_folder
    from tf_finetune.tuning.search import Search
    from tf_finetune.tuning.tune import tune as search_on
    from tf_finetune.tuning.work import is_worker, work

    began = time.monotonic()
    if seeds is not None and not refits:
        raise ConfigError(f"--seeds {seeds} has no effect without --refit.")
    config = resolved_config(ctx, recorded=_config_file)
    given = given_section(ctx, TuneConfig)
    if config.run.overwrite and not refits:
        raise ConfigError("--overwrite has no effect without --refit: a search is not overwritten.")
    if is_worker():  # the chief speaks
        work(output_folder(config), max_hours=config.run.max_hours)
        return
    resumes = config.run.resume not in (None, RESUME_AUTO)
    recorded = dataclasses.asdict(Search.read(TuneFolder(output_folder(config))).settings) if resumes else {}
    settings = TuneConfig(**{**recorded, **given})
    write_utf8()
    result = search_on(config, space, settings=settings, progress=sys.stderr)
    if not as_json:
        click.echo("\n".join(render(result)))
    refitted = None
    if refits:
        from tf_finetune.tuning.refit import refit

        refitted = refit(result.folder.model, seeds=seeds or 1, overwrite=config.run.overwrite, progress=sys.stderr)
        if not as_json:
            click.echo("\n".join(["", *render_refit(refitted, result.objective)]))
    if as_json:
        click.echo(json.dumps(to_dict(result, refitted), indent=2, ensure_ascii=False))
    say(f"Done in {format_seconds(time.monotonic() - began)}.")


def render(result: TuneResult) -> list[str]:
    """The best trials, how sure the best one is, and where everything lies."""
    return [*_table(result), "", *_verdict(result), "", *_importances(result), "", *_places(result)]


def _table(result: TuneResult) -> Iterator[str]:
    from tf_finetune.pages.words import value_text
    from tf_finetune.tuning.objective import direction, scored_trials

    sign = -1 if direction(result.objective) == "max" else 1
    ranked = [trial for trial, _ in sorted(scored_trials(result.trials), key=lambda pair: sign * pair[1])]
    shown = ranked[:SHOWN] + [trial for trial in ranked[SHOWN:] if trial.is_baseline]
    names = list(result.best.values)
    rows = [["trial", result.objective, "epoch", *(name.partition(".")[2] for name in names)]]
    for trial in shown:
        number = f"{trial.id} baseline" if trial.is_baseline else trial.id
        values = [value_text(trial.values[name]) for name in names]
        rows.append([number, f"{trial.score:.4f}", f"{trial.best_epoch}/{trial.epochs}", *values])
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
    failed = sum(trial.status == "failed" for trial in result.trials)
    pruned = sum(trial.pruned for trial in result.trials)
    yield f"{len(result.trials)} trials, {pruned} pruned, {failed} failed"


def _verdict(result: TuneResult) -> Iterator[str]:
    found = result.conclusion
    if found.baseline is None:
        yield "There is no baseline to compare with: its trial was not completed."
    elif found.difference is None:
        yield "The configuration as given is the best of all."
    else:
        d = found.difference
        yield (
            f"Trial {found.best.id} against the baseline: {d.estimate:+.4f}, {100 * d.level:.0f} % interval "
            f"{d.low:+.4f} to {d.high:+.4f} (paired bootstrap of {d.rows} validation rows, {d.resamples} times)."
        )
        yield "It was chosen by the same rows out of several trials: on new rows the difference is likely smaller."


def _importances(result: TuneResult) -> Iterator[str]:
    found = result.conclusion.importance
    if not found.shares:
        yield f"What mattered: {found.reason}"
        return
    yield f"What mattered, by a random forest of {found.trials} trials (explains {found.r2:.2f} of unseen scores):"
    width = max(map(len, found.shares))
    for name, share in found.shares.items():
        yield f"  {name.ljust(width)}  {100 * share:3.0f} %"


def _places(result: TuneResult) -> Iterator[str]:
    yield f"best configuration  {result.folder.best}"
    yield f"all trials          {result.folder.table}"
    yield f"report              {result.folder.report}"


def render_refit(found: Refit, objective: str) -> Iterator[str]:
    """The runs of the best values, and whether the trial's score came again."""
    same = "the same" if found.is_reproduced else "NOT the same"
    yield f"Refit of trial {found.trial.id}: {objective} {found.score:.6f}, trial {found.trial.score:.6f}: {same}."
    rows = [["seed", "accuracy", "macro F1", "test accuracy", "test macro F1", "model"]]
    for run in found.runs:
        test = run.test_scores
        tests = ["-", "-"] if test is None else [f"{test.accuracy:.4f}", f"{test.macro_f1:.4f}"]
        rows.append([str(run.seed), f"{run.scores.accuracy:.4f}", f"{run.scores.macro_f1:.4f}", *tests])
        rows[-1].append(str(run.run.path))
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
    if found.export is not None:
        yield f"export  {found.export}"


def to_dict(result: TuneResult, refitted: Refit | None) -> dict[str, Any]:
    """Plain JSON types."""
    found = result.conclusion
    return {
        "objective": result.objective,
        "best": found.best.id,
        "baseline": None if found.baseline is None else found.baseline.id,
        "difference": None if found.difference is None else dataclasses.asdict(found.difference),
        "importance": dataclasses.asdict(found.importance),
        "trials": [{**dataclasses.asdict(trial), "values": dict(trial.values)} for trial in result.trials],
        "refit": None if refitted is None else refitted.to_dict(),
    }
