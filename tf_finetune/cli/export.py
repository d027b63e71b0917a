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
    help="Some of text, token_ids, classify, with commas.  [default: all that the tokenizer allows]",
)
@click.option(
    "--max-length", type=click.IntRange(min=4), metavar="N", help="Longest input in tokens.  [default: the run's own]"
)
@click.option(
    "--keep-texts",
    type=click.IntRange(min=0),
    metavar="N",
    help="Validation texts that the export keeps with their answers, for verify and smoke.  [default: 8]",
)
@click.option(
    "--encoder",
    type=click.Choice(["auto", "model"]),
    default="auto",
    show_default=True,
    help="auto: compute without padding where that fits the model; model: its own encoder alone, without the branches "
    "and loops that converters to other formats do not take.",
)
def export(
    model_folder: str,
    *,
    version: int | None,
    signatures: str | None,
    max_length: int | None,
    keep_texts: int | None,
    encoder: str,
) -> None:
    """Write a SavedModel of a trained model for TensorFlow Serving.

    MODEL_FOLDER is what fit wrote: saved_models/NAME. The default signature takes texts and tokenizes them exactly as
    in training, where the tokenizer allows it; token_ids takes token ids. Probabilities are calibrated as the run is,
    and its thresholds give an output decision. Everything is compared with the trained model before it is published.
    The model card is written anew. Prints the new version's folder.
    """
    from tf_finetune.serving.export import export as export_run
    from tf_finetune.sharing.card import refresh_card

    chosen = None if signatures is None else [name.strip() for name in signatures.split(",")]
    kept = {} if keep_texts is None else {"keep_texts": keep_texts}
    path = export_run(model_folder, version=version, signatures=chosen, max_length=max_length, encoder=encoder, **kept)
    refresh_card(model_folder)
    click.echo(path)
