"""`launch`: several workers of one cluster on this machine, watched over until all of them have ended."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import IO, TextIO

from tf_finetune.errors import RunError
from tf_finetune.training.machine import usable_cores
from tf_finetune.training.stopping import SIGNALS, TEMPORARY_FAILURE

__all__ = ["launch"]

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
GRACE_SECONDS = 20.0
"""What the other workers have to end in by themselves when one has failed: they notice it within ten seconds."""
POLL_SECONDS = 0.1


def launch(arguments: Sequence[str], *, workers: int, talk: TextIO | None = None) -> int:
    """Runs ``tf-finetune`` in several processes that train one model together.

    Each gets a ``TF_CONFIG`` with a free port of the loopback interface, and its share of the processor cores. The
    first one, the chief, writes the results to standard output. When one fails, the others are stopped. SIGINT and
    SIGTERM are passed on to all.

    Args:
        arguments: The command line behind ``tf-finetune``.
        workers: How many, at least 2.
        talk: Where the workers' standard error goes, a line each, with the worker's number before; nowhere by default.

    Returns:
        The exit code: 0 if all ended well; else that of the first that failed, or 75 if a signal ended it, since what
        was trained can be gone on with.

    Raises:
        RunError: There are fewer processor cores than workers.
    """
    cores = usable_cores()
    if workers > len(cores):
        raise RunError(f"--workers {workers}: each needs a processor core, and there are {len(cores)}.")
    addresses = _free_addresses(workers)
    processes: list[subprocess.Popen[str]] = []
    with _forwarded(processes):
        try:
            for index in range(workers):
                share = cores[index * len(cores) // workers : (index + 1) * len(cores) // workers]
                processes.append(_start(arguments, addresses, index, share, talk))
            return _watch(processes)
        finally:
            _stop(processes, grace=0.0)


def _free_addresses(count: int) -> list[str]:
    """Free ports, held all together so that they differ, and given back for the workers."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for opened in sockets:
            opened.bind((HOST, 0))
        return [f"{HOST}:{opened.getsockname()[1]}" for opened in sockets]


def _start(
    arguments: Sequence[str], addresses: list[str], index: int, cores: list[int], talk: TextIO | None
) -> subprocess.Popen[str]:
    task = {"type": "worker", "index": index}
    environment = {**os.environ, "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task})}
    process = subprocess.Popen(
        [sys.executable, "-m", "tf_finetune", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=None if index == 0 else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C on the terminal comes to us alone, and is passed on once
    )
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, cores)
    if process.stderr is not None:
        threading.Thread(target=_copy, args=(process.stderr, talk, f"[worker {index}] "), daemon=True).start()
    return process


def _copy(source: IO[str], target: TextIO | None, prefix: str) -> None:
    for line in source:
        if target is not None and line.strip():
            target.write(prefix + line.rstrip("\n") + "\n")
            target.flush()


def _watch(processes: list[subprocess.Popen[str]]) -> int:
    """Waits until all have ended, or one has failed."""
    while True:
        codes = [process.poll() for process in processes]
        failed = [index for index, code in enumerate(codes) if code]
        if failed:
            return _failure(processes, failed[0])
        if all(code == 0 for code in codes):
            return 0
        time.sleep(POLL_SECONDS)


def _failure(processes: list[subprocess.Popen[str]], index: int) -> int:
    """Stops the other workers when one has failed."""
    code = processes[index].returncode
    others = len(processes) - 1
    if code < 0:
        logger.warning("worker %d was ended by %s; %d others stop", index, signal.Signals(-code).name, others)
    _stop(processes, grace=GRACE_SECONDS)
    return TEMPORARY_FAILURE if code < 0 else code


def _stop(processes: list[subprocess.Popen[str]], *, grace: float) -> None:
    """Lets processes end by themselves for `grace` seconds, and ends those that are left."""
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and any(process.poll() is None for process in processes):
        time.sleep(POLL_SECONDS)
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _forwarded(processes: list[subprocess.Popen[str]]) -> Iterator[None]:
    """Passes SIGINT and SIGTERM on to the processes while the body runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def forward(number: int, frame: FrameType | None) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
