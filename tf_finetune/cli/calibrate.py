"""``tf-finetune calibrate``."""

from __future__ import annotations

import json

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.session import write_utf8

__all__ = ["calibrate"]


@click.command("calibrate", cls=Command)
@click.argument("model_folder")
@click.option(
    "--threshold-for",
    metavar="TARGET",
    help="Choose an operating point too: precision=0.95 accepts, in each class, as many rows as there can be with 95 % "
    "of them right; recall=0.9 or coverage=0.8 as few as reach it. The others are uncertain.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what is written, as JSON.")
def calibrate(model_folder: str, *, threshold_for: str | None, as_json: bool) -> None:
    """Make the probabilities of a trained model believable.

    MODEL_FOLDER is what fit wrote: saved_models/NAME. Fits a temperature, by which all logits are divided, on what the
    run said to its validation rows, and writes run/calibration.json and the model card; predict, evaluate and new
    exports follow it. The order of the classes stays. The same rows have chosen the epoch: evaluate on others to know
    what to expect. Called again it begins anew; without the file the run is as before.
    """
    from tf_finetune.evaluation.calibration import calibrate as calibrate_run
    from tf_finetune.evaluation.calibration_table import format_calibration
    from tf_finetune.sharing.card import refresh_card

    found = calibrate_run(model_folder, threshold_for=threshold_for)
    refresh_card(model_folder)
    if not as_json:
        click.echo(format_calibration(found))
        return
    write_utf8()
    click.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
