"""``tf-finetune evaluate``."""

from __future__ import annotations

import json

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.options import field_params, given_fields
from tf_finetune.cli.session import write_utf8
from tf_finetune.errors import ConfigError

__all__ = ["FIELDS", "evaluate", "resamples_option"]

FIELDS = (
    "text_column",
    "label_column",
    "pair_column",
    "label_map",
    "encoding",
    "tsv_quoting",
    "on_bad_row",
    "data_dir",
)
resamples_option = click.option(
    "--resamples",
    type=click.IntRange(min=100),
    metavar="N",
    help="How often the rows are drawn anew for the intervals; 2000 by default.",
)
DATA_HELP = "Labelled texts, in any form that `fit` takes; may be repeated.  [required]"


@click.command("evaluate", cls=Command, params=field_params("data", *FIELDS, data=DATA_HELP))
@click.argument("model_folder")
@click.option("--split", metavar="NAME", help="Which split of a folder or of tfds data.  [default: test]")
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N", help="Texts a batch; changes only the speed.")
@click.option("--slice-by", multiple=True, metavar="COLUMN", help="Score each value of a column, too; may be repeated.")
@resamples_option
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
@click.pass_context
def evaluate(
    ctx: click.Context,
    model_folder: str,
    *,
    split: str | None,
    batch_size: int | None,
    slice_by: tuple[str, ...],
    resamples: int | None,
    as_json: bool,
) -> None:
    """Score a trained model on labelled texts.

    MODEL_FOLDER is what fit wrote, saved_models/NAME, or one export of it, saved_models/NAME/N. The newest export of
    the run answers, in TensorFlow alone; without one that takes texts, the run does. Prints accuracy, F1, MCC, AUROC,
    average precision, log loss, Brier score, calibration error and the scores of each class, with 95 % bootstrap
    intervals; the confusion matrix; and accuracy and macro F1 by length and by any column.
    """
    fields = given_fields(ctx)
    data = fields.pop("data", ())
    if not data:
        raise ConfigError("--data: expected labelled texts to score. Received: nothing.")
    given = {"split": split, "batch_size": batch_size, "slice_by": slice_by or None, "resamples": resamples}
    fields |= {name: value for name, value in given.items() if value is not None}

    from tf_finetune.evaluation.evaluate import evaluate as evaluate_run
    from tf_finetune.evaluation.table import format_scores

    scores = evaluate_run(model_folder, data, **fields)
    if not as_json:
        click.echo(format_scores(scores))
        return
    write_utf8()
    click.echo(json.dumps(scores.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
