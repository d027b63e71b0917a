"""``tf-finetune launch``."""

from __future__ import annotations

import sys

import click

from tf_finetune.cli.command import Command

__all__ = ["launch"]


@click.command("launch", cls=Command, context_settings={"ignore_unknown_options": True})
@click.option("--workers", type=click.IntRange(min=2), required=True, metavar="N", help="Processes to start.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, required=True, metavar="-- fit ...")
@click.pass_context
def launch(ctx: click.Context, workers: int, words: tuple[str, ...]) -> None:
    """Train one model in several processes on this machine.

    A trial of what a cluster does: each process is a worker of a MultiWorkerMirroredStrategy, told so by TF_CONFIG.
    """
    from tf_finetune.training.launch import launch as start

    if words[0] != "fit":
        raise click.UsageError(f"Workers train: expected `-- fit ...`. Received: {words[0]}.", ctx)
    code = start(words, workers=workers, talk=sys.stderr)
    if code:
        ctx.exit(code)
