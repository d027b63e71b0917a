"""``tf-finetune export``."""

from __future__ import annotations

import click

from tf_finetune.cli.command import Command

__all__ = ["export"]


@click.command("export", cls=Command)
@click.argument("model_folder")
@click.option(
    "--version", type=click.IntRange(min=1), metavar="N", help="Number of the version folder.  [default: the next one]"
)
def export(model_folder: str, version: int | None) -> None:
    """Write a SavedModel of a trained model for TensorFlow Serving.

    MODEL_FOLDER is what fit wrote: saved_models/NAME. Prints the folder of the new version.
    """
    from tf_finetune.serving.export import export as export_run

    click.echo(export_run(model_folder, version=version))
