"""Each way in which a package breaks is told, with the command that mends it."""

from __future__ import annotations

import configparser
import shlex
import sys
from pathlib import Path

import pytest

from tf_finetune.doctor.diagnose import diagnose
from tf_finetune.doctor.imports import Imported, try_imports
from tf_finetune.doctor.packages import PACKAGES, check_package, check_requirements
from tf_finetune.doctor.requirement import canonical, parse_requirement

PIP = [sys.executable, "-m", "pip"]
AGAIN = [*PIP, "install", "--force-reinstall", "--no-deps"]
BY_NAME = {package.name: package for package in PACKAGES}


def look(site, name, **environment):
    package = BY_NAME[name]
    installation = site.installation(**environment)
    return check_package(package, installation, try_imports(installation, [package.module])[package.module])


def spec(name):
    return str(BY_NAME[name].requirement)


def test_the_table_is_that_of_setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(Path(__file__).parents[2] / "setup.cfg", encoding="utf-8")
    lines = parser["options"]["install_requires"].split("\n")
    declared = {str(parse_requirement(line)) for line in lines if line and not line.startswith("#")}
    assert {str(package.requirement) for package in PACKAGES} == declared | {"protobuf"}


def test_a_whole_installation_has_no_fault(site):
    told = {finding.name: finding for finding in diagnose(site.installation(), quick=True)}
    names = [*BY_NAME, "requirements", "keras", "tensorflow-text", "torch", "gpu", "hub"]
    assert list(told)[-len(names) - 1 : -1] == names
    assert {told[name].status for name in names} == {"ok"}
    assert {told[name].fix for name in names} == {None}
    assert told["tensorflow"].message == "2.21.0"
    assert "Keras 2 (tf_keras 2.21.0)" in told["keras"].message
    assert told["gpu"].message == "TensorFlow sees 1"


def test_missing_packages(site):
    for package in PACKAGES:
        site.forget(package.name)
        site.remove(package.module.partition(".")[0])
    installation = site.installation()
    outcomes = try_imports(installation, [package.module for package in PACKAGES])
    for name, package in BY_NAME.items():
        found = check_package(package, installation, outcomes[package.module])
        assert (found.name, found.status) == (name, "fail")
        assert "It is not installed" in found.message
        assert shlex.split(found.fix) == [*PIP, "install", spec(name)]


@pytest.mark.parametrize("name", ["tensorboard", "scikit-learn"])
@pytest.mark.parametrize("half", ["record", "modules", "part", "empty folders"])
def test_a_half_installed_package(site, name, half):
    module = BY_NAME[name].module
    if half == "record":
        site.remove(module.partition(".")[0])
    elif half == "modules":
        site.forget(name)
    elif half == "part":
        site.remove(module.replace(".", "/"))
    else:
        for file in (site.folder / module.partition(".")[0]).rglob("*.py"):
            file.unlink()
    found = look(site, name)
    assert found.status == "fail"
    assert found.message.startswith("Half installed")
    assert shlex.split(found.fix) == [*AGAIN, spec(name)]


def test_two_records_of_a_package(site):
    site.record("tensorboard", "2.20.0")
    found = look(site, "tensorboard")
    assert found.status == "fail"
    assert "2 versions are recorded, 2.20.0 and 2.21.0" in found.message
    removal, _, again = found.fix.partition(" && ")
    assert shlex.split(removal) == [*PIP, "uninstall", "-y", "tensorboard"]
    assert shlex.split(again) == [*AGAIN, spec("tensorboard")]


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("tensorflow", "2.20.0", "2.20.0 is installed. Expected: >=2.21,<2.22"),
        ("tensorflow", "2.22.0rc1", "2.22.0rc1 is installed"),
        ("tf-keras", "2.20.1", "same minor version as TensorFlow"),
        ("transformers", "4.55.0", "4.55 to 4.57 cannot load the safetensors of PyTorch"),
        ("transformers", "4.57.6", "4.55 to 4.57 cannot load the safetensors of PyTorch"),
        ("transformers", "5.0.0", "Version 5 has no TensorFlow models"),
        ("transformers", "4.40.0", "Expected: >=4.53.3,<4.55."),
        ("numpy", "1.26.4", "Expected: >=2.0"),
        ("tokenizers", "0.22.0", "Expected: >=0.21,<0.22"),
        ("keras-tuner", "1.5.0", "change from one minor version"),
    ],
)
def test_a_version_that_does_not_work(site, name, version, words):
    site.replace(name, version)
    found = check_package(BY_NAME[name], site.installation(), Imported())
    assert found.status == "fail"
    assert words in found.message
    assert shlex.split(found.fix) == [*PIP, "install", spec(name)]


def test_a_package_that_cannot_be_imported(site):
    site.write(
        "sklearn/metrics/__init__.py", "raise ImportError('libgomp.so.1: cannot allocate memory\\nin static TLS')"
    )
    found = look(site, "scikit-learn")
    assert found.status == "fail"
    assert "ImportError: libgomp.so.1: cannot allocate memory." in found.message
    assert shlex.split(found.fix) == [*AGAIN, spec("scikit-learn")]


def test_a_backend_of_keras_that_is_not_there_is_mended_by_the_variable(site):
    installation = site.installation(KERAS_BACKEND="jax")
    imported = Imported(fault="ModuleNotFoundError: No module named 'jax'", lacks="jax")
    finding = check_package(BY_NAME["keras-tuner"], installation, imported)
    assert (finding.status, finding.fix) == ("fail", "unset KERAS_BACKEND")
    assert "which Keras 3 wants for KERAS_BACKEND" in finding.message
    other = check_package(BY_NAME["keras-tuner"], site.installation(), imported)
    assert other.fix is not None and "install" in other.fix


def test_a_package_that_lacks_another_one_is_mended_by_that(site):
    site.remove("scipy")
    site.write("sklearn/metrics/__init__.py", "import scipy.sparse")
    found = look(site, "scikit-learn")
    assert "No module named 'scipy'" in found.message
    assert shlex.split(found.fix) == [*PIP, "install", spec("scipy")]
    site.write("sklearn/metrics/__init__.py", "import joblib")
    assert shlex.split(look(site, "scikit-learn").fix) == [*PIP, "install", spec("scikit-learn")]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "signal SIGILL"),
        (
            "import os, sys; print('LLVM ERROR: inconsistency', file=sys.stderr); os.abort()",
            "LLVM ERROR: inconsistency",
        ),
        ("import sys; sys.exit('no GPU')", "SystemExit: no GPU"),
        ("import os; os._exit(3)", "exit code 3"),
    ],
)
def test_a_crash_at_import_is_told_and_the_other_packages_are_looked_at(site, code, words):
    site.write("pyarrow/parquet/__init__.py", code)
    modules = [BY_NAME[name].module for name in ("tqdm", "pyarrow", "scipy")]
    outcomes = try_imports(site.installation(), modules)
    assert [outcomes[module].fault is None for module in modules] == [True, False, True]
    found = check_package(BY_NAME["pyarrow"], site.installation(), outcomes["pyarrow.parquet"])
    assert words in found.message
    assert shlex.split(found.fix) == [*AGAIN, spec("pyarrow")]


def test_an_import_that_never_ends_is_told(site):
    site.write("yaml/__init__.py", "import time; print('waiting for a lock', flush=True); time.sleep(600)")
    outcome = try_imports(site.installation(), ["yaml", "tqdm"], timeout=1)
    assert "did not end within 1 seconds; the last it said: waiting for a lock" in outcome["yaml"].fault
    assert outcome["tqdm"].fault is None


def test_a_python_that_cannot_start_ends_the_search(site):
    installation = site.installation(PYTHONHOME="/nowhere")
    outcomes = try_imports(installation, ["yaml", "tqdm"])
    assert [outcome.fault is None for outcome in outcomes.values()] == [False, False]


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("protobuf", "5.29.5", "tensorflow needs protobuf<8.0.0,>=6.31.1; 5.29.5 is installed."),
        ("protobuf", "8.0.0", "8.0.0 is installed"),
        ("absl-py", None, "tensorflow needs absl-py>=1.0.0; it is not installed."),
    ],
)
def test_what_packages_require_of_each_other(site, name, version, words):
    requires = ["protobuf<8.0.0,>=6.31.1", "absl-py>=1.0.0"]
    site.replace("tensorflow", "2.21.0", requires)
    if name != "absl-py":
        site.record("absl-py", "2.3.1")
        site.replace(name, version)
    (found,) = check_requirements(site.installation())
    assert (found.name, found.status) == (name, "fail")
    assert words in found.message
    wanted = next(text for text in requires if text.startswith(name))
    assert shlex.split(found.fix) == [*PIP, "install", wanted]


def test_a_numpy_that_only_tensorflow_refuses(site):
    site.replace("tensorflow", "2.21.0", ["numpy<2.3,>=1.26"])
    site.replace("transformers", "4.54.1", ["numpy>=1.17"])
    site.replace("numpy", "2.4.0")
    (found,) = check_requirements(site.installation())
    assert "tensorflow needs numpy<2.3,>=1.26; 2.4.0 is installed." in found.message
    assert shlex.split(found.fix) == [*PIP, "install", "numpy>=2.0,<2.3,>=1.26,>=1.17"]


def test_what_a_refused_version_requires_is_not_installed_for_it(site):
    site.replace("transformers", "5.0.0", ["tokenizers>=0.22", "typer-slim"])
    (found,) = check_requirements(site.installation())
    assert (found.name, found.status) == ("requirements", "ok")


@pytest.mark.parametrize(
    ("text", "allowed", "refused"),
    [
        ("a>=2.21,<2.22", ["2.21", "2.21.0", "2.21.9"], ["2.20.9", "2.22", "2.22.0", "3"]),
        ("a!=1.5.*,>1", ["1.4", "1.6.0"], ["1.5", "1.5.3", "1.0", "1"]),
        ("a~=1.4.2", ["1.4.2", "1.4.9"], ["1.4.1", "1.5.0"]),
        ("a[b,c] (>=1.0) ; extra == 'd'", ["1.0", "1!2.0"], ["0.9", "unknown"]),
        ("a", ["0.1", "anything"], []),
    ],
)
def test_versions_compare_as_the_specification_has_them(text, allowed, refused):
    requirement = parse_requirement(text)
    assert requirement.name == "a"
    assert [version for version in [*allowed, *refused] if requirement.allows(version)] == allowed


def test_names_compare_in_canonical_form():
    assert canonical("Keras_Tuner") == canonical("keras.tuner") == "keras-tuner"
    with pytest.raises(ValueError, match="expected a requirement"):
        parse_requirement("git+https://example.org/a")
