"""`find_model`: what answers for a folder, an export in TensorFlow alone or the run; found without TensorFlow."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tf_finetune.errors import ExportError, RunError
from tf_finetune.run import Manifest, ModelFolder, is_version
from tf_finetune.serving.exported import TOLERANCE, ExportFolder, ExportInfo, find_export

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Classifier", "FoundModel", "find_model"]

logger = logging.getLogger(__name__)

SHARED = ("run_id", "weights_sha256", "label_names", "pairs", "max_length", "truncate")
"""What an export has in common with the run that it can stand for."""


class Classifier(Protocol):
    """A loaded model: texts in, class probabilities out."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """Class names in index order."""

    @property
    def has_pairs(self) -> bool:
        """Whether the model takes sentence pairs."""

    def probabilities(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
        """Class probabilities float32 `[n, labels]` of `n` texts (or pairs), in their order."""


@dataclass(frozen=True)
class FoundModel:
    """A trained model on the disk.

    Attributes:
        path: Model folder, or version folder.
        label_names: Class names in index order.
        pairs: Whether the model takes sentence pairs.
        export: The export that answers; None if the run does.
        config: Configuration of the training, where the run is there.
        thresholds: Lowest probability with which each class is accepted, None where it never is; empty without an
            operating point.
    """

    path: Path
    label_names: tuple[str, ...]
    pairs: bool
    export: ExportFolder | None
    config: Path | None
    thresholds: tuple[float | None, ...] = ()

    def load(self, *, batch_size: int) -> Classifier:
        """Imports TensorFlow, and loads what was found.

        Args:
            batch_size: Rows a batch.

        Raises:
            ExportError: TensorFlow cannot load the export.
            ModelError: The run is unsafe or damaged.
        """
        if self.export is not None:
            from tf_finetune.evaluation.export_predictor import load_export_predictor

            return load_export_predictor(self.export, batch_size=batch_size)
        from tf_finetune.evaluation.predictor import load_predictor

        return load_predictor(self.path, batch_size=batch_size)


def find_model(folder: str | Path) -> FoundModel:
    """Finds what answers for a folder, and logs it.

    A version folder answers itself. For a model folder, the newest export does that was made of its run as it is
    (weights, labels, length, calibration) and takes texts, else the run. Without a run, the newest version does.

    Args:
        folder: Model folder `saved_models/<name>`, or a version folder in it.

    Raises:
        ExportError: A version is missing, damaged, or takes no texts.
        RunError: The folder holds neither a finished run nor a version.
    """
    model = ModelFolder(Path(folder))
    parent = ModelFolder(model.path.absolute().parent)
    if is_version(model.path.name) and not model.path.exists() and parent.versions():
        there = ", ".join(map(str, parent.versions()))
        raise ExportError(f"There is no version {model.path.name} in {parent.path}. Versions are {there}.")
    if ExportFolder(model.path).saved_model.is_file() or (not model.run.is_dir() and model.versions()):
        return _found_export(find_export(model.path))
    manifest = model.read_manifest()
    export, reason = _export_of(model, manifest)
    if export is None:
        logger.info("predicting with the run %s: %s", model.run, reason)
    else:
        logger.info("predicting with the export %s, which is of this run", export.path)
    return FoundModel(
        model.path, manifest.label_names, manifest.pairs, export, model.config, thresholds=manifest.thresholds
    )


def _found_export(export: ExportFolder) -> FoundModel:
    """A version that stands for itself, with the run's configuration if its run lies beside it."""
    info = export.read_info()
    fault = _takes_no_texts(info)
    if fault:
        raise ExportError(f"{export.path} cannot predict: {fault}. Give a model folder that has its run.")
    run = ModelFolder(export.path.absolute().parent)
    try:
        is_beside = run.read_manifest().run_id == info.run_id
    except RunError:
        is_beside = False
    logger.info("predicting with the export %s", export.path)
    config = run.config if is_beside else None
    return FoundModel(export.path, info.label_names, info.pairs, export, config, thresholds=info.thresholds)


def _export_of(model: ModelFolder, manifest: Manifest) -> tuple[ExportFolder | None, str]:
    """The newest export that answers as the run does; else None, and what is wrong with the newest of all."""
    faults = []
    for version in reversed(model.versions()):
        export = ExportFolder(model.path / str(version))
        fault = _fault(export, manifest)
        if fault is None:
            return export, ""
        faults.append(f"version {version} {fault}")
    return None, faults[0] if faults else "there is no export"


def _fault(export: ExportFolder, manifest: Manifest) -> str | None:
    """Why an export cannot answer in place of the run, if so."""
    try:
        info = export.read_info()
    except ExportError as error:
        return f"is damaged: {error}"
    differing = [name for name in SHARED if getattr(info, name) != getattr(manifest, name)]
    if differing:
        return f"has another {', '.join(differing)}"
    if (info.temperature, info.thresholds) != (manifest.temperature, manifest.thresholds):
        run = shlex.quote(str(export.path.parent))
        return f"has another calibration than the run has now (to export the run as it is: tf-finetune export {run})"
    if info.padding_difference > TOLERANCE:
        return f"has logits that change by {info.padding_difference:.0e} with the padding of a batch"
    if not export.saved_model.is_file():
        return "has no graph"
    return _takes_no_texts(info)


def _takes_no_texts(info: ExportInfo) -> str | None:
    return None if "text" in info.signatures else "takes no texts" + f" ({info.text_refused})" * bool(info.text_refused)
