"""The model folder: every path and file name in one place.

saved_models/<name>/
  README.md           the model card
  report.html         what the run is worth
  run/                one training run; not a number, so that TensorFlow Serving skips it
  1/ 2/ ...           exports
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tf_finetune.errors import RunError
from tf_finetune.files import read_json

__all__ = ["FORMAT", "Manifest", "ModelFolder", "is_version"]

FORMAT = 1
"""Format of the run folder, written into complete.json."""


@dataclass(frozen=True)
class Manifest:
    """What a user of a finished run needs to know of it.

    Attributes:
        label_names: Class names in index order.
        pairs: Whether the model takes sentence pairs.
        max_length: Longest input in tokens.
        truncate: Which part of a longer text is kept.
        run_id: Names the run in its exports.
        weights_sha256: SHA-256 of the weight file.
        temperature: What the logits are divided by before the softmax; 1 in a run that is not calibrated.
        thresholds: Lowest probability with which each class is accepted, None where it never is; empty without an
            operating point.
    """

    label_names: tuple[str, ...]
    pairs: bool
    max_length: int
    truncate: str
    run_id: str
    weights_sha256: str
    temperature: float = 1.0
    thresholds: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class ModelFolder:
    """A folder `saved_models/<name>` and the files in it; a leading ``~`` is the home folder."""

    path: Path

    def __post_init__(self) -> None:
        """Expands the path: no shell does so in ``--output=~/models``, nor in a configuration file."""
        object.__setattr__(self, "path", Path(os.path.expanduser(self.path)))

    @property
    def name(self) -> str:
        """The model's name, as TensorFlow Serving knows it."""
        return self.path.resolve().name

    @property
    def run(self) -> Path:
        """The training run."""
        return self.path / "run"

    @property
    def before(self) -> Path:
        """The former run, while a new one takes its place."""
        return self.path / "run-before"

    @property
    def config(self) -> Path:
        """The resolved configuration, written first; itself a valid --config."""
        return self.run / "config.yaml"

    @property
    def environment(self) -> Path:
        """Versions, command line, data fingerprint."""
        return self.run / "environment.json"

    @property
    def labels(self) -> Path:
        """Class names in index order."""
        return self.run / "labels.json"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer, as transformers saves it."""
        return self.run / "tokenizer"

    @property
    def model(self) -> Path:
        """The weights kept, as transformers saves them."""
        return self.run / "model"

    @property
    def checkpoints(self) -> Path:
        """What an unfinished run is gone on from; gone when it is finished."""
        return self.run / "checkpoints"

    @property
    def history(self) -> Path:
        """One row an epoch."""
        return self.run / "history.csv"

    @property
    def metrics(self) -> Path:
        """Scores of the weights kept."""
        return self.run / "metrics.json"

    @property
    def validation_texts(self) -> Path:
        """Some of the validation texts, which exports are compared on."""
        return self.run / "validation_texts.jsonl"

    @property
    def validation_logits(self) -> Path:
        """What the weights kept answer to the validation rows: logits and labels."""
        return self.run / "validation_logits.npz"

    @property
    def calibration(self) -> Path:
        """Temperature and operating point, if there are any; without the file the run is not calibrated."""
        return self.run / "calibration.json"

    @property
    def logs(self) -> Path:
        """TensorBoard logs."""
        return self.run / "logs"

    @property
    def trackers(self) -> Path:
        """Which run at each tracker is this one, and how many epochs it has."""
        return self.run / "trackers.json"

    @property
    def card(self) -> Path:
        """The model card, as the Hugging Face hub shows it."""
        return self.path / "README.md"

    @property
    def report(self) -> Path:
        """What the run is worth, as one HTML page."""
        return self.path / "report.html"

    @property
    def models_config(self) -> Path:
        """Which exports tensorflow_model_server serves, under which labels."""
        return self.path / "models.config"

    @property
    def complete(self) -> Path:
        """Written last: a run without it is unfinished."""
        return self.run / "complete.json"

    @property
    def is_complete(self) -> bool:
        """Whether the run was finished."""
        return self.complete.is_file()

    def read_manifest(self, *, calibrated: bool = True) -> Manifest:
        """What a user of the finished run needs to know of it.

        Args:
            calibrated: Whether its calibration is read, too.

        Raises:
            RunError: The folder holds no finished run, or its manifest or calibration is damaged.
        """
        self.require_complete()
        values = read_json(self.complete)
        try:
            labels = json.loads(self.labels.read_text(encoding="utf-8"))
            if not (isinstance(labels, list) and len(labels) > 1 and all(isinstance(name, str) for name in labels)):
                raise ValueError("expected a list of two or more class names")
            manifest = Manifest(
                label_names=tuple(labels),
                pairs=bool(values["pairs"]),
                max_length=int(values["max_length"]),
                truncate=str(values["truncate"]),
                run_id=str(values["run_id"]),
                weights_sha256=str(values["weights_sha256"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"The run in {self.path} is damaged ({self.labels.name} or {self.complete.name}): {error}"
            ) from error
        return self._calibrated(manifest) if calibrated and self.calibration.is_file() else manifest

    def _calibrated(self, manifest: Manifest) -> Manifest:
        """The manifest with what calibration.json says."""
        values = read_json(self.calibration)
        try:
            if values["format"] != FORMAT or values["weights_sha256"] != manifest.weights_sha256:
                raise ValueError("it is of other weights, or of another format")
            temperature, point = values["temperature"]["value"], values["operating_point"]
            thresholds = [] if point is None else [point["classes"][name]["threshold"] for name in manifest.label_names]
            if not _lies(temperature, 1e-3, 1e3):
                raise ValueError(f"the temperature is {temperature!r:.80}")
            if not all(threshold is None or _lies(threshold, 0, 1) for threshold in thresholds):
                raise ValueError(f"the thresholds are {thresholds!r:.80}")
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"{self.calibration} is damaged, or of another run: {error}. Write it again: tf-finetune calibrate "
                f"{shlex.quote(str(self.path))}; or remove it for probabilities that are not calibrated."
            ) from error
        return dataclasses.replace(manifest, temperature=float(temperature), thresholds=tuple(thresholds))

    def versions(self) -> list[int]:
        """Version numbers of the exports, ascending."""
        if not self.path.is_dir():
            return []
        return sorted(int(p.name) for p in self.path.iterdir() if p.is_dir() and is_version(p.name))

    @property
    def can_go_on(self) -> bool:
        """Whether the run is unfinished and has a checkpoint, sound or not."""
        return not self.is_complete and self.checkpoints.is_dir() and any(self.checkpoints.glob("[0-9]*"))

    @property
    def how_to_go_on(self) -> str:
        """The command that finishes an unfinished run, in a sentence."""
        path = shlex.quote(str(self.path))
        if self.can_go_on:
            return f"To go on: tf-finetune fit --resume {path}"
        config = shlex.quote(str(self.config))
        return f"To begin again: tf-finetune fit --config {config} --output {path} --overwrite"

    def require_complete(self) -> None:
        """Refuses a folder that holds no finished run.

        Raises:
            RunError: There is no folder, no run in it, or the run has no complete.json.
        """
        if not self.path.is_dir():
            output = shlex.quote(str(self.path))
            raise RunError(f"There is no model folder {self.path}. Train one: tf-finetune fit --output {output}")
        if not self.run.is_dir():
            raise RunError(f"{self.path} is no model folder: it has no run/. Give the folder that `fit` wrote.")
        if not self.is_complete:
            raise RunError(f"The run in {self.path} is unfinished: it has no {self.complete.name}. {self.how_to_go_on}")
        found = read_json(self.complete).get("format")
        if found != FORMAT:
            raise RunError(f"{self.complete} has format {found!r}; this version of tf_finetune reads format {FORMAT}.")


def _lies(value: Any, low: float, high: float) -> bool:
    """Whether a value of JSON is a number in a range."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def is_version(name: str) -> bool:
    """Whether TensorFlow Serving takes the folder name for a version: a canonical positive int64."""
    return name.isascii() and name.isdigit() and name == str(int(name)) and 0 < int(name) < 1 << 63
