"""The one door to TensorFlow, Keras 2 (tf_keras) and transformers.

Importing this module imports TensorFlow, once, with its Keras bound to tf_keras, and without the native chatter that
TensorFlow writes to file descriptor 2 whatever its log level. Set ``TF_FINETUNE_VERBOSE=1`` to see all of it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from tf_finetune.config.cluster import read_cluster
from tf_finetune.config.devices import named_gpus
from tf_finetune.errors import ConfigError, DependencyError

__all__ = [
    "error_words",
    "gpus",
    "keras",
    "load_tfds",
    "make_strategy",
    "precision_policy",
    "quiet_stderr",
    "seed_everything",
    "tf",
    "transformers",
    "uses_determinism",
]

logger = logging.getLogger(__name__)

VERBOSE = os.environ.get("TF_FINETUNE_VERBOSE", "0") not in ("", "0")

INTERNAL = re.compile(r"\{\{.*?\}\} ?| ?\[Op:\w+\]")
"""What TensorFlow's messages say of its own nodes."""


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keeps what native code writes to file descriptor 2 off the terminal; shows it after all if the body fails.

    An interruption is no failure.
    """
    try:
        descriptor = sys.__stderr__.fileno() if sys.__stderr__ else None
    except (OSError, ValueError):
        descriptor = None
    if VERBOSE or descriptor is None:
        yield
        return
    with tempfile.TemporaryFile() as captured:
        _flush_stderr()
        saved = os.dup(descriptor)
        os.dup2(captured.fileno(), descriptor)
        try:
            yield
        except Exception:
            _flush_stderr()
            captured.seek(0)
            with os.fdopen(os.dup(saved), "wb") as terminal:
                shutil.copyfileobj(captured, terminal)
            raise
        finally:
            _flush_stderr()
            os.dup2(saved, descriptor)
            os.close(saved)


def _flush_stderr() -> None:
    """Sends what Python has buffered to where it was written for."""
    for stream in (sys.stderr, sys.__stderr__):
        if stream is not None and not stream.closed:
            stream.flush()


def _prepare_environment() -> None:
    """Sets what TensorFlow and transformers read from the environment when they are imported."""
    if "tensorflow" in sys.modules and os.environ.get("TF_USE_LEGACY_KERAS") not in ("1", "true", "True"):
        raise DependencyError(
            "TensorFlow was imported before tf_finetune and is bound to Keras 3; TFAutoModel classes need Keras 2. "
            "Import tf_finetune.backend first, or set the environment variable TF_USE_LEGACY_KERAS=1."
        )
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("USE_TORCH", "0")
    if not VERBOSE:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _import_stack() -> tuple[Any, Any, Any]:
    with quiet_stderr(), warnings.catch_warnings():
        if not VERBOSE:
            warnings.simplefilter("ignore")
        try:
            import tensorflow
            import tf_keras
            import transformers
        except ImportError as error:
            raise DependencyError(
                f"tf_finetune needs tensorflow, tf-keras and transformers: {error}. "
                "Install the package again with its dependencies: pip install -c constraints.txt ."
            ) from error
    if not transformers.is_tf_available():
        raise DependencyError(
            "transformers does not use TensorFlow here: the environment variable USE_TF or USE_TORCH says so. "
            "Unset both."
        )
    return tensorflow, tf_keras, transformers


def _silence_python_loggers() -> None:
    """Turns off notes that no user of ours can act on (deprecations of the TensorFlow classes, retracing advice)."""
    if VERBOSE:
        return
    tf.get_logger().setLevel(logging.ERROR)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


_prepare_environment()
tf: Any
keras: Any
transformers: Any
tf, keras, transformers = _import_stack()
_silence_python_loggers()


def load_tfds() -> ModuleType:
    """Imports tensorflow_datasets, without its chatter.

    Raises:
        DependencyError: It is not installed.
    """
    with quiet_stderr(), warnings.catch_warnings():
        if not VERBOSE:
            warnings.simplefilter("ignore")
        try:
            import tensorflow_datasets
        except ImportError as error:
            raise DependencyError(f"tfds: names need the package tensorflow-datasets: {error}.") from error
    module: ModuleType = tensorflow_datasets
    return module


def error_words(error: Exception) -> str:
    """The first line of a message of TensorFlow, without the names of nodes."""
    return INTERNAL.sub("", str(error)).partition("\n")[0]


def gpus() -> list[Any]:
    """The GPUs that TensorFlow sees."""
    return list(tf.config.list_physical_devices("GPU"))


def uses_determinism(deterministic: bool | None) -> bool:
    """The effective setting: None means on without a GPU (where it costs nothing measurable), off with one."""
    return not gpus() if deterministic is None else deterministic


def seed_everything(seed: int, *, deterministic: bool) -> None:
    """Seeds Python, NumPy and TensorFlow, and switches deterministic kernels on if asked.

    Determinism is a switch of the process: TensorFlow has no public way to turn it off again.
    """
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def precision_policy(name: str) -> Iterator[None]:
    """Sets the Keras dtype policy ("float32", "mixed_bfloat16", "mixed_float16") for layers made inside."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


@functools.cache
def _workers_strategy(devices: str) -> Any:
    if devices == "cpu":
        tf.config.set_visible_devices([], "GPU")
    elif devices != "auto":
        raise ConfigError(
            f"--devices {devices} does not go with TF_CONFIG: workers take all their GPUs. Give auto or cpu."
        )
    with quiet_stderr():
        return tf.distribute.MultiWorkerMirroredStrategy()


def make_strategy(devices: str) -> Any:
    """The `tf.distribute.Strategy` for a value of ``--devices``.

    Args:
        devices: ``auto`` (all GPUs, else the CPU), ``cpu``, or ``gpu:0,1``.

    Returns:
        A MultiWorkerMirroredStrategy where ``TF_CONFIG`` names several workers, which waits until all of them are
        there, and which the process has one of; else a MirroredStrategy for two or more devices, a OneDeviceStrategy
        for one that TensorFlow would not choose, or the default one, whose datasets keep their options: with another
        one the end of `fit` waits for tf.data's autotuning.

    Raises:
        ConfigError: The value is malformed, or names a GPU that is not there, or some of the GPUs of a worker.
    """
    if read_cluster() is not None:
        return _workers_strategy(devices)
    found = gpus()
    if devices == "auto":
        names = [f"/gpu:{i}" for i in range(len(found))] or ["/cpu:0"]
    elif devices == "cpu":
        names = ["/cpu:0"]
    else:
        wanted = named_gpus(devices)
        missing = [i for i in wanted if i >= len(found)]
        if missing:
            raise ConfigError(f"--devices {devices}: there is no GPU {missing[0]}; TensorFlow sees {len(found)}.")
        names = [f"/gpu:{i}" for i in wanted]
    if names == ["/gpu:0" if found else "/cpu:0"]:  # where TensorFlow computes by itself
        return tf.distribute.get_strategy()
    if len(names) == 1:
        return tf.distribute.OneDeviceStrategy(names[0])
    return tf.distribute.MirroredStrategy(names)
