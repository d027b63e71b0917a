"""`TrialState`: what a trial of a Keras model is gone on with, and the weights of its best epoch."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tf_finetune.backend import error_words, tf
from tf_finetune.errors import ModelError, RunError
from tf_finetune.files import new_folder, read_json, write_json, write_text
from tf_finetune.training.checkpoints.tensor_file import DamagedFile, read_tensors, write_tensors

__all__ = ["TrialRecord", "TrialState", "assign_best", "forget_state"]

CURVE = "epochs.jsonl"
STATE = "state"
BEST = "best"
RECORD = "record.json"
TENSORS = "tensors"


@dataclass
class TrialRecord:
    """How far a trial has come, apart from its tensors.

    Attributes:
        history: Values of each epoch, those of the trials that it was promoted from included.
        is_over: Whether a callback has stopped training.
        callbacks: For each callback what it had counted, by attribute.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    is_over: bool = False
    callbacks: list[dict[str, Any]] = field(default_factory=list)


class TrialState:
    """The files of one trial; each is written whole or not at all.

    <trial folder>/
      epochs.jsonl      one line an epoch
      state/0003/       weights, optimizer, dropout after epoch 3, and the record
      best/0002/        weights of epoch 2, the best one

    Variables are saved by their place in the model: layers of transformers share names.

    Args:
        folder: The trial's folder.
        model: A compiled model that has its weights.
        dropout: Variables of dropout's state.
    """

    def __init__(self, folder: Path, model: Any, dropout: Sequence[Any] = ()) -> None:
        self.folder, self.model = folder, model
        if hasattr(model.optimizer, "build"):  # the legacy ones take what was saved when they make their variables
            model.optimizer.build(model.trainable_variables)
        self._checkpoint = tf.train.Checkpoint(
            weights=list(model.weights), optimizer=model.optimizer, dropout=list(dropout)
        )

    def write_curve(self, record: TrialRecord) -> None:
        """Writes one line of JSON an epoch; what is no number is null."""
        lines = [json.dumps({"epoch": i, **_to_json(values)}) for i, values in enumerate(record.history, start=1)]
        write_text(self.folder / CURVE, "".join(f"{line}\n" for line in lines))

    def save(self, record: TrialRecord, *, best_epoch: int) -> None:
        """Saves the trial after an epoch.

        Args:
            record: How far it has come.
            best_epoch: The best epoch so far, from 1, whose weights are kept; 0 if there is none.

        Raises:
            OSError: The disk is full, or the folder cannot be written.
        """
        epoch = len(record.history)
        if best_epoch == epoch:
            with _replaced(self.folder / BEST / _name(epoch)) as staging:
                write_tensors(
                    staging / TENSORS, {str(i): weight.read_value() for i, weight in enumerate(self.model.weights)}
                )
        with _replaced(self.folder / STATE / _name(epoch)) as staging:
            self._write(staging / TENSORS)
            history = [_to_json(values) for values in record.history]
            write_json(staging / RECORD, {"history": history, "is_over": record.is_over, "callbacks": record.callbacks})
        _keep_only(self.folder / STATE, epoch)
        _keep_only(self.folder / BEST, best_epoch)

    def load(self) -> TrialRecord | None:
        """Gives model, optimizer and dropout what was saved last; None if nothing was.

        Raises:
            DamagedFile: What was saved is torn or changed; nothing was assigned.
            ModelError: It is of another model.
        """
        return self._load(self.folder)

    def promote(self, parent: Path) -> TrialRecord:
        """Goes on from another trial, which the best weights so far are taken over from.

        Raises:
            DamagedFile: It has no sound state.
            ModelError: It is of another model.
        """
        record = self._load(parent)
        if record is None:
            raise DamagedFile(f"there is no {STATE} in {parent}")
        for found in _epochs(parent / BEST):
            with _replaced(self.folder / BEST / found.name) as staging:
                shutil.copytree(found, staging, dirs_exist_ok=True)
        return record

    def _write(self, prefix: Path) -> None:
        try:
            self._checkpoint.write(str(prefix))
        except tf.errors.OpError as error:
            raise OSError(error_words(error)) from error

    def _load(self, folder: Path) -> TrialRecord | None:
        found = _epochs(folder / STATE)
        if not found:
            return None
        record = _read_record(found[-1] / RECORD)
        _check_sound(found[-1] / TENSORS)
        try:
            self._checkpoint.read(str(found[-1] / TENSORS)).assert_existing_objects_matched()
        except (ValueError, AssertionError, tf.errors.OpError) as error:
            raise ModelError(
                f"{found[-1]} was saved by another model than build(hp) returns for the same values: {error}. "
                "Begin the search again: overwrite=True."
            ) from error
        return record


def assign_best(folder: Path, model: Any) -> None:
    """Gives a model that has its weights those of a trial's best epoch.

    Args:
        folder: The trial's folder.
        model: The model.

    Raises:
        RunError: There are none, or they are damaged or of another model.
    """
    found = _epochs(folder / BEST)
    if not found:
        raise RunError(f"There are no weights in {folder}: the trial failed, or is not done with its first epoch.")
    try:
        values = read_tensors(found[-1] / TENSORS, {str(i): weight for i, weight in enumerate(model.weights)})
    except DamagedFile as error:
        raise RunError(f"The weights in {found[-1]} are damaged, or of another model: {error}.") from error
    for weight, value in zip(model.weights, values.values()):
        weight.assign(value)


def forget_state(folder: Path) -> None:
    """Removes what a trial would be gone on with, two thirds of its bytes and more; the best weights stay."""
    shutil.rmtree(folder / STATE, ignore_errors=True)


def _check_sound(prefix: Path) -> None:
    """Reads every tensor, whose checksums TensorFlow compares: a model must not get half of them."""
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
        raise DamagedFile(error_words(error)) from error


def _read_record(path: Path) -> TrialRecord:
    try:
        values = read_json(path)
        history = [
            {name: math.nan if value is None else float(value) for name, value in epoch.items()}
            for epoch in values["history"]
        ]
        return TrialRecord(history, bool(values["is_over"]), [dict(one) for one in values["callbacks"]])
    except (RunError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedFile(f"{path.name}: {error}") from error


def _to_json(values: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _replaced(target: Path) -> AbstractContextManager[Path]:
    """As `new_folder`; what was left by a process that was killed right after it had written it goes."""
    shutil.rmtree(target, ignore_errors=True)
    return new_folder(target)


def _name(epoch: int) -> str:
    return f"{epoch:04d}"


def _epochs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def _keep_only(folder: Path, epoch: int) -> None:
    """Removes other epochs, and what was begun when the process was killed."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name != _name(epoch):
            shutil.rmtree(path, ignore_errors=True)
