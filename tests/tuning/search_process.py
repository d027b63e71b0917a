"""Searches of milliseconds, with `fake_trainer` in place of training; and such that are killed, in other processes.

As a program: imports keras-tuner once, and forks a child for each JSON object a line in: {"config": ..., "algorithm":
..., "kill_after": ..., "options": ...}. The exit code of the child is a line out.
"""

import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

from tests.training.victims import config_of
from tf_finetune.run import ModelFolder
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.ledger import TrialLedger
from tf_finetune.tuning.settings import TuneConfig

KILLED = -9
ALGORITHMS = ("random", "bayesian", "hyperband", "grid")
TRAINER = [sys.executable, str(Path(__file__).with_name("fake_trainer.py"))]
SPACE = {
    "fit.learning_rate": {"min": 1e-5, "max": 2e-4, "sampling": "log"},
    "fit.batch_size": [8, 16, 32],
    "fit.weight_decay": [0.0, 0.01, 0.1],
}
SLOPE = {"fit.learning_rate": {"min": 1e-5, "max": 1e-3, "sampling": "log"}}
"""A Gaussian process of one value takes a third of the time."""

GRID = {"fit.learning_rate": [1e-5, 1e-4, 2e-4], "fit.batch_size": [8, 32]}
SECONDS = 120
"""After so long a search has hung."""


def search(config, algorithm="random", *, space=None, orders=None, **settings):
    """`tune` with the fake trainer, which gets `orders`; hyperband's factor is 2 unless `settings` say otherwise."""
    from tf_finetune.tuning.tune import tune

    if algorithm == "hyperband":
        settings = {"factor": 2, **settings}
    space = space or {"grid": GRID, "bayesian": SLOPE}.get(algorithm, SPACE)
    with hurried(), mock.patch.dict(os.environ, FAKE_TRAINER=json.dumps(orders or {})):
        return tune(config, space, settings=TuneConfig(algorithm=algorithm, **settings), command=TRAINER)


@contextlib.contextmanager
def hurried():
    """Searches do not pause, nor grow forests, nor draw a report; several workers share the processor cores."""
    cores = 2 * sorted(os.sched_getaffinity(0))
    with (
        mock.patch("tf_finetune.tuning.tuner.PAUSE_SECONDS", 0.0),
        mock.patch("tf_finetune.tuning.runner.POLL_SECONDS", 0.005),
        mock.patch("tf_finetune.tuning.conclude.importances"),
        mock.patch("tf_finetune.tuning.conclude.write_report"),
        mock.patch("tf_finetune.tuning.supervise.usable_cores", lambda: cores),
    ):
        yield


def folder_of(config):
    """The folder of a search."""
    return TuneFolder(ModelFolder(Path(config.run.output)))


def trials_of(config):
    """What a search's ledger says of its trials, but for times and workers."""
    return [replace(trial, seconds=0.0, worker="") for trial in TrialLedger(folder_of(config).ledger).trials()]


def begun(config, number):
    """How many epochs each of a trial's processes has found done."""
    return (folder_of(config).trial(number).path / "begun.txt").read_text().split()


def wait_for(path):
    """Waits until there is a file."""
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.01)


class Searches:
    """The process that forks; a context manager.

    Attributes:
        process: Itself.
    """

    def __enter__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, "-m", "tests.tuning.search_process"], text=True, **pipes)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()

    def run(self, config, algorithm="random", *, kill_after=None, **options):
        """Calls `search` in a child and returns its exit code; negative is the number of the signal that killed it.

        What it said is in the file ``said`` of the model folder, its number in ``pid``.

        Args:
            config: The configuration.
            algorithm: The algorithm.
            kill_after: Seconds after which it is killed by SIGKILL; None for never.
            options: Other arguments of `search`.
        """
        self.start(config, algorithm, kill_after=kill_after, **options)
        return self.wait()

    def start(self, config, algorithm="random", *, kill_after=None, **options):
        """The same, but does not wait."""
        request = {"config": config.to_dict(), "algorithm": algorithm, "kill_after": kill_after, "options": options}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def wait(self, seconds=SECONDS + 30):
        """The exit code of what was started."""
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            self.process.kill()
            raise TimeoutError("The search has hung.")
        return int(self.process.stdout.readline())


def main():
    """Forks a child for each line."""
    with hurried():  # imports all that a search needs
        pass
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                code = attempt(request)
            os._exit(code)
        if request["kill_after"] is not None:
            time.sleep(request["kill_after"])
            os.kill(child, signal.SIGKILL)  # nobody has waited for it yet, so that its number is its own
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def attempt(request):
    """One search."""
    from tf_finetune.errors import FinetuneError, TrainingStopped

    config = config_of(request["config"])
    Path(config.run.output).mkdir(parents=True, exist_ok=True)
    Path(config.run.output, "pid").write_text(str(os.getpid()))
    logging.basicConfig(filename=f"{config.run.output}/said", level=logging.INFO, format="%(message)s")
    try:
        search(config, request["algorithm"], **request["options"])
    except TrainingStopped as stopped:
        logging.error("%s", stopped)
        return stopped.exit_code
    except FinetuneError as error:
        logging.error("%s: %s", type(error).__name__, error)
        return 1
    except BaseException:
        logging.exception("failed")
        raise
    return 0


if __name__ == "__main__":
    main()
