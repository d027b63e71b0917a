"""``tf-finetune doctor``."""

from __future__ import annotations

import json
import shutil
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.session import say, write_utf8

if TYPE_CHECKING:
    from tf_finetune.doctor.finding import Finding

__all__ = ["doctor"]

NAME_WIDTH, INDENT = 20, 27


@click.command("doctor", cls=Command)
@click.option("--quick", is_flag=True, help="Leave the trial out: no training, no export.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(quick: bool, as_json: bool) -> None:
    """Find out why it does not work here, and how to mend it.

    Looks at Python, the machine, folders, packages, how TensorFlow, Keras and transformers are bound to each other, and
    the hub; then trains a model of two layers for two steps, exports it, and asks the export. Prints one line a check,
    and under those that are not ok the command that mends it. Exit code 1 if any of them fails.
    """
    from tf_finetune.doctor.diagnose import diagnose
    from tf_finetune.doctor.finding import FAIL, WARN

    write_utf8()
    findings = diagnose(quick=quick, on_finding=None if as_json else _show)
    count = {status: sum(finding.status == status for finding in findings) for status in (WARN, FAIL)}
    if as_json:
        told = {"ok": not count[FAIL], "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    say(f"{len(findings)} checks: {count[FAIL]} failed, {count[WARN]} with a warning")
    if count[FAIL]:
        raise click.exceptions.Exit(1)


def _show(finding: Finding) -> None:
    """Prints a finding; the command is on a line of its own, to be copied."""
    width = max(60, shutil.get_terminal_size().columns)
    start = f"{finding.status:5}  {finding.name:{NAME_WIDTH - 1}} ".ljust(INDENT)
    click.echo(
        textwrap.fill(
            finding.message,
            width,
            initial_indent=start,
            subsequent_indent=" " * INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
    if finding.fix is not None:
        click.echo(" " * 7 + finding.fix)
