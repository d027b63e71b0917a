"""`supervise`: a chief and several workers of keras-tuner's on this machine, watched over until the search is done."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tf_finetune.errors import TrainingStopped, TuningError
from tf_finetune.files import read_json
from tf_finetune.training.machine import usable_cores
from tf_finetune.training.stopping import TEMPORARY_FAILURE, StopRequest
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.ledger import TrialLedger
from tf_finetune.tuning.worker_process import CHIEF_GONE

__all__ = ["supervise"]

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
CHIEF = "chief"
POLL_SECONDS = 0.1
GRACE_SECONDS = 150.0
"""What workers have to stop in: a trial has to be saved."""
RESTARTS = 5
"""So often a process is started again while no trial has ended meanwhile; then the search ends."""


@dataclass
class Member:
    """A chief or a worker.

    Attributes:
        name: Its name, which stays when it is started again: a worker gets its trial back by it.
        cores: Processor cores that it may use; all if empty.
        process: Its process.
        restarts: How often it was started again since the last trial ended.
    """

    name: str
    cores: Sequence[int]
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0


@dataclass
class Team:
    """All processes of a search on this machine."""

    folder: TuneFolder
    stop: StopRequest
    lock: int | None
    command: Sequence[str]
    address: tuple[str, int]
    chief: Member
    workers: list[Member]
    ended: int = field(default=0)

    @property
    def members(self) -> list[Member]:
        """The chief and the workers."""
        return [self.chief, *self.workers]

    def start(self, member: Member) -> None:
        """Starts a process, or starts it again."""
        environment = {
            **os.environ,
            "KERASTUNER_TUNER_ID": member.name,
            "KERASTUNER_ORACLE_IP": self.address[0],
            "KERASTUNER_ORACLE_PORT": str(self.address[1]),
            "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        }
        lock = -1 if self.lock is None else self.lock
        words = [str(self.folder.model.path), str(lock), json.dumps(list(self.command))]
        with open(self.folder.path / f"{member.name}.log", "ab") as log:
            member.process = subprocess.Popen(
                [sys.executable, "-m", "tf_finetune.tuning.worker_process", *words],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=() if self.lock is None else (self.lock,),
                start_new_session=True,
            )
        if member.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(member.process.pid, member.cores)

    def look(self) -> bool:
        """Whether the chief or all workers are done; starts those again that were killed.

        Raises:
            TuningError: No trial can be trained, or a process is killed again and again.
        """
        ended = sum(event["event"] == "end" for event in TrialLedger(self.folder.ledger).events())
        if ended > self.ended:
            self.ended = ended
            for member in self.members:
                member.restarts = 0
        for member in self.members:
            code = None if member.process is None else member.process.poll()
            if code is not None and code != 0:
                self._mend(member, code)
        codes = [None if member.process is None else member.process.poll() for member in self.members]
        return codes[0] == 0 or codes[1:] == [0] * len(self.workers)

    def _mend(self, member: Member, code: int) -> None:
        if self.folder.fatal.is_file():
            raise TuningError(str(read_json(self.folder.fatal).get("message")))
        log = self.folder.path / f"{member.name}.log"
        if code > 0 and code not in (CHIEF_GONE, TEMPORARY_FAILURE):
            raise TuningError(f"The {member.name} of the search has failed with exit code {code}. See {log}.")
        member.restarts += 1
        if member.restarts > RESTARTS:
            raise TuningError(f"The {member.name} of the search was ended {RESTARTS} times, and no trial came of it.")
        how = f"by {signal.Signals(-code).name}" if code < 0 else "since the chief was gone"
        logger.warning("the %s was ended %s: it is started again", member.name, how)
        self.start(member)

    def end(self, *, grace: float) -> None:
        """Ends all processes: workers have `grace` seconds to save their trials in."""
        for worker in self.workers:
            if worker.process is not None and worker.process.poll() is None:
                worker.process.terminate()
        deadline = time.monotonic() + grace
        for member in (*self.workers, self.chief):
            if member.process is None:
                continue
            if member is self.chief:
                member.process.terminate()
            try:
                member.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                member.process.kill()
                member.process.wait()
            if member.process.stdin is not None:
                member.process.stdin.close()


def supervise(folder: TuneFolder, *, workers: int, stop: StopRequest, lock: int | None, command: Sequence[str]) -> None:
    """Has a search done by several workers, each with its share of the processor cores, on the loopback interface.

    A process that is killed is started again under its own name, so that a worker gets its trial back, and the chief
    goes on from the ledger.

    Args:
        folder: The search's folder; the search is begun.
        workers: How many.
        stop: Whether to stop.
        lock: Descriptor of the search's lock, which all processes inherit.
        command: Program that trains a trial.

    Raises:
        TuningError: No trial can be trained, there are fewer cores than workers, or processes are killed all the time.
        TrainingStopped: It was asked to stop; all trials are saved.
    """
    cores = usable_cores()
    if workers > len(cores):
        raise TuningError(f"--workers {workers}: each needs a processor core, and there are {len(cores)}.")
    folder.fatal.unlink(missing_ok=True)
    shutil.rmtree(folder.workers, ignore_errors=True)  # signs of life of workers that were killed
    shares = [cores[i * len(cores) // workers : (i + 1) * len(cores) // workers] for i in range(workers)]
    team = Team(
        folder,
        stop,
        lock,
        command,
        address=(HOST, _free_port()),
        chief=Member(CHIEF, ()),
        workers=[Member(f"worker{i}", share) for i, share in enumerate(shares)],
    )
    grace = GRACE_SECONDS
    try:
        for member in team.members:
            team.start(member)
        while not team.look():
            if stop.is_due:
                raise TrainingStopped(exit_code=stop.exit_code)
            time.sleep(POLL_SECONDS)
        grace = 1.0
    finally:
        team.end(grace=grace)


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind((HOST, 0))
        return int(opened.getsockname()[1])
