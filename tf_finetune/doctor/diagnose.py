"""`diagnose`: all checks, from the machine to a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tf_finetune.doctor.finding import FAIL, WARN, Finding
from tf_finetune.doctor.folders import check_folders, temporary_folder
from tf_finetune.doctor.hub import ask_hub, check_hub, check_model, find_model
from tf_finetune.doctor.imports import DOOR, Imported, try_imports
from tf_finetune.doctor.installation import Installation
from tf_finetune.doctor.machine import check_cpu, check_gpus, check_memory, check_python
from tf_finetune.doctor.packages import PACKAGES, STACK, check_package, check_requirements
from tf_finetune.doctor.stack import check_builds, check_keras, check_switches, check_tensorflow_text, check_torch
from tf_finetune.doctor.trial import run_trial

__all__ = ["diagnose"]


def diagnose(
    installation: Installation | None = None,
    *,
    quick: bool = False,
    on_finding: Callable[[Finding], None] | None = None,
) -> list[Finding]:
    """Looks at all that breaks in practice, and tries a training.

    Nothing of what is looked at is imported by this process: modules are tried in others, whose crashes are findings.

    Args:
        installation: Python's module path and environment variables; those of this process by default.
        quick: Whether to leave the trial out.
        on_finding: Is told each finding as it is made.

    Returns:
        The findings, good ones too.
    """
    findings = []
    for finding in _findings(installation or Installation(), quick=quick):
        findings.append(finding)
        if on_finding is not None:
            on_finding(finding)
    return findings


def _findings(installation: Installation, *, quick: bool) -> Iterator[Finding]:
    yield from (check_python(), check_cpu(), check_memory())
    yield from check_folders(installation.environment)
    if temporary_folder() is None:  # the processes that try the packages report through one
        message = "Left out until there is a folder for temporary files, with all that comes after them."
        yield Finding("packages", WARN, message, "tf-finetune doctor")
        return
    failed = 0
    door = Imported()
    for finding, outcome in _software(installation):
        door = outcome or door
        failed += finding.status == FAIL
        yield finding
    yield check_gpus(installation, door.facts.get("gpus"))
    hub, model = ask_hub(installation), find_model(installation)
    yield check_hub(installation, hub, model)
    yield check_model(installation, model, hub)
    if quick:
        return
    if failed:
        message = f"Left out until the packages work: {failed} checks of them failed."
        yield Finding("trial", WARN, message, "tf-finetune doctor")
        return
    yield run_trial(installation)


def _software(installation: Installation) -> Iterator[tuple[Finding, Imported | None]]:
    """Packages and how they are bound to each other; with the last of them, what came of importing them together."""
    modules = [package.module for package in PACKAGES]
    modules.insert(next(i for i, package in enumerate(PACKAGES) if package.requirement in STACK), DOOR)
    outcomes = try_imports(installation, modules)
    door, bad = outcomes[DOOR], False
    for package in PACKAGES:
        finding = check_package(package, installation, outcomes[package.module])
        bad |= finding.status == FAIL and package.requirement in STACK
        yield finding, None
    yield from ((finding, None) for finding in check_requirements(installation))
    yield from ((finding, None) for finding in check_builds(installation))
    for finding in check_switches(installation.environment):
        bad |= finding.status == FAIL
        yield finding, None
    if door.preloaded or not bad:  # else it fails for what was told
        yield check_keras(installation, door), None
    yield check_tensorflow_text(installation), None
    yield check_torch(installation, door), door
