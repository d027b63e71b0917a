"""``tf-finetune smoke``."""

from __future__ import annotations

import json
from typing import Any

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.numbers import FiniteRange
from tf_finetune.cli.session import say, write_utf8
from tf_finetune.serving.exported import TOLERANCE

__all__ = ["smoke"]


@click.command("smoke", cls=Command)
@click.argument("url")
@click.option("--model", required=True, metavar="NAME", help="Name of the model on the server.")
@click.option(
    "--export",
    metavar="FOLDER",
    help="Model folder, or one version of it, with the recorded answers.  [default: saved_models/NAME]",
)
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="Ask for this version.")
@click.option("--label", metavar="LABEL", help="Ask for the version of this label.")
@click.option("--grpc", is_flag=True, help="Speak gRPC; URL is then HOST:8500.")
@click.option("--tolerance", type=float, default=TOLERANCE, show_default=True, help="Largest difference of a logit.")
@click.option(
    "--timeout",
    type=FiniteRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Seconds for an answer.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a report as JSON.")
@click.pass_context
def smoke(ctx: click.Context, /, url: str, model: str, as_json: bool, **options: Any) -> None:
    """Compare a model server with the recorded answers of an export.

    URL is the server's REST API, http://HOST:8501. Sends the texts that were recorded at export, by all signatures and
    in all formats, and prints one line for each. Exit code 1 if any line begins with MISS.
    """
    from tf_finetune.serving.clients.smoke import smoke as ask_server

    write_utf8()
    report = ask_server(url, model, on_check=lambda check: None if as_json else click.echo(str(check)), **options)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    missed = sum(not check.ok for check in report.checks)
    say(f"{url}: {len(report.checks)} checks, {missed} missed")
    if missed:
        ctx.exit(1)
