import contextlib
import os
import subprocess
import sys

import pytest

from tf_finetune.errors import ConfigError, DependencyError


def python(code, **environment):
    """Runs code in a fresh interpreter."""
    kept = {k: v for k, v in os.environ.items() if k not in ("TF_USE_LEGACY_KERAS", "TF_FINETUNE_VERBOSE", "USE_TORCH")}
    return subprocess.run(
        [sys.executable, "-c", code], env=kept | environment, capture_output=True, text=True, timeout=120
    )


@contextlib.contextmanager
def stderr_in(path):
    """Points file descriptor 2 at a file, and Python's streams at it. (pytest moves the descriptor between phases.)"""
    saved, streams = os.dup(2), (sys.stderr, sys.__stderr__)
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 2)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", closefd=False)
    try:
        yield
    finally:
        if sys.stderr is not None:
            sys.stderr.close()
        sys.stderr, sys.__stderr__ = streams
        os.dup2(saved, 2)
        os.close(saved)
        os.close(file)


@pytest.fixture
def path(monkeypatch, tmp_path):
    from tf_finetune import backend

    monkeypatch.setattr(backend, "VERBOSE", False)
    return tmp_path / "stderr"


def test_native_chatter_is_swallowed(path):
    from tf_finetune.backend import quiet_stderr

    with stderr_in(path):
        sys.stderr.write("before\n")
        with quiet_stderr():
            os.write(2, b"native\n")
            sys.stderr.write("python, without an end")
        sys.stderr.write("after\n")
    assert path.read_text() == "before\nafter\n"


@pytest.mark.parametrize(("error", "shown"), [(ValueError, True), (KeyboardInterrupt, False), (SystemExit, False)])
def test_it_is_shown_after_a_failure_but_not_after_an_interruption(path, error, shown):
    from tf_finetune.backend import quiet_stderr

    chatter = "reason " * 20_000
    with stderr_in(path):
        with pytest.raises(error), quiet_stderr():
            os.write(2, chatter.encode())
            sys.stderr.write("python")
            raise error
        sys.stderr.write(" after")
    assert path.read_text() == (chatter + "python" if shown else "") + " after"


def test_verbose_lets_it_through(path, monkeypatch):
    from tf_finetune import backend

    monkeypatch.setattr(backend, "VERBOSE", True)
    with stderr_in(path), backend.quiet_stderr():
        os.write(2, b"native\n")
    assert path.read_text() == "native\n"


def test_words_of_an_error_are_its_first_line_without_nodes():
    from tf_finetune.backend import error_words, tf

    with pytest.raises(tf.errors.OpError) as caught:
        tf.raw_ops.RestoreV2(prefix="/nowhere/x", tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32])
    assert "{{function_node" in str(caught.value) and "[Op:RestoreV2]" in str(caught.value)
    assert error_words(caught.value).startswith("Unsuccessful TensorSliceReader constructor: Failed to find")
    assert "[Op" not in error_words(caught.value) and "/nowhere/x" in error_words(caught.value)
    lost = tf.errors.UnavailableError(None, None, "{{node a/b}} Connection reset by peer\nThe second line\n")
    assert error_words(lost) == "Connection reset by peer"


@pytest.mark.parametrize("missing", ["__stderr__", "stderr"])
def test_a_process_without_standard_error(path, missing):
    from tf_finetune.backend import quiet_stderr

    with stderr_in(path):
        setattr(sys, missing, None)
        with quiet_stderr():
            os.write(2, b"native\n")
    assert path.read_text() == ("native\n" if missing == "__stderr__" else "")


def test_no_file_descriptor_is_left_open(path):
    from tf_finetune.backend import quiet_stderr

    with stderr_in(path):
        before = os.dup(2)
        os.close(before)
        for _ in range(5):
            with pytest.raises(ValueError), quiet_stderr():
                raise ValueError
        after = os.dup(2)
        os.close(after)
    assert after == before  # the lowest one that is free


@pytest.fixture
def with_gpus(monkeypatch):
    """Makes TensorFlow seem to see some GPUs, and records which strategy would be made."""
    from tf_finetune import backend

    def see(count):
        monkeypatch.setattr(backend, "gpus", lambda: [f"gpu {i}" for i in range(count)])
        monkeypatch.setattr(backend.tf.distribute, "OneDeviceStrategy", lambda name: ("one", name))
        monkeypatch.setattr(backend.tf.distribute, "MirroredStrategy", lambda names: ("mirrored", names))
        monkeypatch.setattr(backend.tf.distribute, "get_strategy", lambda: "default")
        return backend.make_strategy

    return see


@pytest.mark.parametrize(
    ("count", "devices", "expected"),
    [
        (0, "auto", "default"),
        (1, "auto", "default"),
        (2, "auto", ("mirrored", ["/gpu:0", "/gpu:1"])),
        (0, "cpu", "default"),
        (2, "gpu:0", "default"),
        (2, "cpu", ("one", "/cpu:0")),
        (2, "gpu:1", ("one", "/gpu:1")),
        (3, "gpu:2,0", ("mirrored", ["/gpu:2", "/gpu:0"])),
        (3, "gpu: 2 , 0", ("mirrored", ["/gpu:2", "/gpu:0"])),
        (2, "gpu:1,1", ("one", "/gpu:1")),
    ],
)
def test_devices(with_gpus, count, devices, expected):
    assert with_gpus(count)(devices) == expected


@pytest.mark.parametrize("devices", ["", "gpu", "gpu:", "gpu:a", "gpu:0,", "gpu:-1", "gpu:0;1", "tpu", "CPU", "gpu:²"])
def test_malformed_devices(with_gpus, devices):
    with pytest.raises(ConfigError, match="--devices takes auto, cpu or a list as in gpu:0,1. Received: "):
        with_gpus(2)(devices)


def test_a_gpu_that_is_not_there(with_gpus):
    with pytest.raises(ConfigError, match="--devices gpu:0,2: there is no GPU 2; TensorFlow sees 2"):
        with_gpus(2)("gpu:0,2")


def test_the_cpu_is_a_real_strategy():
    from tf_finetune.backend import gpus, make_strategy, tf

    assert gpus() == []  # the tests hide them
    strategy = make_strategy("auto")
    assert strategy is tf.distribute.get_strategy()
    assert strategy.num_replicas_in_sync == 1


def test_determinism_is_the_default_without_a_gpu(monkeypatch):
    from tf_finetune import backend

    assert backend.uses_determinism(None) is True
    assert (backend.uses_determinism(True), backend.uses_determinism(False)) == (True, False)
    monkeypatch.setattr(backend, "gpus", lambda: ["gpu"])
    assert backend.uses_determinism(None) is False
    assert backend.uses_determinism(True) is True


def test_seeds():
    import random

    import numpy as np

    from tf_finetune.backend import seed_everything, tf

    def draw():
        seed_everything(7, deterministic=False)
        return random.random(), np.random.rand(), float(tf.random.uniform([]))

    assert draw() == draw()


def test_the_precision_policy_is_put_back():
    from tf_finetune.backend import keras, precision_policy

    before = keras.mixed_precision.global_policy().name
    with precision_policy("mixed_bfloat16"):
        assert keras.mixed_precision.global_policy().name == "mixed_bfloat16"
        assert keras.layers.Dense(1).compute_dtype == "bfloat16"
    with pytest.raises(KeyError), precision_policy("mixed_float16"):
        raise KeyError
    assert keras.mixed_precision.global_policy().name == before == "float32"


def test_tensorflow_bound_to_keras_3_is_refused():
    """Nothing of TensorFlow is needed for that: it has been imported already, or has not."""
    code = "import sys, types; sys.modules['tensorflow'] = types.ModuleType('tensorflow'); import tf_finetune.backend"
    done = python(code)
    assert done.returncode == 1
    assert (
        "tf_finetune.errors.DependencyError: TensorFlow was imported before tf_finetune and is bound to" in done.stderr
    )
    assert "TF_USE_LEGACY_KERAS=1" in done.stderr


def test_importing_is_silent_and_binds_keras_2():
    code = """
import tf_finetune.backend as backend
import tensorflow as tf
from transformers import TFBertModel
assert backend.keras.__version__.startswith("2."), backend.keras.__version__
assert issubclass(TFBertModel, backend.keras.Model) and issubclass(TFBertModel, tf.keras.Model)
"""
    done = python(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_transformers_without_tensorflow_is_refused(monkeypatch):
    from tf_finetune import backend

    monkeypatch.setattr(backend.transformers, "is_tf_available", lambda: False)
    with pytest.raises(DependencyError, match="USE_TF or USE_TORCH"):
        backend._import_stack()
