"""``tf-finetune compare``."""

from __future__ import annotations

import json

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.evaluate import FIELDS, resamples_option
from tf_finetune.cli.options import field_params, given_fields
from tf_finetune.cli.session import write_utf8
from tf_finetune.errors import ConfigError

__all__ = ["compare"]

DATA_HELP = "Labelled texts, in any form that `fit` takes, unseen by both models; may be repeated.  [required]"


@click.command("compare", cls=Command, params=field_params("data", *FIELDS, data=DATA_HELP))
@click.argument("model_a")
@click.argument("model_b")
@click.option("--split", metavar="NAME", help="Which split of a folder or of tfds data.  [default: test]")
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N", help="Texts a batch; changes only the speed.")
@resamples_option
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.pass_context
def compare(
    ctx: click.Context,
    model_a: str,
    model_b: str,
    *,
    split: str | None,
    batch_size: int | None,
    resamples: int | None,
    as_json: bool,
) -> None:
    """Tell which of two trained models is better, and how sure that is.

    MODEL_A and MODEL_B are what fit wrote, saved_models/NAME, or one export of it, saved_models/NAME/N. Both answer the
    same rows; their labels must be the same, in any order. Prints accuracy, macro F1 and log loss of both, the
    differences with their 95 % intervals (paired bootstrap), McNemar's test, and a verdict in words.
    """
    fields = given_fields(ctx)
    data = fields.pop("data", ())
    if not data:
        raise ConfigError("--data: expected labelled texts to compare the models on. Received: nothing.")
    given = {"split": split, "batch_size": batch_size, "resamples": resamples}
    fields |= {name: value for name, value in given.items() if value is not None}

    from tf_finetune.evaluation.compare import compare as compare_models
    from tf_finetune.evaluation.comparison_table import format_comparison

    found = compare_models(model_a, model_b, data, **fields)
    if not as_json:
        click.echo(format_comparison(found, first=model_a, second=model_b))
        return
    write_utf8()
    click.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
