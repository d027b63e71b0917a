"""The part of ``tf-finetune inspect`` that looks for labels which are likely wrong."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

from tf_finetune.cli.session import say
from tf_finetune.config import Config
from tf_finetune.config.catalog import OPTIONS
from tf_finetune.errors import ConfigError

if TYPE_CHECKING:
    from tf_finetune.noise import LabelErrors

__all__ = ["FOLDS", "TRAINING", "find", "refuse_idle", "render"]

TRAINING = ("output", "epochs", "batch_size", "learning_rate", "seed", "max_train_samples")
"""Keys of options that have an effect with ``--label-errors`` alone."""

FOLDS = 3
SHOWN = 10
TEXT_LETTERS = 100


def refuse_idle(given: dict[str, object], folds: int | None) -> None:
    """Refuses options of the training where nothing is trained.

    Raises:
        ConfigError: There are such.
    """
    idle = [OPTIONS[key].flag for key in TRAINING if key in given] + (["--folds"] if folds is not None else [])
    if idle:
        raise ConfigError(f"{', '.join(idle)}: no effect without --label-errors. Leave it out, or look for them, too.")


def find(config: Config, folds: int | None) -> LabelErrors:
    """Trains the models, and writes what they found.

    Args:
        config: Of the call; rows that cannot be used are left out, since the audit has told of them.
        folds: How many models; None for the default.
    """
    from tf_finetune.noise import find_label_errors, write_label_errors
    from tf_finetune.noise.find import FOLDER
    from tf_finetune.training.fit import output_folder

    config = dataclasses.replace(config, data=dataclasses.replace(config.data, on_bad_row="skip"))
    found = find_label_errors(config, folds=FOLDS if folds is None else folds, progress=sys.stderr)
    file = output_folder(config).path / FOLDER / "label_errors.csv"
    write_label_errors(file, found)
    say(f"Labels that are likely wrong, to be looked through: {file}")
    return found


def render(found: LabelErrors) -> str:
    """What was found, with the first rows, as text for the terminal."""
    lines = [f"Label errors: {found.line}"]
    for error in found.errors[:SHOWN]:
        change = f"{error.label} -> {error.suggested} ({error.probability:.2f})"
        lines.append(f"  {error.place}  {change}  {error.excerpt(TEXT_LETTERS)}")
    return "\n".join(lines)
