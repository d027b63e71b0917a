"""`calibrate`: the temperature of a finished run, and its operating point, from what it says to its validation rows."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_finetune.config.threshold_for import Target, parse_threshold_for
from tf_finetune.errors import ExportError
from tf_finetune.evaluation.operating_point import OperatingPoint, check_label_names, choose_operating_point
from tf_finetune.evaluation.reliability import Reliability, measure_reliability
from tf_finetune.evaluation.temperature import Temperature, fit_temperature
from tf_finetune.files import write_json
from tf_finetune.run import FORMAT, ModelFolder
from tf_finetune.serving.exported import ExportFolder

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Calibration", "Change", "calibrate", "calibrate_answers", "write_calibration"]

logger = logging.getLogger(__name__)

NOTE = (
    "The validation rows chose the weights that were kept, the temperature and the thresholds: all numbers on them "
    "flatter the model a little. To know what to expect, evaluate it on rows that chose nothing."
)


@dataclass(frozen=True)
class Change:
    """What a temperature does to the probabilities of some rows.

    Attributes:
        rows: How many rows.
        before: At temperature 1.
        after: At the temperature.
    """

    rows: int
    before: Reliability
    after: Reliability

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"rows": self.rows, "before": self.before.to_dict(), "after": self.after.to_dict()}


@dataclass(frozen=True)
class Calibration:
    """How a model's logits become probabilities that can be believed, and decisions.

    Attributes:
        temperature: What the logits are divided by.
        validation: What it does to the rows that it was fitted on.
        test: What it does to the test rows, which chose nothing; None unless they were at hand.
        operating_point: The thresholds, if any were asked for.
    """

    temperature: Temperature
    validation: Change
    test: Change | None
    operating_point: OperatingPoint | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        point = self.operating_point
        return {
            "note": NOTE,
            "temperature": self.temperature.to_dict(),
            "validation": self.validation.to_dict(),
            "test": None if self.test is None else self.test.to_dict(),
            "operating_point": None if point is None else point.to_dict(),
        }


def calibrate(folder: str | Path, *, threshold_for: str | None = None) -> Calibration:
    """Calibrates a finished run on its validation rows, without TensorFlow; what it had of this before is replaced.

    From then on its predictions, scores and new exports have the calibrated probabilities. Exports that were made
    before do not change; a warning names them.

    Args:
        folder: Model folder, `saved_models/<name>`.
        threshold_for: What an operating point has to reach, as ``precision=0.95``; `choose_operating_point` says what
            it means. By default there is none.

    Raises:
        ConfigError: `threshold_for` cannot be read, or a class is called as a decision is.
        RunError: The folder holds no finished run, or one that has not kept its logits.
        DataError: The logits are not finite.
    """
    from tf_finetune.evaluation.kept_answers import read_kept_answers

    target = None if threshold_for is None else parse_threshold_for(threshold_for)
    model = ModelFolder(Path(folder))
    manifest = model.read_manifest(calibrated=False)
    if target is not None:
        check_label_names(manifest.label_names)
    labels, logits = read_kept_answers(model, manifest, otherwise=" and calibrate that one, or train with --calibrate.")
    found = calibrate_answers(labels, logits, manifest.label_names, target=target)
    write_calibration(model, found, weights_sha256=manifest.weights_sha256)
    outdated = _outdated(model)
    if outdated:
        logger.warning(
            "version %s was exported with another calibration. To export the run as it is: tf-finetune export %s",
            ", ".join(map(str, outdated)),
            shlex.quote(str(model.path)),
        )
    return found


def calibrate_answers(
    labels: np.ndarray,
    logits: np.ndarray,
    label_names: Sequence[str],
    *,
    target: Target | None = None,
    test: tuple[np.ndarray, np.ndarray] | None = None,
) -> Calibration:
    """Fits the temperature and chooses the operating point.

    Args:
        labels: integers `[n]`, index into `label_names`.
        logits: float32 `[n, labels]`.
        label_names: Class names in index order.
        target: What an operating point has to reach; None for none.
        test: Labels and logits of other rows, to see what the temperature does to them.

    Raises:
        ConfigError: A class is called as a decision is.
        DataError: The arguments do not fit together, or logits are not finite.
    """
    from tf_finetune.evaluation.logits import softmax

    temperature = fit_temperature(labels, logits)
    probabilities = softmax(logits, temperature=temperature.value)
    return Calibration(
        temperature=temperature,
        validation=_change(labels, logits, label_names, temperature.value),
        test=None if test is None else _change(*test, label_names, temperature.value),
        operating_point=(
            None if target is None else choose_operating_point(labels, probabilities, label_names, target)
        ),
    )


def write_calibration(folder: ModelFolder, calibration: Calibration, *, weights_sha256: str) -> None:
    """Writes run/calibration.json, which makes the run a calibrated one.

    Args:
        folder: The model folder.
        calibration: What was found.
        weights_sha256: SHA-256 of the weights that it was found with; with others it does not count.
    """
    write_json(folder.calibration, {"format": FORMAT, "weights_sha256": weights_sha256, **calibration.to_dict()})


def _change(labels: np.ndarray, logits: np.ndarray, label_names: Sequence[str], temperature: float) -> Change:
    from tf_finetune.evaluation.logits import softmax

    before, after = (
        measure_reliability(labels, softmax(logits, temperature=one), label_names) for one in (1.0, temperature)
    )
    return Change(len(labels), before, after)


def _outdated(model: ModelFolder) -> list[int]:
    """Versions of this run that have another calibration."""
    manifest, found = model.read_manifest(), []
    for version in model.versions():
        try:
            info = ExportFolder(model.path / str(version)).read_info()
        except ExportError:
            continue  # of someone else's, or damaged: nothing answers with it
        is_same = (info.temperature, info.thresholds) == (manifest.temperature, manifest.thresholds)
        if info.run_id == manifest.run_id and not is_same:
            found.append(version)
    return found
