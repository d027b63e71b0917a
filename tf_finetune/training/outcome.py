"""`Outcome`: what came out of a finished run, and what it follows from, as its files tell."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tf_finetune.errors import RunError
from tf_finetune.files import file_sha256, read_json
from tf_finetune.run import ModelFolder
from tf_finetune.training.comparison import by_name

__all__ = ["Outcome"]

CIRCUMSTANCES = ("gpus", "intra_op_threads", "deterministic")
"""What environment.json holds beside the identity that moves results."""


@dataclass(frozen=True)
class Outcome:
    """A finished run as plain values.

    Attributes:
        results: ``weights``, ``optimizer``, ``history`` and ``scores`` to a SHA-256; that of the optimizer is None in
            runs of an older format.
        values: Every value of the history, as text, and every score, by names such as ``epoch 2 val_loss``.
        identity: What the results follow from, from `describe_identity`, by names such as ``fit.seed``; empty in runs
            of an older format.
        circumstances: The identity, and what else moves results; empty where the identity is.
        model_source: Where the pretrained model was found, such as ``local folder``.
        forced: What was changed before the run was gone on with by force, a line each.
    """

    results: Mapping[str, str | None]
    values: Mapping[str, Any]
    identity: Mapping[str, Any]
    circumstances: Mapping[str, Any]
    model_source: str | None
    forced: tuple[str, ...]

    @classmethod
    def read(cls, folder: ModelFolder) -> Outcome:
        """Reads the files of a finished run.

        Raises:
            RunError: A file is missing or damaged.
        """
        manifest, environment, scores = map(read_json, (folder.complete, folder.environment, folder.metrics))
        history = _read_history(folder)
        identity = dict(by_name(_object(environment, "identity")))
        return cls(
            results={
                "weights": folder.read_manifest().weights_sha256,
                "optimizer": manifest.get("optimizer_sha256"),
                "history": hashlib.sha256(history.encode()).hexdigest(),
                "scores": file_sha256(folder.metrics),
            },
            values={**dict(_history_values(history)), **dict(by_name(scores))},
            identity=identity,
            circumstances={**identity, **{name: environment.get(name) for name in CIRCUMSTANCES}} if identity else {},
            model_source=_object(environment, "model").get("source"),
            forced=tuple(map(str, manifest.get("forced") or ())),
        )

    @property
    def not_recorded(self) -> tuple[str, ...]:
        """What runs of an older format lack, in words."""
        found = {"versions, machine, data, pretrained model": self.identity, "optimizer": self.results["optimizer"]}
        return tuple(words for words, value in found.items() if not value)


def _object(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def _read_history(folder: ModelFolder) -> str:
    """The text of the file, with the ends of lines that it has today in whatever format it was written."""
    try:
        return folder.history.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RunError(f"The run in {folder.path} is damaged ({folder.history.name}): {error}") from error


def _history_values(history: str) -> Iterator[tuple[str, str]]:
    names, *rows = csv.reader(history.splitlines()) if history else [[]]
    for number, row in enumerate(rows, start=1):
        for name, value in zip(names[1:], row[1:]):  # the first one is the epoch
            yield f"epoch {number} {name}", value
