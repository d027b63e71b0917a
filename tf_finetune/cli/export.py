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
@click.option(
    "--signatures",
    metavar="NAMES",
    help="Some of token_ids, text, classify, with commas.  [default: all that the tokenizer allows]",
)
def export(model_folder: str, version: int | None, signatures: str | None) -> None:
    """Write a SavedModel of a trained model for TensorFlow Serving.

    MODEL_FOLDER is what fit wrote: saved_models/NAME. The default signature takes token ids; the signature text takes
    texts and tokenizes them exactly as in training, where the tokenizer allows it. Prints the new version's folder.
    """
    from tf_finetune.serving.export import export as export_run

    chosen = None if signatures is None else [name.strip() for name in signatures.split(",")]
    click.echo(export_run(model_folder, version=version, signatures=chosen))
