"""`smoke`: does a running model server answer as the run did that it comes from? Over REST or gRPC."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_finetune.errors import ConfigError, ServingError
from tf_finetune.run import ModelFolder
from tf_finetune.serving.clients.addresses import ModelPath
from tf_finetune.serving.clients.rest import RestServer
from tf_finetune.serving.clients.rest_call import rest_classify, rest_columns, rest_rows
from tf_finetune.serving.comparison import Call, compare
from tf_finetune.serving.exported import TOLERANCE, Answer, ExportFolder, ExportInfo
from tf_finetune.serving.verification.files import read_recorded
from tf_finetune.serving.verification.report import Check, CheckReport, attempt

if TYPE_CHECKING:
    from tf_finetune.serving.clients.grpc_call import GrpcServer

__all__ = ["SmokeReport", "smoke"]

logger = logging.getLogger(__name__)

ROOT = Path("saved_models")
BATCH = 32
"""Rows a request; below the usual limits of servers."""


@dataclass(frozen=True, kw_only=True)
class SmokeReport(CheckReport):
    """What a server answered, compared with what was recorded: one check a signature and format.

    Attributes:
        url: The server.
        export: The version folder with the recorded answers.
    """

    url: str
    export: Path

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON takes it."""
        return {"url": self.url, "export": str(self.export), **super().to_dict()}


@dataclass(frozen=True)
class _Plan:
    """One check: what it is called, how the signature is called, with which inputs, and whether rows may be padded."""

    name: str
    call: Call
    columns: Collection[str]
    padded: bool


Connection = tuple[int, Callable[[ExportInfo], Iterator[_Plan]]]
"""The version that a server serves, and the checks of an export."""


def smoke(
    url: str,
    model: str,
    *,
    export: str | Path | None = None,
    version: int | None = None,
    label: str | None = None,
    grpc: bool = False,
    tolerance: float = TOLERANCE,
    timeout: float = 30.0,
    on_check: Callable[[Check], object] = lambda check: None,
) -> SmokeReport:
    """Sends the recorded texts of an export to a server, and compares labels, probabilities and logits.

    Args:
        url: REST URL, ``http://host:8501``; with `grpc`, ``host:8500``.
        model: The model's name.
        export: Model folder, whose version is the one that the server says it serves; or a version folder. Default:
            ``saved_models/<model>``.
        version: Version to ask for. Default: the server's.
        label: Version label to ask for, instead of a version.
        grpc: Whether to speak gRPC instead of REST.
        tolerance: Largest difference of a logit.
        timeout: Seconds for an answer.
        on_check: Told of each check as it is made.

    Raises:
        ConfigError: The URL or an option is wrong.
        DependencyError: gRPC is asked for, and tensorflow-serving-api is not installed.
        ExportError: The export cannot be read.
        ServingError: The server cannot be reached, or serves a version of which there is no export.
    """
    if not 0 < tolerance < math.inf:
        raise ConfigError(f"--tolerance must be a positive number. Received: {tolerance}.")
    path = ModelPath(model, version=version, label=label)
    connection = _over_grpc(url, path, timeout) if grpc else _over_rest(url, path, timeout)
    with connection as (served, plans):
        folder = _find_export(ModelFolder(Path(export or ROOT / model)).path, served)
        info, answers = read_recorded(folder)
        logger.info("version %d of %s, compared with %s", served, model, folder.path)
        checks = []
        for plan in plans(info):
            checks.append(_check(plan, info, answers, tolerance))
            on_check(checks[-1])
    return SmokeReport(url=url, export=folder.path, tolerance=tolerance, checks=tuple(checks))


@contextlib.contextmanager
def _over_rest(url: str, path: ModelPath, timeout: float) -> Iterator[Connection]:
    with RestServer(url, timeout=timeout) as server:
        spec = server.get(path.metadata).get("model_spec")
        try:
            served = int(spec["version"])  # type: ignore[index]
        except (TypeError, KeyError, ValueError) as error:
            raise ServingError(f"{server.url} does not tell which version it serves: {str(spec)[:200]}") from error
        yield served, partial(_rest_plans, server, path)


def _rest_plans(server: RestServer, path: ModelPath, info: ExportInfo) -> Iterator[_Plan]:
    for name, columns in _signatures(info):
        if name == "classify":
            yield _Plan(":classify", rest_classify(server, path), _texts(info), padded=True)
            continue
        signature = None if name == "serving_default" else name
        yield _Plan(f"{name}, row format", rest_rows(server, path, signature), columns, padded=False)
        yield _Plan(f"{name}, column format", rest_columns(server, path, signature), columns, padded=True)


@contextlib.contextmanager
def _over_grpc(target: str, path: ModelPath, timeout: float) -> Iterator[Connection]:
    from tf_finetune.serving.clients.grpc_call import GrpcServer

    with GrpcServer(target, path.model, version=path.version, label=path.label, timeout=timeout) as server:
        yield server.served_version(), partial(_grpc_plans, server)


def _grpc_plans(server: GrpcServer, info: ExportInfo) -> Iterator[_Plan]:
    for name, columns in _signatures(info):
        if name == "classify":
            yield _Plan("Classify", server.classify, columns, padded=True)
            continue
        call = server.predict(None if name == "serving_default" else name)
        yield _Plan(f"{name}, Predict", call, columns, padded=True)


def _find_export(path: Path, served: int) -> ExportFolder:
    """A version folder itself; else the version `served` of a model folder."""
    if (path / "saved_model.pb").is_file():
        return ExportFolder(path)
    numbers = ModelFolder(path).versions()
    if not numbers:
        raise ServingError(f"{path} holds no export to compare with. Name it: --export saved_models/NAME")
    if served not in numbers:
        raise ServingError(
            f"The server serves version {served}; {path} has {', '.join(map(str, numbers))}. Name the folder of the "
            "export that is served: --export saved_models/NAME/N"
        )
    return ExportFolder(path / str(served))


def _signatures(info: ExportInfo) -> list[tuple[str, Collection[str]]]:
    """The signatures of an export, the default first, and the inputs of each.

    Raises:
        ServingError: It has none, or one that we do not know.
    """
    columns: dict[str, Collection[str]] = {
        "text": _texts(info),
        "tokenize": _texts(info),
        "token_ids": tuple(info.padding),
        "classify": ("inputs",),
    }
    if not info.signatures or not set(info.signatures) <= set(columns):
        raise ServingError(
            f"The export has the signatures {', '.join(info.signatures) or 'none'}; known are {', '.join(columns)}."
        )
    names = list(dict.fromkeys([*info.signatures, *(["tokenize"] if "text" in info.signatures else [])]))
    return [("serving_default", columns[names[0]]), *((name, columns[name]) for name in names)]


def _texts(info: ExportInfo) -> tuple[str, ...]:
    return ("text", "text_pair") if info.pairs else ("text",)


def _check(plan: _Plan, info: ExportInfo, answers: Sequence[Answer], tolerance: float) -> Check:
    """All recorded answers through one signature in one format."""
    padded = plan.padded and info.padding_difference <= tolerance

    def look() -> tuple[str, Mapping[str, Any]]:
        largest = max(
            compare(plan.call, plan.columns, batch, info, tolerance=tolerance) for batch in _batches(answers, padded)
        )
        message = f"{len(answers)} texts, largest difference {largest:.1g}"
        return message, {"texts": len(answers), "largest_difference": largest}

    return attempt(plan.name, look)


def _batches(answers: Sequence[Answer], padded: bool) -> Iterator[list[Answer]]:
    """Answers in batches: of any lengths, or each of one length, so that nothing is padded."""

    def length(answer: Answer) -> int:
        return len(answer.token_ids["input_ids"])

    groups = [list(answers)] if padded else [list(group) for _, group in groupby(sorted(answers, key=length), length)]
    for group in groups:
        for start in range(0, len(group), BATCH):
            yield group[start : start + BATCH]
