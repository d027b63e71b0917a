"""`Facts`: all that a model card tells, as the files of a finished run say it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tf_finetune.errors import ExportError, FinetuneError, RunError
from tf_finetune.files import read_json
from tf_finetune.run import Manifest, ModelFolder
from tf_finetune.serving.exported import ExportFolder, ExportInfo
from tf_finetune.sharing.measured import Measured, measure

__all__ = ["Facts", "current_exports", "damage_told", "read_facts"]

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
HEX = re.compile(r"[0-9a-f]+")
LOCAL = ("local folder", "model folder")
"""Sources of pretrained models whose name is a path."""

TFDS = "tfds:"
SAMPLE = "the embedded reviews of tf_finetune"

SOURCES = 3
"""Most files that are named."""


@dataclass(frozen=True)
class Facts:
    """What is known of a model.

    Attributes:
        name: Name of the model folder.
        manifest: Class names, lengths, calibration.
        finished: What complete.json says.
        settings: Dotted name of an option, as ``fit.epochs``, to its value in the run's configuration.
        environment: What environment.json says.
        measured: Scores on the test rows, if there were any, and on the validation rows.
        calibration: What calibration.json says; None if there is none.
        exports: Version to what its export.json says, of those that answer as the run does; ascending.
    """

    name: str
    manifest: Manifest
    finished: Mapping[str, Any]
    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    measured: tuple[Measured, ...]
    calibration: Mapping[str, Any] | None
    exports: Mapping[int, ExportInfo]

    @property
    def base_model(self) -> str | None:
        """The pretrained model's name on the hub; None if it was a folder."""
        model = self.environment["model"]
        is_named = model["source"] not in LOCAL and HUB_NAME.fullmatch(model["name"])
        return str(model["name"]) if is_named else None

    def data_name(self, split: str) -> str:
        """What the texts of ``train``, ``validation`` or ``test`` are called: names of files, without their folders."""
        own = self.settings.get(f"data.{split}") if split != "train" else None
        sources = own or self.settings.get("data.data") or []
        if not isinstance(sources, list):
            sources = [str(sources)]
        names = [one.removeprefix(TFDS) if one.startswith(TFDS) else Path(one).name for one in sources]
        more = f" and {len(names) - SOURCES} more" if len(names) > SOURCES else ""
        return ", ".join(names[:SOURCES]) + more or SAMPLE


def read_facts(folder: ModelFolder) -> Facts:
    """Reads the files of a finished run.

    Raises:
        RunError: The folder holds no finished run, or a damaged one.
    """
    from tf_finetune.config.yaml_file import read_entries

    manifest = folder.read_manifest()
    entries = [entry for entry in read_entries(folder.config) if entry.key is not None and entry.fault is None]
    calibration = read_json(folder.calibration) if folder.calibration.is_file() else None
    with damage_told(folder.name):
        if not (HEX.fullmatch(manifest.run_id) and HEX.fullmatch(manifest.weights_sha256)):
            raise ValueError("run_id and weights_sha256 are no hexadecimal digits")
        measured = measure(folder, manifest, calibration)
    return Facts(
        name=folder.name,
        manifest=manifest,
        finished=read_json(folder.complete),
        settings={f"{entry.section}.{entry.key}": entry.value for entry in entries},
        environment=read_json(folder.environment),
        measured=measured,
        calibration=calibration,
        exports=current_exports(folder, manifest),
    )


@contextlib.contextmanager
def damage_told(name: str) -> Iterator[None]:
    """What goes wrong in the body does so because of a damaged file, and is told so."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        words = str(error) if isinstance(error, FinetuneError) else repr(error)
        raise RunError(
            f"The run in {name} is damaged: no model card can be made of its files ({words:.200})."
        ) from error


def current_exports(folder: ModelFolder, manifest: Manifest) -> dict[int, ExportInfo]:
    """What the exports say that answer as the run does: of its weights, with its calibration."""
    found = {}
    for version in folder.versions():
        try:
            info = ExportFolder(folder.path / str(version)).read_info()
        except ExportError:
            continue  # of someone else's, or damaged: nothing answers with it
        same = (info.run_id, info.weights_sha256, info.temperature, info.thresholds)
        if same == (manifest.run_id, manifest.weights_sha256, manifest.temperature, manifest.thresholds):
            found[version] = info
    return found
