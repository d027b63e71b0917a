"""`export`: a run as a SavedModel in a numbered version folder, proven equal to the model, published by rename."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf_finetune.errors import ExportError
from tf_finetune.run import ModelFolder, new_folder, write_text

__all__ = ["export"]

logger = logging.getLogger(__name__)

TOLERANCE = 1e-5
"""Largest difference of a logit between the SavedModel and the Keras model; both are float32, 5e-8 is usual."""

PROBES = (
    "Great.",
    "",
    "I wanted to like it, but after an hour of mumbling in the dark I gave up.",
    "Wonderful cast, lovely music, a story that takes its time. " * 8,
)


def export(folder: str | Path, *, version: int | None = None, signatures: Sequence[str] | None = None) -> Path:
    """Writes a finished run as a SavedModel that TensorFlow Serving loads.

    All signatures but ``classify`` answer with `logits` and `probabilities` float32 `[batch, labels]`, `confidence`
    float32, `label_id` int32 and `label` string `[batch]`:

    - ``token_ids``, the default: `input_ids` and `attention_mask`, int32 `[batch, length]`.
    - ``text``: `text` string `[batch]` (and `text_pair`), tokenized in the graph exactly as in training. ``tokenize``
      shows the ids. Left out, with the reason in the log, where the tokenizer is not proven exact.
    - ``classify``: `inputs` string `[batch]` of serialized `tf.Example` -> `classes`, `scores` `[batch, labels]`.

    Args:
        folder: Model folder, `saved_models/<name>`; becomes the server's base path.
        version: Version number; the next free one by default.
        signatures: Some of ``token_ids``, ``text``, ``classify``; by default all that the tokenizer allows.

    Returns:
        The version folder.

    Raises:
        RunError: The folder holds no finished run.
        ExportError: The version exists, a signature is unknown or not possible, or the SavedModel does not answer as
            the model does.
    """
    run = ModelFolder(Path(folder))
    run.require_complete()
    number = _choose_version(run, version)

    from tf_finetune.model.trained import load_run
    from tf_finetune.serving.saved_model import save, verify

    loaded = load_run(run)
    chosen = _choose_signatures(loaded, signatures)
    with new_folder(run.path / str(number)) as staging:
        save(loaded, staging, signatures=chosen)
        verification = verify(loaded, staging, PROBES, tolerance=TOLERANCE)
        extra = staging / "assets.extra"
        extra.mkdir(exist_ok=True)
        metadata = _metadata(loaded, number, chosen) | dataclasses.asdict(verification)
        write_text(extra / "export.json", json.dumps(metadata, indent=2, ensure_ascii=False))
    logger.info(
        "exported %s (%s); equal ids for %d texts, largest difference of a logit %.1e",
        run.path / str(number),
        ", ".join(chosen),
        verification.texts_tokenized,
        verification.largest_difference,
    )
    return run.path / str(number)


def _choose_signatures(loaded: Any, signatures: Sequence[str] | None) -> tuple[str, ...]:
    from tf_finetune.serving.saved_model import SIGNATURES, usable_signatures

    usable, reason = usable_signatures(loaded)
    if signatures is None:
        if reason:
            logger.warning("no text signature: %s; clients have to send token ids", reason)
        return usable
    unknown = [name for name in signatures if name not in SIGNATURES]
    if unknown or not signatures:
        raise ExportError(
            f"--signatures takes some of {', '.join(SIGNATURES)}. Received: {', '.join(unknown) or 'none'}."
        )
    impossible = [name for name in signatures if name not in usable]
    if impossible:
        raise ExportError(f"The signature {impossible[0]} is not possible: {reason}. Export token_ids alone.")
    return tuple(name for name in SIGNATURES if name in signatures)


def _choose_version(run: ModelFolder, version: int | None) -> int:
    taken = run.versions()
    if version is None:
        return max(taken, default=0) + 1
    if version < 1:
        raise ExportError(f"--version must be a positive integer. Received: {version}.")
    if version in taken:
        raise ExportError(f"{run.path / str(version)} exists already; the next free version is {max(taken) + 1}.")
    return version


def _metadata(loaded: Any, version: int, signatures: Sequence[str]) -> dict[str, Any]:
    return {
        "version": version,
        "run_id": loaded.manifest.run_id,
        "label_names": list(loaded.manifest.label_names),
        "max_length": loaded.manifest.max_length,
        "truncate": loaded.manifest.truncate,
        "pairs": loaded.manifest.pairs,
        "signatures": list(signatures),
    }
