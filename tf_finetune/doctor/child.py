"""A function in a Python process of its own, which reports line by line: what it said before a crash is known."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from tf_finetune.doctor.installation import Installation

__all__ = ["Answer", "Report", "answer_into", "ask", "first_line"]

CODE = (
    "import os, sys; sys.path[:] = sys.argv[1].split(os.pathsep); "
    f"from {__name__} import answer_into; answer_into(*sys.argv[2:])"
)
"""Finds modules where the installation has them, whatever lies in the current folder."""

LAST_WORDS = 400
"""Bytes of a failed process's talk that are shown."""


class Report(Protocol):
    """What the function in the process is given to report with: keywords of plain JSON types."""

    def __call__(self, **values: Any) -> None:
        """Reports one line."""


@dataclass(frozen=True)
class Answer:
    """What a process reported.

    Attributes:
        lines: Its reports.
        fault: The error, or how the process ended before its time; None if all went well.
    """

    lines: tuple[Mapping[str, Any], ...]
    fault: str | None

    @property
    def facts(self) -> dict[str, Any]:
        """All reports as one; later values win."""
        return {key: value for line in self.lines for key, value in line.items()}


def ask(installation: Installation, module: str, *words: str, timeout: float) -> Answer:
    """Calls a module's `answer(report, *words)` in a process of its own.

    Args:
        installation: Module path and environment variables of the process.
        module: Name of the module.
        words: Further arguments.
        timeout: Seconds that it may take; then it and what it started are ended.
    """
    with tempfile.TemporaryDirectory(prefix="tf_finetune-") as scratch, tempfile.TemporaryFile() as talk:
        lines = Path(scratch) / "lines.jsonl"
        lines.touch()
        command = [sys.executable, "-c", CODE, os.pathsep.join(installation.path), module, str(lines), *words]
        process = subprocess.Popen(
            command,
            env=dict(installation.environment),
            stdin=subprocess.DEVNULL,
            stdout=talk,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout)
            fault = None if code == 0 else f"the process ended with {_ending(code)}{_last_words(talk)}"
        except subprocess.TimeoutExpired:
            fault = f"the process did not end within {timeout:g} seconds{_last_words(talk)}"
        finally:
            _end(process)
        reported = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    errors = [line["error"] for line in reported if set(line) == {"error"}]
    return Answer(tuple(line for line in reported if set(line) != {"error"}), errors[0] if errors else fault)


def answer_into(module: str, path: str, *words: str) -> None:
    """What the process does: calls the function, and appends its reports to a file at once."""
    with open(path, "a", encoding="utf-8") as file:

        def report(**values: Any) -> None:
            file.write(json.dumps(values) + "\n")
            file.flush()

        try:
            importlib.import_module(module).answer(report, *words)
        except Exception as error:
            report(error=first_line(error))


def first_line(error: BaseException) -> str:
    """An error's type and the first line of what it says, without a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ": ".join([type(error).__name__, *lines[:1]])[:LAST_WORDS].rstrip(".")


def _ending(code: int) -> str:
    try:
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    except ValueError:  # a signal without a name
        return f"signal {-code}"


def _last_words(talk: BinaryIO) -> str:
    size = talk.seek(0, os.SEEK_END)
    talk.seek(max(0, size - LAST_WORDS))
    words = " ".join(talk.read().decode("utf-8", "replace").split())
    return f"; the last it said: {words}" if words else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that still runs, and all that it started."""
    if process.poll() is not None:
        return
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
