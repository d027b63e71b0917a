"""Recorded answers: what the run's own Keras model says to some texts, for every later check to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_finetune.backend import tf
from tf_finetune.model.trained import LoadedRun
from tf_finetune.serving.exported import Answer
from tf_finetune.tokens.table import TokenTable

__all__ = ["choose_texts", "measure_padding", "record_answers"]

PROBES = (
    "Great.",
    "",
    "I wanted to like it, but after an hour of mumbling in the dark I gave up.",
    "Wonderful cast, lovely music, a story that takes its time. " * 8,
    "Café “Zoë” serves ½ portions … 5 € each, naïve as that is \U0001f600",
)
"""Texts that every export is compared on, besides the run's own."""

LONGEST = 10_000
"""Characters of the longest text that is kept in an export."""

Row = tuple[str, "str | None"]


def choose_texts(texts: Sequence[str], pairs: Sequence[str] | None, *, count: int) -> list[Row]:
    """The built-in probes, and `count` of the given texts, spread evenly from the shortest to the longest.

    Args:
        texts: Validation texts.
        pairs: Their second texts, or None.
        count: How many of them to keep.
    """
    seconds: Sequence[str | None] = [None] * len(texts) if pairs is None else pairs
    rows: list[Row] = list(zip(texts, seconds))
    probes: list[Row] = [(probe, None if pairs is None else other) for probe, other in zip(PROBES, PROBES[::-1])]
    short = sorted((row for row in rows if len(row[0]) + len(row[1] or "") <= LONGEST), key=lambda row: len(row[0]))
    places = np.unique(np.linspace(0, len(short) - 1, min(count, len(short))).round().astype(int))
    return probes + [short[place] for place in places]


def record_answers(loaded: LoadedRun, rows: Sequence[Row], *, columns: Sequence[str]) -> list[Answer]:
    """What the Keras model says to each row alone, tokenized by the run's own tokenizer.

    Args:
        loaded: The run.
        rows: Texts, with their second texts or None.
        columns: Inputs of the signature `token_ids`.
    """
    answers = []
    for text, pair in rows:
        inputs = _token_inputs(loaded, [(text, pair)])
        logits = _logits(loaded, inputs)[0]  # [labels]
        best = int(logits.argmax())
        answers.append(
            Answer(
                text=text,
                text_pair=pair,
                token_ids={name: inputs[name][0].tolist() for name in columns},
                logits=logits.tolist(),
                probabilities=tf.nn.softmax(logits / np.float32(loaded.manifest.temperature)).numpy().tolist(),
                label_id=best,
                label=loaded.manifest.label_names[best],
            )
        )
    return answers


def measure_padding(loaded: LoadedRun, answers: Sequence[Answer]) -> float:
    """Largest change of a logit when all texts are padded to one length, in the Keras model."""
    rows = [(answer.text, answer.text_pair) for answer in answers]
    together = _logits(loaded, _token_inputs(loaded, rows))
    return float(np.abs(together - np.array([answer.logits for answer in answers], np.float32)).max())


def _token_inputs(loaded: LoadedRun, rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """The model's inputs: int32 `[rows, length]` each."""
    pairs = [pair or "" for _, pair in rows] if loaded.manifest.pairs else None
    return TokenTable.of_texts(loaded.encoder, [text for text, _ in rows], pairs).inputs(multiple=1)


def _logits(loaded: LoadedRun, inputs: dict[str, Any]) -> np.ndarray:
    """Logits float32 `[rows, labels]`."""
    tensors = {name: tf.constant(inputs[name]) for name in loaded.spec}
    return np.asarray(loaded.model(tensors, training=False).logits.numpy(), np.float32)
