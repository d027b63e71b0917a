"""`export`: a run as a SavedModel in a numbered version folder, proven equal to the model, published by rename."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from tf_finetune.data.recorded import TextColumns, read_texts
from tf_finetune.errors import ConfigError, ExportError, RunError
from tf_finetune.files import publish_folder, staging_folder, write_text
from tf_finetune.model.architectures import check_length
from tf_finetune.model.checkpoint import open_checkpoint
from tf_finetune.run import ModelFolder
from tf_finetune.serving.exported import SIGNATURES, ExportFolder, ExportInfo
from tf_finetune.serving.formats.models_config import LARGEST_VERSION, ModelsConfig, write_models_config
from tf_finetune.serving.rollout.folder_lock import locked

if TYPE_CHECKING:
    from tf_finetune.model.trained import LoadedRun

__all__ = ["export"]

logger = logging.getLogger(__name__)

KEPT_TEXTS = 8
"""Validation texts that an export keeps by default, with the answers to them."""

PACKAGES = ("tf_finetune", "tensorflow", "tf-keras", "transformers", "tokenizers")


def export(
    folder: str | Path,
    *,
    version: int | None = None,
    signatures: Sequence[str] | None = None,
    max_length: int | None = None,
    keep_texts: int = KEPT_TEXTS,
    encoder: str = "auto",
) -> Path:
    """Writes a finished run as a SavedModel that TensorFlow Serving loads.

    All signatures but ``classify`` answer with `logits` and `probabilities` float32 `[batch, labels]`, `confidence`
    float32, `label_id` int32 and `label` string `[batch]`; of a run with an operating point also `decision` string
    `[batch]`, the label or ``uncertain``. Probabilities are calibrated as the run is; the logits are the model's own:

    - ``text``, the default: `text` string `[batch]` (and `text_pair`), tokenized in the graph exactly as in training.
      ``tokenize`` shows the ids. Left out, with the reason in the log, where the tokenizer is not proven exact.
    - ``token_ids``: `input_ids` and `attention_mask`, int32 `[batch, length]`; the default where there is no ``text``.
    - ``classify``: `inputs` string `[batch]` of serialized `tf.Example` -> `classes`, `scores` `[batch, labels]`.

    Made without a GPU, the graph computes batches of more than a few tokens without their padding, where the unpadded
    encoder fits the model; see `serving.graph.forward`. With the encoder ``model`` it has no branches and loops, which
    converters to other formats (tf2onnx) do not take.

    Token ids are compared on a built-in list of hard texts and on the run's validation texts, and logits with the Keras
    model; nothing is published if anything differs.

    Args:
        folder: Model folder, `saved_models/<name>`; becomes the server's base path.
        version: Version number; the next free one by default.
        signatures: Some of ``text``, ``token_ids``, ``classify``; by default all that the tokenizer allows.
        max_length: Longest input in tokens; the run's own by default. Shorter is faster and reads less of a text.
        keep_texts: Validation texts that the export keeps, with their answers, for `verify` and `smoke`.
        encoder: ``auto``, or ``model`` for the model's own alone.

    Returns:
        The version folder.

    Raises:
        RunError: The folder holds no finished run.
        ConfigError: A signature or the encoder is unknown, or the version is none that servers read.
        ModelError: The model does not take inputs of `max_length`.
        ExportError: The version exists, a signature is not possible, or the SavedModel does not answer as the model
            does.
    """
    run = ModelFolder(Path(folder))
    run.require_complete()
    _check_version(run, version)
    if signatures is not None:
        _check_signatures(signatures)
    if encoder not in ("auto", "model"):
        raise ConfigError(f"The encoder of an export is auto or model, not {encoder!r}.")
    if max_length is not None:  # `load_run` looks too, but not before TensorFlow is there
        checkpoint = open_checkpoint(run.model)
        check_length(checkpoint.config, max_length, name=checkpoint.name)
    texts = _read_validation_texts(run)

    from tf_finetune.model.trained import load_run

    loaded = load_run(run, max_length=max_length)
    info = _describe(loaded, run.name, signatures)
    with _writing(run), staging_folder(run.path, "export") as staging:
        info = _write(loaded, ExportFolder(staging), info, texts, keep_texts, unpadded=encoder == "auto")
        number = _publish(run, ExportFolder(staging), info, version)
    if not run.models_config.exists():  # else it says what is served, and that is not for an export to change
        _write_models_config(run)
    logger.info(
        "exported %s (%s); equal ids for %d texts, largest difference of a logit %.1e",
        run.path / str(number),
        ", ".join(info.signatures),
        info.stress_texts + info.validation_texts,
        info.largest_difference,
    )
    return run.path / str(number)


@contextlib.contextmanager
def _writing(run: ModelFolder) -> Iterator[None]:
    """A full disk and a read-only folder in our words."""
    try:
        yield
    except OSError as error:
        raise ExportError(
            f"The export cannot be written into {run.path}: {error.strerror or error}. Nothing was published."
        ) from error


def _describe(loaded: LoadedRun, name: str, signatures: Sequence[str] | None) -> ExportInfo:
    """What is known of an export before it is written."""
    chosen, refused = _choose_signatures(loaded, signatures)
    return ExportInfo(
        version=0,
        name=name,
        run_id=loaded.manifest.run_id,
        weights_sha256=loaded.manifest.weights_sha256,
        label_names=loaded.manifest.label_names,
        pairs=loaded.manifest.pairs,
        max_length=loaded.manifest.max_length,
        truncate=loaded.manifest.truncate,
        signatures=chosen,
        padding={},
        padding_side=loaded.encoder.tokenizer.padding_side,
        text_refused=refused,
        stress_texts=0,
        validation_texts=0,
        largest_difference=0.0,
        padding_difference=0.0,
        packages={package: metadata.version(package) for package in PACKAGES},
        temperature=loaded.manifest.temperature,
        thresholds=loaded.manifest.thresholds,
    )


def _write(
    loaded: LoadedRun, exported: ExportFolder, info: ExportInfo, texts: TextColumns, keep_texts: int, *, unpadded: bool
) -> ExportInfo:
    """Writes all of an export but its number, and compares it with the run; returns what is known then."""
    from tf_finetune.serving.answers import choose_texts, measure_padding, record_answers
    from tf_finetune.serving.batching import batching_parameters
    from tf_finetune.serving.graph.saved_model import save
    from tf_finetune.serving.proof import prove
    from tf_finetune.serving.warmup import run_warmup, write_warmup

    columns = save(loaded, exported.path, signatures=info.signatures, unpadded=unpadded)
    answers = record_answers(loaded, choose_texts(*texts, count=keep_texts), columns=columns)
    tokenizer = loaded.encoder.tokenizer
    pads = {"input_ids": tokenizer.pad_token_id, "attention_mask": 0, "token_type_ids": tokenizer.pad_token_type_id}
    info = dataclasses.replace(
        info,
        padding={column: pads[column] for column in columns},
        padding_difference=measure_padding(loaded, answers),
    )
    proof = prove(loaded.encoder, exported.path, answers, texts, info)
    info = dataclasses.replace(
        info,
        stress_texts=proof.stress_texts,
        validation_texts=proof.validation_texts,
        largest_difference=proof.largest_difference,
    )
    exported.write(info, answers)
    write_warmup(exported.warmup, model=info.name, encoder=loaded.encoder, signatures=proof.signatures)
    run_warmup(exported.warmup, proof.signatures)
    lengths = loaded.encoder.encode(*texts).lengths
    write_text(exported.batching, batching_parameters(lengths, max_length=info.max_length))
    return info


def _publish(run: ModelFolder, exported: ExportFolder, info: ExportInfo, version: int | None) -> int:
    """Gives the export its number, in one step; the next free one, whoever else is exporting."""
    while True:
        number = version or _free_version(run)
        exported.write_info(dataclasses.replace(info, version=number))
        try:
            publish_folder(exported.path, run.path / str(number))
            return number
        except RunError:
            _check_version(run, version)


def _write_models_config(run: ModelFolder) -> None:
    """A configuration that serves the newest version, unless someone is promoting one at this moment."""
    with locked(run.path):
        if not run.models_config.exists():
            if ":" in run.name:
                logger.warning("no client can ask a server for a model named %s: a colon ends the name", run.name)
            write_models_config(run.models_config, ModelsConfig(run.name, str(run.path.resolve())))


def _read_validation_texts(run: ModelFolder) -> TextColumns:
    return read_texts(run.validation_texts, pairs=run.read_manifest().pairs)


def _choose_signatures(loaded: LoadedRun, signatures: Sequence[str] | None) -> tuple[tuple[str, ...], str | None]:
    """The signatures to write, in order, and why there is no text signature, if so."""
    from tf_finetune.serving.graph.saved_model import usable_signatures

    usable, reason = usable_signatures(loaded)
    if signatures is None:
        if reason:
            logger.warning("no text signature: %s; clients have to send token ids", reason)
        return usable, reason
    impossible = [name for name in signatures if name not in usable]
    if impossible:
        raise ExportError(f"The signature {impossible[0]} is not possible: {reason}. Export token_ids alone.")
    return tuple(name for name in SIGNATURES if name in signatures), reason


def _check_signatures(signatures: Sequence[str]) -> None:
    unknown = [name for name in signatures if name not in SIGNATURES]
    if unknown or not signatures:
        raise ConfigError(
            f"--signatures takes some of {', '.join(SIGNATURES)}. Received: {', '.join(unknown) or 'none'}."
        )


def _check_version(run: ModelFolder, version: int | None) -> None:
    if version is None:
        return
    if not 1 <= version <= LARGEST_VERSION:
        raise ConfigError(f"--version must be from 1 to {LARGEST_VERSION}, as servers read it. Received: {version}.")
    if os.path.lexists(run.path / str(version)):
        raise ExportError(f"{run.path / str(version)} exists already; the next free version is {_free_version(run)}.")


def _free_version(run: ModelFolder) -> int:
    """The number after the highest; no file or link has it for a name."""
    number = max(run.versions(), default=0) + 1
    while os.path.lexists(run.path / str(number)):
        number += 1
    if number > LARGEST_VERSION:
        raise ExportError(
            f"{run.path} has no free version: {number - 1} is the highest that servers read, or beyond it. "
            "Name a lower one: --version."
        )
    return number
