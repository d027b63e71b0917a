"""Whether a run is begun or gone on with, and whether what it is gone on with is the same run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tf_finetune.config import RESUME_AUTO, Config
from tf_finetune.errors import RunError
from tf_finetune.files import read_json
from tf_finetune.run import ModelFolder
from tf_finetune.training.comparison import Comparison
from tf_finetune.training.identity import differences, is_about_the_machine
from tf_finetune.training.occupy import refuse_occupied

__all__ = ["check_identity", "goes_on"]

logger = logging.getLogger(__name__)


def goes_on(folder: ModelFolder, config: Config, *, writes: bool = True) -> bool:
    """Whether the configuration asks to go on with the unfinished run of a folder.

    Args:
        folder: The folder.
        config: The whole configuration.
        writes: Whether this process is to write the run; another worker follows the one that does, which checks.

    Raises:
        RunError: It asks to go on where nothing is to go on with, or to begin where a run is.
    """
    if not writes:
        return config.run.resume is not None and folder.can_go_on
    if config.run.resume is None:
        refuse_occupied(folder, overwrite=config.run.overwrite)
        return False
    if folder.is_complete:
        raise RunError(f"{folder.path} holds a finished run: there is nothing to go on with.")
    if config.run.resume != RESUME_AUTO and not folder.can_go_on:
        found = "an unfinished run without a checkpoint" if folder.run.is_dir() else "no run"
        hint = folder.how_to_go_on if folder.config.is_file() else "Give the folder that `fit` wrote."
        raise RunError(f"--resume {config.run.resume}: the folder holds {found}. {hint}")
    refuse_occupied(folder, overwrite=True)
    return folder.can_go_on


def check_identity(folder: ModelFolder, identity: Mapping[str, Any], *, force: bool) -> tuple[str, ...]:
    """Compares what the run was begun with to what it is to be gone on with.

    Args:
        folder: The run's folder.
        identity: From `describe_identity`, now.
        force: Whether differences are allowed.

    Returns:
        The differences, a line each; without `force`, those of the machine alone.

    Raises:
        RunError: It would not be the same run.
    """
    recorded = read_json(folder.environment).get("identity")
    found = differences(recorded if isinstance(recorded, dict) else {}, identity)
    serious = [difference for difference in found if not is_about_the_machine(difference)]
    if serious and not force:
        raise RunError(
            "\n  ".join([f"This would not be the same run as the one begun in {folder.path}:", *_lines(serious)])
            + "\nGive what it was begun with, or --force to go on all the same, which is recorded; or begin "
            "another run with another --output."
        )
    for line in _lines(found):
        logger.warning("not the same run to the last bit: %s", line)
    return tuple(_lines(found))


def _lines(found: list[Comparison]) -> list[str]:
    return [difference.line for difference in found]
