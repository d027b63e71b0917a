"""`WandbRun`: a run of Weights & Biases, by its own logging functions.

Its Keras callback, `wandb.integration.keras.WandbMetricsLogger`, accepts tf_keras and is not used: it knows nothing of
epochs that were trained before a run was gone on with, needs the process' one active run, and ends training when
logging fails.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf_finetune.errors import ConfigError
from tf_finetune.evaluation.metrics import Scores
from tf_finetune.training.trackers.packages import load_wandb
from tf_finetune.training.trackers.parameters import flat_scores
from tf_finetune.training.trackers.picture import confusion_figure, pixels
from tf_finetune.training.trackers.tracker import FINISHED, Opened, TrackedRun, Tracker

__all__ = ["WandbRun"]

PROJECT = "tf_finetune"
FILES = "run"
"""Folder of the run's files: W&B has a config.yaml of its own beside it."""
BEGIN_SECONDS = 30.0
END_SECONDS = 60.0
"""What waiting for the server takes at most; what is not sent by then stays in the folder wandb/."""


class WandbRun(Tracker):
    """Logs to the project of ``WANDB_PROJECT``, else ``tf_finetune``; with ``WANDB_MODE=offline`` to the folder wandb/.

    Runs of a search have its name as their group. Standard output, code and git state are not sent. A run that is gone
    on with offline makes a second folder with the same id: send both with ``wandb sync --append``.

    Args:
        run: What is tracked.
    """

    name = "wandb"
    advice = "Log in with `wandb login`, or set WANDB_MODE=offline, or leave --tracker wandb out."

    def __init__(self, run: TrackedRun) -> None:
        self.run = run
        self.wandb = load_wandb()
        self.logged: Any = None

    def open(self, run_id: str | None) -> Opened:
        """Begins a run, or goes on with one.

        Raises:
            ConfigError: W&B is switched off, so that the option would have no effect.
        """
        settings = self.wandb.Settings(
            console="off",  # what is printed may hold texts
            disable_code=True,
            disable_git=True,
            silent=True,
            init_timeout=BEGIN_SECONDS,
            finish_timeout=END_SECONDS,
        )
        mode = self.wandb.setup().settings.mode
        if mode == "disabled":
            raise ConfigError("W&B is switched off (WANDB_MODE, WANDB_DISABLED): nothing would be logged.")
        is_offline = mode in ("offline", "dryrun")
        if not is_offline:
            self.wandb.login(prompt=False)  # a question would never be answered in a batch job
        self.logged = self.wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=self.run.name,
            group=self.run.group,
            id=run_id or secrets.token_hex(4),
            resume=None if run_id is None or is_offline else "allow",
            config=dict(self.run.parameters),
            allow_val_change=True,
            settings=settings,
            reinit="create_new",  # a run that the caller has open is left alone
        )
        where = self.logged.dir if is_offline else self.logged.url
        return Opened(str(self.logged.id), None, f"run {self.logged.id} at {where}")

    def log_epoch(self, epoch: int, values: Mapping[str, float], *, is_now: bool) -> None:
        """Logs the values of an epoch; W&B leaves out steps that it has."""
        self.logged.log({"epoch": epoch, **values}, step=epoch, commit=True)

    def log_scores(self, epoch: int, scores: Mapping[str, Scores]) -> None:
        """Logs scores and pictures of the confusion matrices as the summary; config.yaml and metrics.json as files."""
        for part, found in scores.items():
            picture = self.wandb.Image(pixels(confusion_figure(found.confusion, found.label_names)))
            self.logged.summary.update({**flat_scores(part, found), f"{part}/confusion": picture})
        self.logged.summary["best_epoch"] = epoch
        folder = Path(self.logged.dir) / FILES
        folder.mkdir(exist_ok=True)
        for path in (self.run.folder.config, self.run.folder.metrics):
            copy = shutil.copy(path, folder)  # W&B would link to a file that may move
            self.logged.save(str(copy), base_path=self.logged.dir, policy="now")

    def close(self, status: str) -> None:
        """Ends the run; only one that is finished ends with the exit code 0."""
        self.logged.finish(exit_code=0 if status == FINISHED else 1)
