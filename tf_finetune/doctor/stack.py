"""How TensorFlow, Keras and transformers are bound to each other, and what is in their way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tf_finetune.doctor.finding import FAIL, OK, WARN, Finding
from tf_finetune.doctor.imports import Imported
from tf_finetune.doctor.installation import Installation
from tf_finetune.doctor.packages import STACK, TENSORFLOW, TENSORFLOW_BUILDS
from tf_finetune.doctor.requirement import Requirement, release

__all__ = ["check_builds", "check_keras", "check_switches", "check_tensorflow_text", "check_torch"]

TRUE = frozenset({"1", "ON", "YES", "TRUE"})
"""What transformers takes for yes, in upper case: `transformers.utils.import_utils.ENV_VARS_TRUE_VALUES`."""

LEGACY_KERAS = ("1", "true", "True")
"""What TensorFlow takes for yes in TF_USE_LEGACY_KERAS: its __init__.py."""


def check_switches(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Looks for environment variables that switch off what is needed."""
    values = {name: environment.get(name, "AUTO").upper() for name in ("USE_TF", "USE_TORCH", "FORCE_TF_AVAILABLE")}
    refusing = ["USE_TF"] if values["USE_TF"] not in TRUE | {"AUTO"} else []
    refusing += ["USE_TORCH"] if values["USE_TORCH"] in TRUE else []
    if refusing and values["FORCE_TF_AVAILABLE"] not in TRUE:
        told = " and ".join(f"{name}={environment[name]}" for name in refusing)
        yield Finding(
            "environment", FAIL, f"{told}: transformers does not use TensorFlow then.", f"unset {' '.join(refusing)}"
        )
    legacy = environment.get("TF_USE_LEGACY_KERAS")
    if legacy is not None and legacy not in LEGACY_KERAS:
        yield Finding(
            "environment",
            WARN,
            f"TF_USE_LEGACY_KERAS={legacy}: a program that imports TensorFlow before tf_finetune gets Keras 3, which "
            "the models of transformers do not go with. Our commands are not affected: they set it themselves.",
            "unset TF_USE_LEGACY_KERAS",
        )
    backend = environment.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        yield Finding(
            "environment",
            WARN,
            f"KERAS_BACKEND={backend}: keras-tuner, for `tf-finetune tune`, imports Keras 3 with it.",
            "unset KERAS_BACKEND",
        )


def check_keras(installation: Installation, door: Imported) -> Finding:
    """Looks at the Keras that TensorFlow is bound to once tf_finetune is imported.

    Args:
        installation: Where packages are looked for.
        door: What importing `tf_finetune.backend` came to.
    """
    keras = str(door.facts.get("keras"))
    if door.fault is None and release(keras)[:1] == (2,):
        return Finding("keras", OK, f"tf.keras is Keras 2 (tf_keras {keras}), as the models of transformers need it")
    if door.preloaded and installation.environment.get("TF_USE_LEGACY_KERAS") not in LEGACY_KERAS:
        return Finding(
            "keras",
            FAIL,
            "TensorFlow is imported when Python starts (by a .pth file or sitecustomize), and is bound to Keras 3.",
            "export TF_USE_LEGACY_KERAS=1",
        )
    if door.fault is None:
        return Finding("keras", FAIL, f"tf.keras is Keras {keras}. Expected: Keras 2.", _stack_again(installation))
    return Finding("keras", FAIL, f"TensorFlow cannot be used with Keras 2: {door.fault}.", _stack_again(installation))


def check_torch(installation: Installation, door: Imported) -> Finding:
    """Looks whether torch gets into the process: with TensorFlow in it too, their libraries can end it.

    Args:
        installation: Where packages are looked for.
        door: What importing `tf_finetune.backend` came to.
    """
    version = installation.version("torch")
    switch = installation.environment.get("USE_TORCH")
    if door.facts.get("torch") or (version is not None and switch is not None and switch.upper() == "AUTO"):
        return Finding(
            "torch",
            WARN,
            f"torch {version or '(without a record of its version)'} gets into the process with TensorFlow, where "
            "their libraries (LLVM, OpenMP) can end it or slow it down. USE_TORCH=0, which tf_finetune sets where "
            "nothing else is set, keeps transformers from importing it.",
            installation.uninstall("torch") if switch in (None, "0") else "export USE_TORCH=0",
        )
    if version is None:
        return Finding("torch", OK, "not installed, and not needed")
    return Finding("torch", OK, f"{version} is installed, and stays out of the process (USE_TORCH=0)")


def check_tensorflow_text(installation: Installation) -> Finding:
    """Looks whether tensorflow-text, if there is one, is of TensorFlow's minor version: its ops are linked to it."""
    version, tensorflow = installation.version("tensorflow-text"), installation.version("tensorflow")
    if version is None:
        return Finding("tensorflow-text", OK, "not installed, and not needed")
    if tensorflow is None or release(version)[:2] == release(tensorflow)[:2]:
        return Finding("tensorflow-text", OK, version)
    major, minor = (*release(tensorflow), 0)[:2]
    fitting = Requirement("tensorflow-text", ((">=", f"{major}.{minor}"), ("<", f"{major}.{minor + 1}")))
    return Finding(
        "tensorflow-text",
        WARN,
        f"{version} is linked to another TensorFlow than {tensorflow}, and fails when it is imported. tf_finetune does "
        "not use it.",
        installation.install(fitting),
    )


def check_builds(installation: Installation) -> Iterator[Finding]:
    """Looks for several packages that bring TensorFlow: they overwrite each other's files."""
    builds = [name for name in ("tensorflow", *TENSORFLOW_BUILDS) if installation.version(name) is not None]
    if len(builds) > 1:
        yield Finding(
            "tensorflow builds",
            WARN,
            f"{' and '.join(builds)} are installed over each other: removing one of them breaks the other.",
            f"{installation.uninstall(*builds)} && {installation.install(TENSORFLOW)}",
        )


def _stack_again(installation: Installation) -> str:
    return installation.install(*STACK, options=("--force-reinstall",))
