"""`fit`: from a configuration to a finished run, with scores and an export."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import shlex
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tf_finetune.config import RESUME_AUTO, Config, write_config
from tf_finetune.config.cluster import read_cluster
from tf_finetune.data import Splits
from tf_finetune.data.recorded import write_texts
from tf_finetune.errors import TrainingStopped
from tf_finetune.evaluation.operating_point import check_label_names
from tf_finetune.files import file_sha256, read_json, write_json, write_text
from tf_finetune.model.checkpoint import Checkpoint
from tf_finetune.run import FORMAT, ModelFolder
from tf_finetune.training.identity import describe_identity
from tf_finetune.training.inputs import describe_inputs, load_inputs
from tf_finetune.training.occupy import default_output, occupy
from tf_finetune.training.resume import check_identity, goes_on
from tf_finetune.training.soundness import log_findings
from tf_finetune.training.stopping import StopRequest

if TYPE_CHECKING:
    from tf_finetune.evaluation.metrics import Scores
    from tf_finetune.training.prepared import Prepared
    from tf_finetune.training.train_and_score import Trained

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
        export: The SavedModel's version folder, or None; of several workers, the chief alone has it.
        seconds: Wall time of the whole call.
    """

    run: ModelFolder
    scores: Scores
    test_scores: Scores | None
    best_epoch: int
    export: Path | None
    seconds: float


def fit(
    config: Config,
    *,
    progress: TextIO | None = None,
    stops: Callable[[Sequence[Mapping[str, float]]], bool] | None = None,
    uses_test: bool = True,
    keeps_checkpoints: bool = False,
    group: str | None = None,
) -> FitResult:
    """Fine-tunes a classifier and writes the model folder; or goes on with a run that was stopped or killed.

    What can be wrong with the folder, the data, the checkpoint or the options is said before TensorFlow is imported and
    before anything is written. SIGINT and SIGTERM stop training after the update that is computed, with all of it
    saved; a second one ends the process at once. Of several workers (``TF_CONFIG``) the chief alone writes; all of them
    read the same data, and the folder of a run that is gone on with.

    Args:
        config: The whole configuration.
        progress: Stream for a progress bar (or plain lines, if it is no terminal).
        stops: Asked after each epoch with the values of all epochs so far, whether to stop training there.
        uses_test: Whether test rows are scored, if there are any.
        keeps_checkpoints: Whether the finished run keeps what it could be trained on from.
        group: What the run is part of, such as a search: trackers show it, and it gets no model card of its own.

    Raises:
        RunError: The folder holds a run already; what is to be gone on with is not there or not the same run; or
            another worker is gone; or a tracker cannot be reached when the run begins.
        DependencyError: The package of a tracker is not installed.
        ConfigError: Class weights, frozen parts or devices do not fit.
        DataError: The data cannot be used.
        ModelError: The checkpoint cannot be used.
        TokenizerError: Its tokenizer cannot be used.
        TrainingStopped: A signal or the time limit; the message says how to go on.
    """
    started = time.monotonic()
    stop = StopRequest(config.run.max_hours)
    cluster = read_cluster()
    writes = cluster is None or cluster.is_chief
    with stop.listening():
        folder = output_folder(config)
        resumes = goes_on(folder, config, writes=writes)
        inputs = load_inputs(config)
        splits, checkpoint = inputs.splits, inputs.checkpoint
        if config.fit.threshold_for is not None:
            check_label_names(splits.train.label_names)
        if not uses_test:
            splits = dataclasses.replace(splits, test=None)
        if writes:
            _say(describe_inputs(inputs))
            log_findings(inputs.findings)
        identity = describe_identity(config, splits, checkpoint)
        forced = check_identity(folder, identity, force=config.run.force) if resumes else ()

        from tf_finetune.training.prepare import prepare
        from tf_finetune.training.train_and_score import train_and_score

        prepared = prepare(config, splits, checkpoint)
        if writes:
            _say(prepared.lines(config))
        replaces = config.run.overwrite or config.run.resume == RESUME_AUTO
        with occupy(folder, overwrite=replaces, goes_on=resumes) if writes else contextlib.nullcontext():
            if writes and (forced or not resumes):
                _write_head(folder, config, splits=splits, checkpoint=checkpoint, prepared=prepared, identity=identity)
            trained = train_and_score(
                folder,
                config,
                splits,
                prepared,
                stop=stop,
                resumes=resumes,
                forced=forced,
                progress=progress,
                stops=stops,
                keeps_checkpoints=keeps_checkpoints,
                group=group,
            )
            if writes:
                _write_complete(folder, config, splits, trained, seconds=time.monotonic() - started)
                if not keeps_checkpoints:
                    shutil.rmtree(folder.checkpoints, ignore_errors=True)
        try:
            export = _export(folder, config) if writes and config.export.export else None
        finally:
            if writes and group is None:
                from tf_finetune.sharing.card import refresh_card

                refresh_card(folder.path)
        prepared.workers.wait()  # for the one that writes
    return _result(folder, trained, export, seconds=time.monotonic() - started)


def output_folder(config: Config) -> ModelFolder:
    """The model folder that the configuration names, or the default one."""
    resume = None if config.run.resume == RESUME_AUTO else config.run.resume
    return ModelFolder(Path(resume or config.run.output or default_output(config.data.data)))


def _result(folder: ModelFolder, trained: Trained, export: Path | None, *, seconds: float) -> FitResult:
    """What the run has written down."""
    from tf_finetune.evaluation.metrics import Scores

    scores = {name: Scores.from_dict(values) for name, values in read_json(folder.metrics).items()}
    return FitResult(
        run=folder,
        scores=scores["validation"],
        test_scores=scores.get("test"),
        best_epoch=trained.best_epoch,
        export=export,
        seconds=seconds,
    )


def _say(lines: list[str]) -> None:
    for line in lines:
        logger.info("%s", line)


def _write_head(
    folder: ModelFolder,
    config: Config,
    *,
    splits: Splits,
    checkpoint: Checkpoint,
    prepared: Prepared,
    identity: dict[str, Any],
) -> None:
    """Writes what is known before training: configuration, environment, labels, tokenizer, validation texts."""
    from tf_finetune.training.environment import describe_environment

    # used again with --config, a run's own configuration must not replace that run
    run = dataclasses.replace(config.run, overwrite=False, resume=None, force=False, max_hours=None)
    write_text(folder.config, write_config(dataclasses.replace(config, run=run)))
    environment = describe_environment(splits, checkpoint, deterministic=prepared.deterministic)
    lengths = dataclasses.asdict(prepared.lengths)
    write_json(folder.environment, {**environment, "lengths": lengths, "identity": identity})
    write_json(folder.labels, list(splits.train.label_names))
    prepared.tokenizer.save_pretrained(str(folder.tokenizer))
    write_texts(folder.validation_texts, splits.validation, seed=config.fit.seed)


def _write_complete(folder: ModelFolder, config: Config, splits: Splits, trained: Trained, *, seconds: float) -> None:
    """Writes the manifest, last: from now on the run is finished."""
    digest = file_sha256(folder.model / "model.safetensors")
    identity = hashlib.sha256((digest + folder.config.read_text(encoding="utf-8")).encode()).hexdigest()
    manifest = {
        "format": FORMAT,
        "run_id": identity[:16],
        "pairs": splits.train.has_pairs,
        "max_length": config.tokens.max_length,
        "truncate": config.tokens.truncate,
        "epochs": len(trained.record.history),
        "best_epoch": trained.best_epoch,
        "updates": trained.record.step,
        "weights_sha256": digest,
        "optimizer_sha256": trained.optimizer_sha256,
        "history_sha256": file_sha256(folder.history),
        "resumed_at": list(trained.record.resumed_at),
        "forced": list(trained.record.forced),
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
