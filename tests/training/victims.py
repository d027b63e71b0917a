"""Runs that are killed: a process that imports TensorFlow once, and forks a child for each attempt.

The child calls `fit`, writes the loss of each update down, and kills itself with SIGKILL at a place that was named, or
is killed some time after its first update. As a program: a JSON object a line in, {"config": ..., "kill": [place,
count], "losses": FILE, "patches": [...]}, and the exit code of the child a line out.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import time

KILLED = -signal.SIGKILL
HOLD = 0
"""In the place of a signal: holds still until the file ``.held`` beside the losses is removed."""


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
        """Runs `fit` in a child and returns its exit code; negative is the number of the signal that killed it.

        Args:
            config: The whole configuration.
            losses: File that takes a line an update: its number, its loss, and what the optimizer has counted. Beside
                it, ``.stopped`` takes the message of a run that stopped, ``.error`` the traceback of one that failed.
            kill: Where to die: ``("update", 3)`` before the third update is noted, ``("validation", 2)`` after the
                second batch, ``("write", 1)`` inside the first checkpoint, ``("score", 1)`` when all is trained, or
                ``("seconds", 0.1)`` after the first update. A third item is another signal than SIGKILL, or `HOLD`.
            patches: Names of `PATCHES`.
        """
        request = {"config": config.to_dict(), "kill": kill, "losses": str(losses), "patches": list(patches)}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


def die(number=signal.SIGKILL):
    """As by the kernel, when memory is short; or another signal."""
    os.kill(os.getpid(), number)


def hold(file):
    """Makes a file and waits until it is removed."""
    with open(file, "x"):
        pass
    while os.path.exists(file):
        time.sleep(0.01)


def main():
    """Forks a child for each line."""
    import_what_training_imports()
    gc.freeze()  # the children need not look through all of it again and again
    for line in sys.stdin:
        request = json.loads(line)
        before = size_of(request["losses"])
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                code = attempt(request)
            os._exit(code)
        place, seconds, *_ = request["kill"] or (None, 0)
        if place == "seconds":
            kill_later(child, seconds, request["losses"], before)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def import_what_training_imports():
    """So that no child has to; our modules first, since they choose the Keras that transformers gets."""
    models = (f"transformers.models.{kind}.modeling_tf_{kind}" for kind in ("bert", "distilbert"))
    ours = ("tf_finetune.training.environment", "tf_finetune.training.train_and_score")
    for name in (*ours, *models, "pyarrow.compute"):
        importlib.import_module(name)


def size_of(path):
    """Bytes of a file; 0 if there is none."""
    return os.path.getsize(path) if os.path.exists(path) else 0


def kill_later(child, seconds, losses, before):
    """Kills a child some time after its first update: after the file of losses has more than `before` bytes.

    Nobody has waited for the child yet, so that its number is its own even if it has ended.
    """
    ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while size_of(losses) <= before and os.waitid(os.P_PID, child, ended) is None:
        time.sleep(0.001)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)


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
        with open(request["losses"] + ".stopped", "w") as file:
            file.write(str(error))
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
    """Counts updates, validation batches and writes of checkpoints, and dies or holds at the one that was named."""
    import tf_finetune.training.checkpoints.store as store
    import tf_finetune.training.score_run as score_run
    from tf_finetune.training.checkpoints.callback import Checkpointing

    place, count, *number = kill or (None, 0)
    seen = dict.fromkeys(("update", "validation", "write", "score"), 0)

    def reach(name):
        seen[name] += 1
        if name == place and seen[name] == count:
            hold(losses + ".held") if number == [HOLD] else die(*number)

    def dying(name, function):
        def reaching(*args, **kwargs):
            reach(name)
            return function(*args, **kwargs)

        return reaching

    def after_update(self, batch, logs=None):
        counted = int(self.model.optimizer.iterations.numpy())
        with open(losses, "a") as file:
            file.write(f"{self.record.step + 1} {logs['loss']!r} {counted}\n")
        reach("update")
        on_train_batch_end(self, batch, logs)

    def in_the_middle_of_a_write(path, tensors):
        write_tensors(path, tensors)
        reach("write")

    on_train_batch_end, write_tensors = Checkpointing.on_train_batch_end, store.write_tensors
    Checkpointing.on_train_batch_end = after_update
    Checkpointing.on_test_batch_end = dying("validation", Checkpointing.on_test_batch_end)
    store.write_tensors = in_the_middle_of_a_write
    score_run.compute_scores = dying("score", score_run.compute_scores)


def forget_dropout():
    """Leaves dropout to Keras' own operations, whose state nothing saves: the negative control."""
    import tf_finetune.training.prepare as prepare

    prepare.seed_dropout = lambda model, seed: []


def lose_dropout():
    """Leaves dropout's state out of checkpoints: the other negative control."""
    from tf_finetune.training.checkpoints.state import TrainingState

    init = TrainingState.__init__
    TrainingState.__init__ = lambda self, model, dropout=(): init(self, model)


def use_two_replicas():
    """Trains on two replicas, which are logical CPUs."""
    import tf_finetune.training.prepare as prepare
    from tf_finetune.backend import tf

    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    prepare.make_strategy = lambda devices: strategy


def grow_loss_scale():
    """Doubles float16's loss scale after 3 sound updates instead of 2000, so that updates soon overflow."""
    from tf_keras.src.mixed_precision import loss_scale_optimizer

    loss_scale_optimizer._DEFAULT_GROWTH_STEPS = 3


PATCHES = {
    "forget dropout": forget_dropout,
    "lose dropout": lose_dropout,
    "two replicas": use_two_replicas,
    "grow loss scale": grow_loss_scale,
}

if __name__ == "__main__":
    main()
