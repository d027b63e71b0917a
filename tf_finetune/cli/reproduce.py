"""``tf-finetune reproduce``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.session import write_utf8

if TYPE_CHECKING:
    from tf_finetune.training.comparison import Comparison
    from tf_finetune.training.reproduce import Reproduction

__all__ = ["reproduce"]

TITLES = ("what", "recorded", "now", "same")


@click.command("reproduce", cls=Command)
@click.argument("model_folder")
@click.option("--output", metavar="DIR", help="Model folder of the new run.  [default: MODEL_FOLDER-reproduced]")
@click.option("--json", "as_json", is_flag=True, help="Print every value as JSON.")
def reproduce(model_folder: str, output: str | None, as_json: bool) -> None:
    """Make a finished run again, and compare both to the last bit.

    MODEL_FOLDER is what fit wrote: saved_models/NAME. Its recorded configuration is run in a new folder, without
    export; relative paths of data count from the working directory. Prints what differs of versions, machine and data,
    the SHA-256 of weights, optimizer, history and scores, and the values that differ. Exit code 1 if any of the four
    does. A reproduction that was stopped goes on when it is called again.
    """
    from tf_finetune.training.reproduce import reproduce as make_again

    write_utf8()
    found = make_again(model_folder, output=output, progress=sys.stderr)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join([*render(found), "", found.verdict]))
    if not found.is_same:
        raise click.exceptions.Exit(1)


def render(found: Reproduction) -> list[str]:
    """The comparisons as a table; of single values, those that differ."""
    shown = [*found.circumstances, *found.results, *(row for row in found.values if not row.same)]
    rows = [TITLES, *map(_cells, shown)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _cells(row: Comparison) -> tuple[str, ...]:
    return (*row.texts, "yes" if row.same else "no")
