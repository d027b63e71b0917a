"""`fit`: from a configuration to a finished run, with scores and an export."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import logging
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tf_finetune.config import Config, write_config
from tf_finetune.data import Splits
from tf_finetune.data.recorded import write_texts
from tf_finetune.errors import TrainingStopped
from tf_finetune.files import file_sha256, write_json, write_text
from tf_finetune.model.checkpoint import Checkpoint
from tf_finetune.run import FORMAT, ModelFolder
from tf_finetune.training.inputs import describe_inputs, load_inputs
from tf_finetune.training.occupy import default_output, occupy, refuse_occupied

if TYPE_CHECKING:
    from tf_finetune.evaluation.metrics import Scores
    from tf_finetune.training.callbacks import KeepBest
    from tf_finetune.training.prepared import Prepared

__all__ = ["FitResult", "fit", "output_folder"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitResult:
    """A finished run.

    Attributes:
        run: The model folder.
        scores: Scores of the weights kept on the validation rows.
        test_scores: The same on the test rows, if there are any.
        best_epoch: Epoch of the weights kept, from 1.
        export: The SavedModel's version folder, or None.
        seconds: Wall time of the whole call.
    """

    run: ModelFolder
    scores: Scores
    test_scores: Scores | None
    best_epoch: int
    export: Path | None
    seconds: float


def fit(config: Config, *, progress: TextIO | None = None) -> FitResult:
    """Fine-tunes a classifier and writes the model folder.

    What can be wrong with the folder, the data, the checkpoint or the options is said before TensorFlow is imported and
    before anything is written.

    Args:
        config: The whole configuration.
        progress: Stream for a progress bar (or plain lines, if it is no terminal).

    Raises:
        RunError: The folder holds a run already.
        ConfigError: Class weights, frozen parts or devices do not fit.
        DataError: The data cannot be used.
        ModelError: The checkpoint cannot be used.
        TokenizerError: Its tokenizer cannot be used.
        TrainingStopped: Ctrl-C; the weights so far are in the run folder.
    """
    started = time.monotonic()
    folder = output_folder(config)
    refuse_occupied(folder, overwrite=config.run.overwrite)
    splits, checkpoint = load_inputs(config)
    _say(describe_inputs(splits, checkpoint))

    from tf_finetune.training.callbacks import KeepBest
    from tf_finetune.training.prepare import prepare

    prepared = prepare(config, splits, checkpoint)
    _say(prepared.lines(config))
    keep_best = KeepBest(config.fit.monitor)
    with occupy(folder, overwrite=config.run.overwrite):
        _write_head(folder, config, splits, checkpoint, prepared)
        try:
            _train(folder, config, prepared, keep_best, progress)
            scores = _score_and_save(folder, config, splits, prepared)
            _write_complete(folder, config, splits, keep_best.best_epoch, seconds=time.monotonic() - started)
        except KeyboardInterrupt:
            raise _stop(folder, prepared, keep_best) from None
    export = _export(folder, config) if config.export.export else None
    return FitResult(
        run=folder,
        scores=scores["validation"],
        test_scores=scores.get("test"),
        best_epoch=keep_best.best_epoch,
        export=export,
        seconds=time.monotonic() - started,
    )


def output_folder(config: Config) -> ModelFolder:
    """The model folder that the configuration names, or the default one."""
    return ModelFolder(Path(config.run.output or default_output(config.data.data)))


def _say(lines: list[str]) -> None:
    for line in lines:
        logger.info("%s", line)


def _write_head(
    folder: ModelFolder, config: Config, splits: Splits, checkpoint: Checkpoint, prepared: Prepared
) -> None:
    """Writes what is known before training: configuration, environment, labels, tokenizer, validation texts."""
    from tf_finetune.training.environment import describe_environment

    # used again with --config, a run's own configuration must not replace that run
    kept = dataclasses.replace(config, run=dataclasses.replace(config.run, overwrite=False))
    write_text(folder.config, write_config(kept))
    environment = describe_environment(splits, checkpoint, deterministic=prepared.deterministic)
    write_json(folder.environment, environment)
    write_json(folder.labels, list(splits.train.label_names))
    prepared.tokenizer.save_pretrained(str(folder.tokenizer))
    write_texts(folder.validation_texts, splits.validation, seed=config.fit.seed)


def _train(
    folder: ModelFolder, config: Config, prepared: Prepared, keep_best: KeepBest, progress: TextIO | None
) -> None:
    """Trains, and leaves the model with the weights of the best epoch."""
    from tf_finetune.backend import keras
    from tf_finetune.training.callbacks import Progress
    from tf_finetune.training.train import train

    callbacks: list[Any] = [keras.callbacks.CSVLogger(str(folder.history))]
    if config.fit.tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(str(folder.logs)))
    if progress is not None:
        callbacks.append(Progress(progress))
    train(
        prepared.model,
        prepared.training_dataset(config),
        validation_data=prepared.validation_dataset(config),
        epochs=config.fit.epochs,
        steps_per_epoch=prepared.steps_per_epoch,
        patience=config.fit.patience,
        class_weight=prepared.class_weight,
        callbacks=callbacks,
        keep_best=keep_best,
    )


def _save_model(folder: ModelFolder, prepared: Prepared) -> None:
    """Writes the weights as one file, however large: the run folder is a format, and its weights have one hash."""
    prepared.model.save_pretrained(str(folder.model), safe_serialization=True, max_shard_size="1000GB")


def _stop(folder: ModelFolder, prepared: Prepared, keep_best: KeepBest) -> TrainingStopped:
    """Saves the best weights so far, whatever was interrupted, and says how to go on."""
    keep_best.restore()
    _save_model(folder, prepared)
    kept = f"of epoch {keep_best.best_epoch}" if keep_best.best_epoch else "of an unfinished first epoch"
    start = f"tf-finetune fit --config {shlex.quote(str(folder.config))}"
    path, new = shlex.quote(str(folder.path)), shlex.quote(f"{folder.path}-2")
    former = f" The former run is in {folder.before}." if folder.before.exists() else ""
    return TrainingStopped(
        f"The weights {kept} are in {folder.model}; they load with from_pretrained.{former} "
        f"To train on from them: {start} --model {path} --output {new}. "
        f"To begin again: {start} --output {path} --overwrite."
    )


def _score_and_save(folder: ModelFolder, config: Config, splits: Splits, prepared: Prepared) -> dict[str, Scores]:
    """Saves the model, scores it on the validation and the test rows, and writes the scores."""
    from tf_finetune.evaluation.metrics import compute_scores
    from tf_finetune.evaluation.predictor import make_forward, softmax, table_logits

    _save_model(folder, prepared)
    forward = make_forward(prepared.model, prepared.spec, unpadded=prepared.encoder.unpadded)
    scores = {}
    for name, table in (("validation", prepared.validation), ("test", prepared.test)):
        if table is not None:
            logits = table_logits(forward, prepared.spec, table, batch_size=config.fit.batch_size)
            scores[name] = compute_scores(table.labels, softmax(logits), splits.train.label_names)
    write_json(folder.metrics, {name: value.to_dict() for name, value in scores.items()})
    return scores


def _write_complete(folder: ModelFolder, config: Config, splits: Splits, best_epoch: int, *, seconds: float) -> None:
    """Writes the manifest, last: from now on the run is finished."""
    digest = file_sha256(folder.model / "model.safetensors")
    with open(folder.history, newline="", encoding="utf-8") as file:
        epochs = sum(1 for _ in csv.DictReader(file))
    identity = hashlib.sha256((digest + folder.config.read_text(encoding="utf-8")).encode()).hexdigest()
    manifest = {
        "format": FORMAT,
        "run_id": identity[:16],
        "pairs": splits.train.has_pairs,
        "max_length": config.tokens.max_length,
        "truncate": config.tokens.truncate,
        "epochs": epochs,
        "best_epoch": best_epoch,
        "weights_sha256": digest,
        "seconds": round(seconds, 1),
    }
    write_json(folder.complete, manifest)


def _export(folder: ModelFolder, config: Config) -> Path:
    from tf_finetune.serving.export import export

    try:
        return export(folder.path, encoder="model" if config.model.encoder == "model" else "auto")
    except KeyboardInterrupt:
        path = shlex.quote(str(folder.path))
        raise TrainingStopped(
            f"The run in {folder.run} is finished, but not exported. To do so: tf-finetune export {path}"
        ) from None
