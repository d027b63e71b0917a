"""Runs that are killed: a process that imports TensorFlow once, and forks a child for each attempt.

The child calls `fit`, writes the loss of each update down, and kills itself with SIGKILL at a place that was named. As
a program: a JSON object a line in, {"config": ..., "kill": [place, count], "losses": FILE, "patches": [...]}, and the
exit code of the child a line out.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys

KILLED = -signal.SIGKILL


class Victims:
    """The process that forks; a context manager.

    Attributes:
        process: Itself.
    """

    def __enter__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([sys.executable, "-m", "tests.training.victims"], text=True, **pipes)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def run(self, config, *, losses, kill=None, patches=()):
        """Runs `fit` in a child and returns its exit code; negative is the number of the signal that killed it."""
        request = {"config": config.to_dict(), "kill": kill, "losses": str(losses), "patches": list(patches)}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


def die():
    """As by the kernel, when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def main():
    """Forks a child for each line."""
    import tf_finetune.training.train_and_score  # noqa: F401  # before the first fork

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                code = attempt(json.loads(line))
            os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def attempt(request):
    """One call of `fit`, which ends well or by SIGKILL."""
    import traceback

    from tf_finetune.errors import TrainingStopped
    from tf_finetune.training.fit import fit

    prepare_to_die(request["kill"], request["losses"])
    for name in request["patches"]:
        PATCHES[name]()
    try:
        fit(config_of(request["config"]))
    except TrainingStopped as error:
        return error.exit_code
    except BaseException:
        with open(request["losses"] + ".error", "w") as file:
            traceback.print_exc(file=file)
        raise
    return 0


def config_of(sections):
    """The `Config` of plain sections."""
    from typing import get_type_hints

    from tf_finetune.config import Config

    kinds = get_type_hints(Config)
    return Config(**{name: kinds[name](**values) for name, values in sections.items()})


def prepare_to_die(kill, losses):
    """Counts updates, validation batches and writes of checkpoints, and dies at the one that was named."""
    import tf_finetune.training.checkpoints.store as store
    from tf_finetune.training.checkpoints.callback import Checkpointing

    place, count = kill or (None, 0)
    seen = {"update": 0, "validation": 0, "write": 0}

    def reach(name):
        seen[name] += 1
        if name == place and seen[name] == count:
            die()

    on_train_batch_end, on_test_batch_end = Checkpointing.on_train_batch_end, Checkpointing.on_test_batch_end

    def after_update(self, batch, logs=None):
        with open(losses, "a") as file:
            file.write(f"{self.record.step + 1} {logs['loss']!r}\n")
        reach("update")
        on_train_batch_end(self, batch, logs)

    def after_validation_batch(self, batch, logs=None):
        reach("validation")
        on_test_batch_end(self, batch, logs)

    def in_the_middle_of_a_write(path, tensors):
        write_tensors(path, tensors)
        reach("write")

    write_tensors = store.write_tensors
    Checkpointing.on_train_batch_end = after_update
    Checkpointing.on_test_batch_end = after_validation_batch
    store.write_tensors = in_the_middle_of_a_write


def forget_dropout():
    """Leaves dropout to Keras' own operations, whose state nothing saves: the negative control."""
    import tf_finetune.training.prepare as prepare

    prepare.seed_dropout = lambda model, seed: []


PATCHES = {"forget dropout": forget_dropout}

if __name__ == "__main__":
    main()
