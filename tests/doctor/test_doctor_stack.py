"""Keras 2 and 3, torch, variables that switch TensorFlow off: told from what a fresh process came to."""

from __future__ import annotations

import shlex
import sys

import pytest

from tf_finetune.doctor.imports import DOOR, try_imports
from tf_finetune.doctor.packages import STACK
from tf_finetune.doctor.stack import (
    TRUE,
    check_builds,
    check_keras,
    check_switches,
    check_tensorflow_text,
    check_torch,
)

PIP = [sys.executable, "-m", "pip"]


def through_the_door(site, **environment):
    installation = site.installation(**environment)
    return installation, try_imports(installation, [DOOR])[DOOR]


def test_keras_3_in_the_environment_does_not_reach_our_commands_but_is_warned_of(site):
    assert check_keras(*through_the_door(site, TF_USE_LEGACY_KERAS="0")).status == "ok"
    (found,) = check_switches({"TF_USE_LEGACY_KERAS": "0"})
    assert (found.status, found.fix) == ("warn", "unset TF_USE_LEGACY_KERAS")
    assert "Keras 3" in found.message
    assert not list(check_switches({"TF_USE_LEGACY_KERAS": "1"}))


def test_a_tensorflow_that_binds_keras_3_all_the_same(site):
    code = (site.folder / "tensorflow/__init__.py").read_text(encoding="utf-8")
    site.write("tensorflow/__init__.py", code.replace('== "1"', '== "never"'))
    found = check_keras(*through_the_door(site))
    assert found.status == "fail"
    assert "tf.keras is Keras 3.15.1. Expected: Keras 2." in found.message
    assert shlex.split(found.fix) == [*PIP, "install", "--force-reinstall", *map(str, STACK)]


def test_tensorflow_imported_when_python_starts(site):
    site.write("sitecustomize.py", "import tensorflow")
    found = check_keras(*through_the_door(site, PYTHONPATH=str(site.folder)))
    assert (found.status, found.fix) == ("fail", "export TF_USE_LEGACY_KERAS=1")
    assert "when Python starts" in found.message
    mended = through_the_door(site, PYTHONPATH=str(site.folder), TF_USE_LEGACY_KERAS="1")
    assert check_keras(*mended).status == "ok"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise TypeError('Descriptors cannot be created directly.')", "TypeError: Descriptors cannot be created"),
        ("import os; os.abort()", "signal SIGABRT"),
    ],
)
def test_a_stack_that_cannot_be_loaded(site, code, words):
    site.write("transformers/__init__.py", code)
    found = check_keras(*through_the_door(site))
    assert found.status == "fail"
    assert words in found.message


@pytest.mark.parametrize(
    ("environment", "fix"),
    [
        ({"USE_TF": "0"}, "unset USE_TF"),
        ({"USE_TF": "no"}, "unset USE_TF"),
        ({"USE_TORCH": "1"}, "unset USE_TORCH"),
        ({"USE_TF": "0", "USE_TORCH": "yes"}, "unset USE_TF USE_TORCH"),
    ],
)
def test_variables_that_keep_transformers_from_tensorflow(environment, fix):
    (found,) = check_switches(environment)
    assert (found.status, found.fix) == ("fail", fix)
    assert not list(check_switches({**environment, "FORCE_TF_AVAILABLE": "1"}))


def test_transformers_reads_these_variables_as_the_check_does():
    from transformers.utils import import_utils

    theirs = (import_utils.ENV_VARS_TRUE_VALUES, import_utils.ENV_VARS_TRUE_AND_AUTO_VALUES)
    assert theirs == (TRUE, TRUE | {"AUTO"})


def test_variables_that_leave_tensorflow_on():
    assert not list(check_switches({"USE_TF": "1", "USE_TORCH": "0", "KERAS_BACKEND": "tensorflow"}))
    assert not list(check_switches({"USE_TF": "auto", "USE_TORCH": "AUTO"}))
    (found,) = check_switches({"KERAS_BACKEND": "torch"})
    assert (found.status, found.fix) == ("warn", "unset KERAS_BACKEND")


def test_torch_is_kept_out_of_the_process(site):
    site.record("torch", "2.9.0")
    site.write("torch/__init__.py", "")
    found = check_torch(*through_the_door(site))
    assert found.status == "ok"
    assert "2.9.0 is installed, and stays out of the process" in found.message


def test_torch_in_the_process_is_warned_of(site):
    site.record("torch", "2.9.0")
    site.write("torch/__init__.py", "")
    code = (site.folder / "transformers/__init__.py").read_text(encoding="utf-8")
    site.write("transformers/__init__.py", f"{code}\nimport os\nif os.environ['USE_TORCH'] != '0': import torch\n")
    found = check_torch(*through_the_door(site, USE_TORCH="auto"))
    assert (found.status, found.fix) == ("warn", "export USE_TORCH=0")
    site.write("transformers/__init__.py", f"{code}\nimport torch\n")
    found = check_torch(*through_the_door(site))
    assert found.status == "warn"
    assert shlex.split(found.fix) == [*PIP, "uninstall", "-y", "torch"]


def test_tensorflow_text_of_another_minor_version(site):
    assert check_tensorflow_text(site.installation()).message == "not installed, and not needed"
    site.record("tensorflow-text", "2.21.1")
    assert check_tensorflow_text(site.installation()).status == "ok"
    site.replace("tensorflow-text", "2.20.1")
    found = check_tensorflow_text(site.installation())
    assert found.status == "warn"
    assert shlex.split(found.fix) == [*PIP, "install", "tensorflow-text>=2.21,<2.22"]


def test_two_packages_that_bring_tensorflow(site):
    assert not list(check_builds(site.installation()))
    site.record("tensorflow-cpu", "2.21.0")
    (found,) = check_builds(site.installation())
    removal, _, again = found.fix.partition(" && ")
    assert found.status == "warn"
    assert shlex.split(removal) == [*PIP, "uninstall", "-y", "tensorflow", "tensorflow-cpu"]
    assert shlex.split(again) == [*PIP, "install", "tensorflow>=2.21,<2.22"]
