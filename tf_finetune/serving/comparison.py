"""What an export answers against what was recorded, whoever has loaded it: Python, the C API, a server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from tf_finetune.errors import ExportError
from tf_finetune.serving.decision import decide, limits
from tf_finetune.serving.exported import Answer, ExportInfo
from tf_finetune.serving.formats.wire import field

__all__ = ["Call", "compare", "request", "serialized_example"]

Call = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]
"""One signature: input name to int32 or texts `[batch, ...]`, to output name to an array, strings as bytes."""


def request(answers: Sequence[Answer], columns: Collection[str], info: ExportInfo) -> dict[str, np.ndarray]:
    """The recorded inputs as one batch.

    Args:
        answers: What was recorded.
        columns: Inputs of the signature: texts (`text`, `text_pair`), serialized `tf.Example`s (`inputs`) or token ids.
        info: Says how token ids are padded.

    Returns:
        Texts as bytes in an object array `[batch]`, token ids as int32 `[batch, length]`.
    """
    inputs: dict[str, np.ndarray] = {}
    for column in columns:
        if column in info.padding:
            inputs[column] = _pad([answer.token_ids[column] for answer in answers], info, column)
            continue
        values = {
            "text": [answer.text.encode() for answer in answers],
            "text_pair": [(answer.text_pair or "").encode() for answer in answers],
            "inputs": [serialized_example(answer.text, answer.text_pair) for answer in answers],
        }[column]
        inputs[column] = np.empty(len(values), object)
        inputs[column][:] = values
    return inputs


def compare(
    call: Call,
    columns: Collection[str],
    answers: Sequence[Answer],
    info: ExportInfo,
    *,
    tolerance: float,
) -> float:
    """Sends recorded inputs as one batch, and compares what comes back.

    Args:
        call: The signature.
        columns: Its inputs.
        answers: What was recorded.
        info: Says what the labels are, how token ids are padded, and how probabilities are calibrated.
        tolerance: Largest difference of a logit; of a probability as much, or, with a temperature below 1, as much as
            that makes of it.

    Returns:
        The largest difference.

    Raises:
        ExportError: Something is missing, has another shape, or differs; names the first text.
    """
    found = call(request(answers, columns, info))
    if set(found) == {"input_ids", "attention_mask"}:
        return _compare_ids(found, answers)
    shape = (len(answers), len(info.label_names))
    scores = "scores" in found
    logits = _take(found, "scores" if scores else "logits", shape)
    expected = np.array([answer.probabilities if scores else answer.logits for answer in answers], np.float32)
    slack = tolerance / min(1.0, info.temperature)  # of a probability
    allowed = slack if scores else tolerance
    differences = np.abs(logits - expected).max(axis=1)
    labels = _labels(found, info, shape)
    for answer, difference, label in zip(answers, differences, labels):
        if not difference <= allowed or label != answer.label:
            raise ExportError(
                f"{answer.text[:100]!r} gets {label!r} instead of {answer.label!r}; the largest difference of a "
                f"{'score' if scores else 'logit'} is {difference:.1e}, allowed are {allowed:.0e}."
            )
    if not scores:
        _compare_rest(found, answers, shape, slack)
        if info.thresholds:
            _compare_decisions(found, answers, info, slack)
    return float(differences.max())


def _labels(found: Mapping[str, np.ndarray], info: ExportInfo, shape: tuple[int, int]) -> list[str]:
    """The label of each row, by name."""
    if "classes" not in found:
        return [label.decode() for label in _take(found, "label", shape[:1])]
    classes = _take(found, "classes", shape)
    if any([name.decode() for name in row] != list(info.label_names) for row in classes):
        raise ExportError(f"The classes are not {list(info.label_names)} in every row.")
    return [row[i].decode() for row, i in zip(classes, found["scores"].argmax(axis=1))]


def _compare_rest(
    found: Mapping[str, np.ndarray], answers: Sequence[Answer], shape: tuple[int, int], tolerance: float
) -> None:
    """The outputs that follow from the logits."""
    probabilities = np.array([answer.probabilities for answer in answers], np.float32)
    wanted = {
        "probabilities": (probabilities, shape),
        "confidence": (probabilities.max(axis=1), shape[:1]),
        "label_id": (np.array([answer.label_id for answer in answers]), shape[:1]),
    }
    for name, (expected, dimensions) in wanted.items():
        if not np.abs(_take(found, name, dimensions) - expected).max() <= tolerance:
            raise ExportError(f"The output {name} differs from the recorded one by more than {tolerance:.0e}.")


def _compare_decisions(
    found: Mapping[str, np.ndarray], answers: Sequence[Answer], info: ExportInfo, tolerance: float
) -> None:
    """The output `decision`; of a probability that lies on the threshold, it may be either."""
    probabilities = np.array([answer.probabilities for answer in answers], np.float32).reshape(
        -1, len(info.label_names)
    )
    expected = decide(probabilities, info.label_names, info.thresholds)
    lowest = limits(info.thresholds)[probabilities.argmax(axis=1)]
    is_clear = np.abs(probabilities.max(axis=1) - lowest) > tolerance
    for answer, given, right, clear in zip(answers, _take(found, "decision", (len(answers),)), expected, is_clear):
        if clear and given.decode() != right:
            raise ExportError(f"{answer.text[:100]!r} gets the decision {given.decode()!r} instead of {right!r}.")


def _compare_ids(found: Mapping[str, np.ndarray], answers: Sequence[Answer]) -> float:
    """Token ids have to be equal."""
    for answer, ids, mask in zip(answers, found["input_ids"], found["attention_mask"], strict=True):
        row, expected = ids[mask == 1].tolist(), list(answer.token_ids["input_ids"])
        if row != expected:
            place = next((i for i, (a, b) in enumerate(zip(row, expected)) if a != b), min(len(row), len(expected)))
            raise ExportError(
                f"{answer.text[:100]!r} has other token ids, from token {place} on: {row[place : place + 6]} instead "
                f"of {expected[place : place + 6]}."
            )
    return 0.0


def _take(found: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    value = found.get(name)
    if value is None or value.shape != shape:
        came = f"no such output among {', '.join(found)}" if value is None else f"the shape {list(value.shape)}"
        raise ExportError(f"Expected the output {name} with the shape {list(shape)}. Received: {came}.")
    return value


def _pad(rows: Sequence[Sequence[int]], info: ExportInfo, column: str) -> np.ndarray:
    """Rows of one length, int32 `[batch, length]`."""
    length = max(map(len, rows), default=1)
    padded = np.full((len(rows), length), info.padding[column], np.int32)
    for target, row in zip(padded, rows):
        place = slice(length - len(row), length) if info.padding_side == "left" else slice(0, len(row))
        target[place] = row
    return padded


def serialized_example(text: str, text_pair: str | None) -> bytes:
    """A serialized `tf.Example` (tensorflow/core/example/{example,feature}.proto)."""
    texts = {"text": text} | ({} if text_pair is None else {"text_pair": text_pair})
    features = [field(1, name) + field(2, field(1, field(1, value))) for name, value in texts.items()]
    return field(1, b"".join(field(1, feature) for feature in features))
