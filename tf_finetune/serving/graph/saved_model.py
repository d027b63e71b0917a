"""Writing a run as a SavedModel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf_finetune.backend import quiet_stderr, tf
from tf_finetune.errors import ExportError
from tf_finetune.model.architectures import longest_input
from tf_finetune.model.trained import LoadedRun
from tf_finetune.serving.exported import SIGNATURES
from tf_finetune.serving.graph.graph_tokenizer import GraphTokenizer, why_not
from tf_finetune.serving.graph.signature import ServingModule

__all__ = ["save", "usable_signatures"]


def save(loaded: LoadedRun, folder: Path, *, signatures: Sequence[str], unpadded: bool = True) -> tuple[str, ...]:
    """Writes the SavedModel of a run into an existing empty folder.

    Args:
        loaded: The run.
        folder: An empty folder.
        signatures: Some of `SIGNATURES`.
        unpadded: Whether the unpadded encoder may be used; see `forward_of_all_sizes`.

    Returns:
        Names of the inputs that the signature ``token_ids`` takes, or would take.

    Raises:
        ExportError: A signature takes texts, and the tokenizer cannot be put into the graph exactly; or the folder
            cannot be written.
    """
    takes_texts = bool({"text", "classify"} & set(signatures))
    module = ServingModule(
        loaded.model,
        label_names=loaded.manifest.label_names,
        spec=loaded.spec,
        template=loaded.encoder.template,
        longest=longest_input(loaded.model.config.to_dict()),
        tokenizer=GraphTokenizer(loaded.encoder) if takes_texts else None,
        unpadded=unpadded,
        temperature=loaded.manifest.temperature,
        thresholds=loaded.manifest.thresholds,
    )
    functions: dict[str, Any] = {}
    if "token_ids" in signatures:
        functions["token_ids"] = module.token_ids_function()
    if "text" in signatures:
        functions["text"] = module.text_function()
        functions["tokenize"] = module.tokenize_function()
    if "classify" in signatures:
        functions["classify"] = module.classify_function()
    functions["serving_default"] = functions[next(name for name in SIGNATURES if name in functions)]
    try:
        with quiet_stderr():
            tf.saved_model.save(module, str(folder), signatures=functions)
    except tf.errors.OpError as error:  # a full disk
        raise ExportError(f"TensorFlow cannot write the SavedModel: {error.message}. Nothing was published.") from error
    return tuple(module.token_ids_spec())


def usable_signatures(loaded: LoadedRun) -> tuple[tuple[str, ...], str | None]:
    """The signatures that a run can have, and why not all, if so."""
    reason = why_not(loaded.encoder)
    return (SIGNATURES, None) if reason is None else (("token_ids",), reason)
