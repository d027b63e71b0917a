"""Writing a SavedModel, and reading it back to compare it with the run it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tf_finetune.backend import quiet_stderr, tf
from tf_finetune.errors import ExportError
from tf_finetune.model.architectures import longest_input
from tf_finetune.model.trained import LoadedRun
from tf_finetune.serving.graph_tokenizer import GraphTokenizer, why_not
from tf_finetune.serving.parity import check_parity
from tf_finetune.serving.signature import ServingModule
from tf_finetune.serving.stress import stress_texts
from tf_finetune.tokens.table import TokenTable

__all__ = ["SIGNATURES", "Verification", "save", "verify"]

SIGNATURES = ("token_ids", "text", "classify")
"""What a client may send; the first that an export has is its `serving_default`. ``text`` brings ``tokenize``."""

STRESS_EACH = 50
"""Texts of each category that every export is compared on: 600 and the edge cases, in about a second."""


@dataclass(frozen=True)
class Verification:
    """What an export was compared on.

    Attributes:
        texts_tokenized: Texts whose ids were equal; 0 without a text signature.
        largest_difference: Largest difference of a logit to the Keras model.
    """

    texts_tokenized: int
    largest_difference: float


def save(loaded: LoadedRun, folder: Path, *, signatures: Sequence[str]) -> None:
    """Writes the SavedModel of a run into an existing empty folder.

    Args:
        loaded: The run.
        folder: An empty folder.
        signatures: Some of `SIGNATURES`.

    Raises:
        ExportError: A signature takes texts, and the tokenizer cannot be put into the graph exactly.
    """
    takes_texts = bool({"text", "classify"} & set(signatures))
    module = ServingModule(
        loaded.model,
        label_names=loaded.manifest.label_names,
        spec=loaded.spec,
        template=loaded.encoder.template,
        longest=longest_input(loaded.model.config.to_dict()),
        tokenizer=GraphTokenizer(loaded.encoder) if takes_texts else None,
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
    with quiet_stderr():
        tf.saved_model.save(module, str(folder), signatures=functions)


def usable_signatures(loaded: LoadedRun) -> tuple[tuple[str, ...], str | None]:
    """The signatures that a run can have, and why not all, if so."""
    reason = why_not(loaded.encoder)
    return (SIGNATURES, None) if reason is None else (("token_ids",), reason)


def verify(loaded: LoadedRun, folder: Path, texts: Sequence[str], *, tolerance: float) -> Verification:
    """Compares every signature of a SavedModel with the run, on `texts` and on a stress set.

    Raises:
        ExportError: Ids differ, a logit differs by more than `tolerance`, or a label name is wrong.
    """
    with quiet_stderr():
        served = tf.saved_model.load(str(folder)).signatures
    tokenized = 0
    if "tokenize" in served:
        stress = [text for _, text in stress_texts(STRESS_EACH)]
        tokenized = check_parity(served["tokenize"], loaded.encoder, [*texts, *stress])
    batches = [[text] for text in texts] + [list(texts)]
    largest = max(_compare(loaded, served, batch, tolerance) for batch in batches)
    return Verification(tokenized, largest)


def _compare(loaded: LoadedRun, served: Any, texts: list[str], tolerance: float) -> float:
    """Largest difference of a logit over all signatures on one batch."""
    pairs = texts[::-1] if loaded.manifest.pairs else None
    inputs = _token_inputs(loaded, texts, pairs)
    expected = loaded.model({name: inputs[name] for name in loaded.spec}, training=False).logits.numpy()
    inputs |= {"text": tf.constant(texts)} | ({"text_pair": tf.constant(pairs)} if pairs else {})
    inputs["inputs"] = tf.constant(_examples(texts, pairs))
    labels = [loaded.manifest.label_names[i] for i in expected.argmax(axis=-1)]
    largest = 0.0
    for name in set(served) - {"tokenize"}:
        wanted = served[name].structured_input_signature[1]
        answer = {key: value.numpy() for key, value in served[name](**{key: inputs[key] for key in wanted}).items()}
        logits = answer.get("logits")
        if logits is None:  # classify has scores alone: compare them as probabilities
            difference = float(np.abs(answer["scores"] - tf.nn.softmax(expected).numpy()).max())
            found = [row[i].decode() for row, i in zip(answer["classes"], answer["scores"].argmax(axis=-1))]
        else:
            difference = float(np.abs(logits - expected).max())
            found = [label.decode() for label in answer["label"]]
        if not difference <= tolerance or found != labels:
            raise ExportError(
                f"The signature {name} of the SavedModel does not answer as the model does for {texts[0][:60]!r}: "
                f"{found[0]!r} instead of {labels[0]!r}, largest difference {difference:.1e}. Nothing was published."
            )
        largest = max(largest, difference)
    return largest


def _token_inputs(loaded: LoadedRun, texts: list[str], pairs: list[str] | None) -> dict[str, Any]:
    """The model's inputs for some texts: int32 `[batch, length]` each."""
    encoded = loaded.encoder.encode(texts, pairs)
    table = TokenTable.from_encoded(
        encoded, np.zeros(len(texts), np.int32), loaded.encoder.tokenizer, max_length=loaded.encoder.max_length
    )
    ids, mask, types = table.pad(np.arange(len(texts)))
    return {
        "input_ids": tf.constant(ids),
        "attention_mask": tf.constant(mask),
        "token_type_ids": tf.constant(types),
    }


def _examples(texts: list[str], pairs: list[str] | None) -> list[bytes]:
    """Serialized `tf.Example` of each text."""

    def feature(text: str) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))

    rows = [{"text": feature(text)} for text in texts]
    if pairs is not None:
        rows = [{**row, "text_pair": feature(pair)} for row, pair in zip(rows, pairs)]
    return [tf.train.Example(features=tf.train.Features(feature=row)).SerializeToString() for row in rows]
