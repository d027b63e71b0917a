"""`TuneFolder`: every path and file name of a search in one place, and its lock.

saved_models/<name>/tune/
  config.yaml         the configuration as given: the first trial, and a valid --config
  search.json         what is searched, and by which algorithm
  trials.jsonl        what was begun and what came of it, a line each: the search is gone on with from this file alone
  trials/0000/        a model folder for each trial, with a run as `fit` writes it
    trial.json        what its process is to do
    log.txt           what its process said
    result.json       what came of it
  best.yaml           the configuration of the best trial, itself a valid --config
  trials.csv          all trials as a table
  report.html         all of it to look at
  refit/seed-<n>/     the best configuration trained with other seeds
  workers/            a file for each worker that lives
  chief.log worker0.log ...   what the processes of several workers said
  fatal.json          why one of them has ended the search
  keras_tuner/        files of keras-tuner's own, written anew at each start and read by nobody
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tf_finetune.errors import RunError
from tf_finetune.files import lock_folder
from tf_finetune.run import ModelFolder

__all__ = ["TuneFolder"]

LOCK_SECONDS = 60.0
"""How long a search that was killed may need until its trials have ended, too."""


@dataclass(frozen=True)
class TuneFolder:
    """The folder `tune/` of a model folder."""

    model: ModelFolder

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.model.path / "tune"

    @property
    def config(self) -> Path:
        """The configuration as given."""
        return self.path / "config.yaml"

    @property
    def search(self) -> Path:
        """What is searched; written when all else that a search begins with is there."""
        return self.path / "search.json"

    @property
    def ledger(self) -> Path:
        """What was begun and ended."""
        return self.path / "trials.jsonl"

    @property
    def trials(self) -> Path:
        """The trials' folders."""
        return self.path / "trials"

    @property
    def best(self) -> Path:
        """Configuration of the best trial."""
        return self.path / "best.yaml"

    @property
    def table(self) -> Path:
        """All trials as CSV."""
        return self.path / "trials.csv"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    @property
    def workers(self) -> Path:
        """A file for each worker that lives."""
        return self.path / "workers"

    @property
    def keras_tuner(self) -> Path:
        """Files of keras-tuner's own."""
        return self.path / "keras_tuner"

    @property
    def fatal(self) -> Path:
        """Why a worker has ended the search."""
        return self.path / "fatal.json"

    def trial(self, number: str) -> ModelFolder:
        """The model folder of a trial."""
        return ModelFolder(self.trials / number)

    def refit(self, seed: int) -> ModelFolder:
        """The model folder of the best configuration with another seed."""
        return ModelFolder(self.path / "refit" / f"seed-{seed}")

    @property
    def exists(self) -> bool:
        """Whether a search was begun here."""
        return self.search.is_file()

    @contextlib.contextmanager
    def locked(self) -> Iterator[int | None]:
        """Holds the lock of the search while the body runs, and makes the folder.

        Gives the descriptor, which trials' processes inherit: the lock is free when the last of them has ended.
        Windows, and file systems without locks, do without (None).

        Raises:
            RunError: Another process holds it, or the folder cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"Cannot make {self.path}: {error.strerror or error}. Give another --output.") from error
        if sys.platform == "win32":
            yield None
            return
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            if not lock_folder(descriptor, seconds=LOCK_SECONDS):
                raise RunError(
                    f"Another process searches in {self.path}. Wait until it has ended, or give another --output."
                )
            yield descriptor
        finally:
            os.close(descriptor)
