"""The files of an export, read without TensorFlow: whole, in agreement with each other and with the run beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tf_finetune.errors import ExportError
from tf_finetune.run import ModelFolder
from tf_finetune.serving.exported import Answer, ExportFolder, ExportInfo
from tf_finetune.serving.formats.op_releases import ServingReleases, serving_releases
from tf_finetune.serving.formats.saved_model_file import read_saved_model
from tf_finetune.serving.verification.signatures import expected_signatures
from tf_finetune.serving.verification.warmup_file import read_warmup

__all__ = ["look_at_files", "look_at_ops", "look_at_run", "look_at_warmup", "read_recorded"]

Seen = tuple[str, Mapping[str, Any]]
"""A message and its details."""

WARMED = {"text", "token_ids"}
"""Signatures that an export brings warm-up requests for."""

INT32 = range(-(1 << 31), 1 << 31)
FLOAT32 = 3.4028234663852886e38  # the largest; what is no number is not below it


def look_at_files(exported: ExportFolder) -> Seen:
    """Are all files there, readable, and in agreement with each other?

    Raises:
        ExportError: They are not.
    """
    graph = read_saved_model(exported.saved_model)
    for name in ("variables.index", "variables.data-00000-of-00001"):
        if not (exported.path / "variables" / name).is_file():
            raise ExportError(f"There is no {exported.path / 'variables' / name}: the weights are missing.")
    info, answers = read_recorded(exported)
    missing = expected_signatures(info) ^ set(graph.signatures)
    if missing:
        raise ExportError(f"{exported.info} and the SavedModel do not have the same signatures: {sorted(missing)}.")
    message = (
        f"saved_model.pb, variables, {exported.info.name} and {len(answers)} recorded answers; signatures "
        f"{', '.join(sorted(graph.signatures))}"
    )
    return message, {"answers": len(answers), "signatures": sorted(graph.signatures), "tensorflow": graph.tensorflow}


def read_recorded(exported: ExportFolder) -> tuple[ExportInfo, list[Answer]]:
    """What was exported and the recorded answers, in agreement with each other.

    Raises:
        ExportError: They are missing or damaged, or there is no answer.
    """
    info, answers = exported.read_info(), exported.read_answers()
    if info.padding_side not in ("left", "right") or not all(value in INT32 for value in info.padding.values()):
        raise ExportError(f"{exported.info} is damaged: it pads {info.padding_side} with {dict(info.padding)!r:.200}.")
    if not answers:
        raise ExportError(f"{exported.answers} holds no answer: there is nothing to compare with.")
    for number, answer in enumerate(answers, start=1):
        fault = _fault(answer, info)
        if fault:
            raise ExportError(f"{exported.answers} is damaged: answer {number}: {fault}.")
    return info, answers


def _fault(answer: Answer, info: ExportInfo) -> str | None:
    """What is wrong with a recorded answer, if anything is."""
    for name, values in (("logits", answer.logits), ("probabilities", answer.probabilities)):
        if len(values) != len(info.label_names) or not all(abs(value) <= FLOAT32 for value in values):
            return f"{name} is {list(values)!r:.100}, expected {len(info.label_names)} numbers"
    if not 0 <= answer.label_id < len(info.label_names) or info.label_names[answer.label_id] != answer.label:
        return f"label {answer.label!r} is not number {answer.label_id} of {', '.join(info.label_names)}"
    if (answer.text_pair is not None) != info.pairs:
        return "text_pair does not fit a model " + ("of pairs" if info.pairs else "of single texts")
    if any("\ud800" <= sign <= "\udfff" for sign in answer.text + (answer.text_pair or "")):
        return "its text holds half a character"
    rows = answer.token_ids.values()
    if set(answer.token_ids) != set(info.padding):
        return f"token_ids has {', '.join(answer.token_ids)}, expected {', '.join(info.padding)}"
    if len({len(row) for row in rows}) != 1 or not all(i in INT32 for row in rows for i in row):
        return "token_ids are no int32 values of one length"
    return None


def look_at_run(exported: ExportFolder) -> Seen:
    """Is it an export of the run beside it?

    Raises:
        ExportError: It is of another run, or disagrees with the run.
    """
    run, info = ModelFolder(exported.path.parent), exported.read_info()
    manifest = run.read_manifest()
    if manifest.run_id != info.run_id:
        raise ExportError(
            f"The run in {run.path} was replaced: it has the id {manifest.run_id}, the export is of {info.run_id}. "
            "Export it again, or leave the run out: --no-against-run."
        )
    for name in ("weights_sha256", "label_names", "pairs", "truncate"):
        ours, theirs = getattr(info, name), getattr(manifest, name)
        if ours != theirs:
            raise ExportError(f"{exported.info} has {name} {ours!r}, the run has {theirs!r}.")
    if (info.temperature, info.thresholds) != (manifest.temperature, manifest.thresholds):
        raise ExportError(
            f"The export has another calibration than the run: temperature {info.temperature:.4g} and thresholds "
            f"{list(info.thresholds)!r:.100}, the run has {manifest.temperature:.4g} and "
            f"{list(manifest.thresholds)!r:.100}. Export it again, or leave the run out: --no-against-run."
        )
    return f"the export is of this run, {info.run_id}, with the same weights and labels", {"run_id": info.run_id}


def look_at_warmup(exported: ExportFolder) -> Seen:
    """Can TensorFlow Serving read the warm-up file?

    Raises:
        ExportError: It cannot.
    """
    requests = read_warmup(exported.warmup)
    signatures = sorted({signature for signature, _ in requests})
    if not requests and WARMED & set(exported.read_info().signatures):
        raise ExportError(f"{exported.warmup} has no request.")
    message = f"{len(requests)} requests are readable, of {', '.join(signatures) or 'no signature'}"
    return message, {"requests": len(requests), "signatures": signatures}


def look_at_ops(exported: ExportFolder) -> Seen:
    """Which releases of TensorFlow Serving register all ops of the graph?

    Raises:
        ExportError: None does.
    """
    ops = read_saved_model(exported.saved_model).ops
    found = serving_releases(ops)
    if found.unknown:
        raise ExportError(f"No release of TensorFlow registers {', '.join(found.unknown)}: a custom op.")
    if found.oldest is None:
        raise ExportError("No single release of TensorFlow registers all ops of the graph.")
    details = {
        "ops": sorted(ops),
        "oldest_serving": found.oldest,
        "newest_serving": found.newest,
        "ignored_attributes": list(found.ignored),
    }
    return f"{len(ops)} op types; {_releases(found)}", details


def _releases(found: ServingReleases) -> str:
    until = "or newer" if found.is_last else f"to {found.newest}"
    words = f"registered by TensorFlow Serving {found.oldest} {until}"
    if found.needed_for:
        words += f" (older ones lack {', '.join(found.needed_for)})"
    if found.ignored:
        since = f"known from {found.knows_all} on" if found.knows_all else "known by no release"
        words += f"; {found.oldest} ignores the attributes {', '.join(found.ignored)}, {since}"
    return words
