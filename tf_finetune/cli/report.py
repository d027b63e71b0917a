"""``tf-finetune report``."""

from __future__ import annotations

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.evaluate import FIELDS, resamples_option
from tf_finetune.cli.html_page import checked_page
from tf_finetune.cli.options import field_params, given_fields

__all__ = ["report"]

DATA_HELP = (
    "Labelled texts to report on in place of the validation rows, in any form that `fit` takes; may be repeated."
)


@click.command("report", cls=Command, params=field_params("data", *FIELDS, data=DATA_HELP))
@click.argument("model_folder")
@click.option("--split", metavar="NAME", help="Which split of a folder or of tfds data in --data.  [default: test]")
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N", help="Texts a batch; changes only the speed.")
@click.option("--html", metavar="FILE", help="Write the page there.  [default: report.html in the model folder]")
@click.option("--overwrite", is_flag=True, help="Replace the file of --html.")
@click.option("--no-words", is_flag=True, help="Leave out which words drove the worst errors: a little faster.")
@resamples_option
@click.pass_context
def report(
    ctx: click.Context,
    model_folder: str,
    *,
    split: str | None,
    batch_size: int | None,
    html: str | None,
    overwrite: bool,
    no_words: bool,
    resamples: int | None,
) -> None:
    """Write a report of a trained model as one HTML page.

    MODEL_FOLDER is what fit wrote, saved_models/NAME. The page has the scores with 95 % intervals, the confusion
    matrix, learning curves, the reliability of the probabilities, precision-recall and ROC curves, length against
    accuracy, the worst errors with the words that drove them, labels that may be wrong, an audit of the data, the
    configuration and the environment. It loads nothing from elsewhere. Prints the path of the page.
    """
    fields = given_fields(ctx)
    page = checked_page(html, overwrite=overwrite)
    given = {"split": split, "batch_size": batch_size, "resamples": resamples}
    fields |= {name: value for name, value in given.items() if value is not None}

    from tf_finetune.reporting.report import report as write_report

    click.echo(write_report(model_folder, output=page, words=not no_words, **fields))
