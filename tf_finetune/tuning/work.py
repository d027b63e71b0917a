"""`work`: a worker of a search whose chief runs elsewhere, in its own process or on another machine."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from tf_finetune.errors import ConfigError, RunError
from tf_finetune.run import ModelFolder
from tf_finetune.training.stopping import StopRequest
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.search import Search

__all__ = ["CHIEF", "ONLY", "VARIABLES", "is_from_grpc", "is_worker", "tuner_name", "work"]

VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
"""keras-tuner's own environment variables: who this process is, and where the chief listens."""

CHIEF = "chief"
ONLY = "tuner0"
"""Name of the one process of a search that is not distributed; keras-tuner's own default."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def tuner_name(environment: Mapping[str, str] | None = None) -> str:
    """Who this process is among those of a search.

    Args:
        environment: Environment variables; those of the process by default.

    Raises:
        ConfigError: One of the variables is missing, or the name is no name.
    """
    values = os.environ if environment is None else environment
    missing = [name for name in VARIABLES if not values.get(name)]
    if len(missing) == len(VARIABLES):
        return ONLY
    if missing:
        raise ConfigError(f"A search of several processes needs {', '.join(VARIABLES)}. Not set: {', '.join(missing)}.")
    name = values[VARIABLES[0]]
    if not NAME.fullmatch(name):
        raise ConfigError(f"{VARIABLES[0]}: expected a name of letters, digits, _, - and dots. Received: {name!r:.80}.")
    return name


def is_worker() -> bool:
    """Whether the environment makes this process a worker; as keras-tuner has it, a name with "chief" in it is none.

    Raises:
        ConfigError: The environment is incomplete.
    """
    name = tuner_name()
    return name != ONLY and CHIEF not in name


def work(folder: ModelFolder | str | Path, *, max_hours: float | None = None, wait_seconds: float = 600.0) -> None:
    """Trains trials of the search that a chief begins in a folder which both see, until there are none left.

    Args:
        folder: The model folder.
        max_hours: Stop after so many hours; the trial is saved, and is another worker's then.
        wait_seconds: How long to wait for the chief to begin.

    Raises:
        RunError: No chief has begun a search there, or it is gone.
        TuningError: No trial can be trained.
        TrainingStopped: It was asked to stop.
    """
    from tf_finetune.tuning.take_part import take_part

    tune = TuneFolder(folder if isinstance(folder, ModelFolder) else ModelFolder(Path(folder)))
    stop = StopRequest(max_hours)
    with stop.listening():
        search = _wait_for_search(tune, wait_seconds)
        try:
            with stop.waiting():
                take_part(tune, search, stop=stop)
        except Exception as error:
            if not is_from_grpc(error):
                raise
            raise RunError(
                f"The chief does not answer any more ({error.__class__.__name__}). The trial is saved: start chief and "
                "worker again with the same commands."
            ) from error


def is_from_grpc(error: BaseException) -> bool:
    """Whether keras-tuner's connection has failed, which means that the chief is gone."""
    return type(error).__module__.split(".")[0] == "grpc"


def _wait_for_search(folder: TuneFolder, seconds: float) -> Search:
    deadline = time.monotonic() + seconds
    while not folder.exists:
        if time.monotonic() > deadline:
            raise RunError(f"No chief has begun a search in {folder.path} within {seconds:g} s.")
        time.sleep(0.5)
    return Search.read(folder)
