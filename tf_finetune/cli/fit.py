"""``tf-finetune fit``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.options import config_params, resolved_config
from tf_finetune.cli.session import say
from tf_finetune.config.cluster import read_cluster

if TYPE_CHECKING:
    from tf_finetune.training.fit import FitResult

__all__ = ["fit"]


@click.command("fit", cls=Command, params=config_params())
@click.option("--dry-run", is_flag=True, help="Show what would be done, from a few real steps; write nothing.")
@click.pass_context
def fit(ctx: click.Context, dry_run: bool) -> None:
    """Fine-tune a classifier on labelled texts, and export it.

    Without --data, trains on the embedded sample of reviews. Values come from the defaults, then --config, then the
    options below, then --set; the last one wins.
    """
    config = resolved_config(ctx)
    if dry_run:
        from tf_finetune.training.plan import plan

        click.echo("\n".join(plan(config).lines()))
        return
    from tf_finetune.training.fit import fit as train

    cluster = read_cluster()
    if cluster is not None and not cluster.is_chief:  # the chief speaks
        train(config)
        return
    result = train(config, progress=sys.stderr)
    click.echo(render(result))
    say(f"Done in {format_seconds(result.seconds)}; the weights kept are those of epoch {result.best_epoch}.")


def render(result: FitResult) -> str:
    """The scores and where everything lies, as text for the terminal."""
    from tf_finetune.evaluation.table import format_scores

    blocks = [format_scores(result.scores, title="Validation")]
    if result.test_scores is not None:
        blocks.append(format_scores(result.test_scores, title="Test"))
    places = [f"model   {result.run.path}"]
    if result.export is not None:
        places.append(f"export  {result.export}")
    return "\n\n".join([*blocks, "\n".join(places)])


def format_seconds(seconds: float) -> str:
    """A duration in words: ``41 s``, ``3 min 07 s``, ``2 h 05 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
