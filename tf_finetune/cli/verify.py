"""``tf-finetune verify``."""

from __future__ import annotations

import json

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.session import say, write_utf8
from tf_finetune.serving.exported import TOLERANCE

__all__ = ["verify"]


@click.command("verify", cls=Command)
@click.argument("export_folder")
@click.option("--tolerance", type=float, default=TOLERANCE, show_default=True, help="Largest difference of a logit.")
@click.option(
    "--against-run/--no-against-run",
    default=True,
    show_default=True,
    help="Compare with the run beside the export too.",
)
@click.option(
    "--c-api/--no-c-api", default=True, show_default=True, help="Load the export through TensorFlow's C API too."
)
@click.option("--json", "as_json", is_flag=True, help="Print a report as JSON instead.")
def verify(export_folder: str, tolerance: float, against_run: bool, c_api: bool, as_json: bool) -> None:
    """Prove an export: load it as a server does, and compare.

    EXPORT_FOLDER is saved_models/NAME, whose newest version is taken, or saved_models/NAME/N. Prints one line a check:
    all signatures in a process with TensorFlow alone and through TensorFlow's C API, against the answers that were
    recorded at export; these against the run; warm-up requests; ops. Exit code 1 if any line begins with MISS.
    """
    from tf_finetune.serving.verification.verify import verify as verify_export

    write_utf8()
    report = verify_export(
        export_folder,
        tolerance=tolerance,
        against_run=against_run,
        c_api=c_api,
        on_check=lambda check: None if as_json else click.echo(str(check)),
    )
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    missed = sum(not check.ok for check in report.checks)
    say(f"{report.path}: {len(report.checks)} checks, {missed} missed")
    if missed:
        raise click.exceptions.Exit(1)
