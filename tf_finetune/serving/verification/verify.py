"""`verify`: an export proven: loaded as a server does, compared with what was recorded and with its run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tf_finetune.errors import ConfigError
from tf_finetune.run import ModelFolder
from tf_finetune.serving.exported import TOLERANCE, ExportFolder, find_export
from tf_finetune.serving.verification import with_c_api, with_python, with_run
from tf_finetune.serving.verification.files import look_at_files, look_at_ops, look_at_run, look_at_warmup
from tf_finetune.serving.verification.fresh_process import run_fresh
from tf_finetune.serving.verification.report import Check, VerifyReport, attempt

__all__ = ["TIMEOUT", "verify"]

TIMEOUT = 900.0
"""Seconds for each process; loading takes ten."""


def verify(
    path: str | Path,
    *,
    tolerance: float = TOLERANCE,
    against_run: bool = True,
    c_api: bool = True,
    timeout: float = TIMEOUT,
    on_check: Callable[[Check], None] | None = None,
) -> VerifyReport:
    """Loads an export in fresh processes and compares it with the recorded answers.

    The checks: its files; the run beside it, if there is one; all signatures through TensorFlow alone, and through
    TensorFlow's C API, which server and other languages use; the recorded answers against the run's Keras model; the
    warm-up requests; the ops, and which releases of TensorFlow Serving have them. If the files are damaged, no more is
    looked at.

    Args:
        path: A version folder, or a model folder, whose newest version is taken.
        tolerance: Largest difference of a logit, and of a probability.
        against_run: Whether to compare with the run in the model folder.
        c_api: Whether to load it through the C API; Linux and macOS only.
        timeout: Seconds for each of the processes.
        on_check: Is told each check as it is made.

    Raises:
        ExportError: There is no export.
        ConfigError: The tolerance is no positive number.
    """
    if not 0 < tolerance < math.inf:
        raise ConfigError(f"--tolerance must be a positive number. Received: {tolerance}.")
    exported = ExportFolder(find_export(path).path.absolute())  # its parent is the model folder, also of "."
    checks = []
    for check in _checks(exported, tolerance, against_run, c_api, timeout):
        checks.append(check)
        if on_check is not None:
            on_check(check)
    return VerifyReport(path=exported.path, tolerance=tolerance, checks=tuple(checks))


def _checks(
    exported: ExportFolder, tolerance: float, against_run: bool, c_api: bool, timeout: float
) -> Iterator[Check]:
    files = attempt("files", lambda: look_at_files(exported))
    yield files
    if not files.ok:
        return
    fresh = partial(run_fresh, folder=exported.path, tolerance=tolerance, timeout=timeout)
    yield from fresh("python", with_python.__name__)
    yield attempt("warm-up", lambda: look_at_warmup(exported))
    if c_api:
        yield from fresh("C API", with_c_api.__name__)
    if against_run:
        yield from _against_run(exported, fresh)
    yield attempt("ops", lambda: look_at_ops(exported))


def _against_run(exported: ExportFolder, fresh: Callable[..., list[Check]]) -> Iterator[Check]:
    if not ModelFolder(exported.path.parent).run.is_dir():
        yield Check("run", True, "there is none beside the export, which is compared with the recorded answers alone")
        return
    run = attempt("run", lambda: look_at_run(exported))
    yield run
    if run.ok:
        yield from fresh("run, Keras", with_run.__name__)
