"""``tf-finetune predict``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.options import field_params, given_fields
from tf_finetune.cli.session import say, stdin_as, write_utf8
from tf_finetune.config.catalog import OPTIONS
from tf_finetune.errors import ConfigError

if TYPE_CHECKING:
    from tf_finetune.evaluation.predict import PredictResult

__all__ = ["predict"]

STDIN = "-"
FIELDS = ("text_column", "pair_column", "encoding", "tsv_quoting")
DATA_HELP = (
    "Texts: CSV, TSV, JSONL or Parquet files (also .gz), globs, or folders of .txt files; may be repeated. "
    "- reads one text a line from standard input, and writes JSON lines as they come.  [required]"
)


@click.command("predict", cls=Command, params=field_params("data", *FIELDS, data=DATA_HELP))
@click.argument("model_folder")
@click.option("--output", metavar="FILE", help="Where the predictions go: .csv, .tsv, .jsonl or .parquet.")
@click.option("--overwrite", is_flag=True, help="Replace the output file.")
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N", help="Texts a batch; changes only the speed.")
@click.pass_context
def predict(ctx: click.Context, model_folder: str, output: str | None, overwrite: bool, batch_size: int | None) -> None:
    """Classify texts with a trained model.

    MODEL_FOLDER is what fit wrote, saved_models/NAME, or one export of it, saved_models/NAME/N. The newest export of
    the run answers, in TensorFlow alone; without one that takes texts, the run does. Every input column is kept; label,
    confidence and one prob_<label> for each class are added, and a decision (the label or uncertain) where calibrate
    has chosen thresholds.
    """
    fields = given_fields(ctx)
    data = fields.pop("data", ())
    _check(data, fields, output=output, overwrite=overwrite)
    if batch_size is not None:
        fields["batch_size"] = batch_size
    if output is None:
        _predict_stdin(model_folder, fields)
        return
    from tf_finetune.evaluation.predict import predict as predict_files

    result = predict_files(model_folder, data, output, overwrite=overwrite, **fields)
    click.echo(result.output)
    for line in render(result):
        say(line)


def render(result: PredictResult) -> list[str]:
    """What there is to say about the predictions, besides where they are."""
    lines = [f"{result.rows} rows predicted."]
    if result.empty:
        lines.append(f"warning: {result.empty} of them had an empty text.")
    lines += [f"The input column {old!r} is now {new!r}." for old, new in result.renamed.items()]
    return lines


def _check(data: tuple[str, ...], fields: Mapping[str, Any], *, output: str | None, overwrite: bool) -> None:
    """Refuses combinations in which an option is missing, or has no effect."""
    if not data:
        raise ConfigError("--data: expected files, or - for standard input. Received: nothing.")
    if STDIN not in data:
        if output is None:
            raise ConfigError("--output: expected a file for the predictions (.csv, .tsv, .jsonl or .parquet).")
        return
    if len(data) > 1:
        raise ConfigError("--data: standard input (-) cannot be read together with files. Give one of the two.")
    idle = ["--output"] * (output is not None) + ["--overwrite"] * overwrite
    idle += [OPTIONS[key].flag for key in fields if key != "encoding"]
    if idle:
        raise ConfigError(
            f"{', '.join(idle)}: no effect with --data -, which reads one text a line and writes to standard output."
        )


def _predict_stdin(model_folder: str, fields: dict[str, Any]) -> None:
    from tf_finetune.evaluation.predict import predict_lines

    lines = stdin_as(fields.pop("encoding", OPTIONS["encoding"].default))
    write_utf8()
    predict_lines(model_folder, lines, lambda line: click.echo(line, nl=False), **fields)
