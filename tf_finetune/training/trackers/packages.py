"""`check_trackers`: whether the packages of trackers are there, said before the data is read."""

from __future__ import annotations

import importlib
import logging
import os
import warnings
from collections.abc import Sequence
from types import ModuleType

from tf_finetune.errors import DependencyError

__all__ = ["check_trackers", "load_mlflow", "load_wandb"]

MLFLOW_DEFAULTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""So a server that is gone holds training up for seconds. MLflow's own are 7 tries of up to 120 seconds, with waits
between them that double each time."""


def check_trackers(names: Sequence[str]) -> None:
    """Imports what trackers need and is no part of this package, without TensorFlow.

    Args:
        names: Values of ``--tracker``.

    Raises:
        DependencyError: A package is missing, or cannot be imported.
    """
    for name in names:
        if name in LOADERS:
            LOADERS[name]()


def load_mlflow() -> ModuleType:
    """Imports MLflow.

    Raises:
        DependencyError: It is not installed, or cannot be imported.
    """
    for name, value in MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)
    module = _load("mlflow", "MLflow")
    for name in ("mlflow", "alembic"):  # they tell of each table of a new database
        logging.getLogger(name).setLevel(logging.WARNING)
    return module


def load_wandb() -> ModuleType:
    """Imports Weights & Biases.

    Raises:
        DependencyError: It is not installed, or cannot be imported.
    """
    return _load("wandb", "Weights & Biases")


def _load(package: str, title: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(package)
        except Exception as error:  # half-installed ones and unfit versions raise all kinds
            raise DependencyError(
                f"--tracker {package} needs the package of {title}: {error}. Run: pip install 'tf_finetune[{package}]'"
            ) from error


LOADERS = {"mlflow": load_mlflow, "wandb": load_wandb}
