"""The packages that are required: recorded, importable, whole, and of a version that works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tf_finetune.doctor.finding import FAIL, OK, Finding
from tf_finetune.doctor.imports import Imported
from tf_finetune.doctor.installation import Installation
from tf_finetune.doctor.requirement import Requirement, parse_requirement

__all__ = [
    "PACKAGES",
    "STACK",
    "TENSORFLOW",
    "TENSORFLOW_BUILDS",
    "Package",
    "check_package",
    "check_requirements",
    "package_of",
]


@dataclass(frozen=True)
class Package:
    """A package, and the module of it that is tried.

    Attributes:
        requirement: Name and versions, as in setup.cfg.
        module: A module that the package is used by; a deep one, since half of a package imports well.
        builds: Other packages that bring the same modules.
    """

    requirement: Requirement
    module: str
    builds: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The package's name."""
        return self.requirement.name


_MODULES = {
    "click>=8.1": "click",
    "numpy>=2.0": "numpy.linalg",
    "protobuf": "google.protobuf.message",
    "pyyaml>=6.0": "yaml",
    "requests>=2.32": "requests",
    "rich>=13": "rich.console",
    "tqdm>=4.66": "tqdm",
    "importlib-resources>=6": "importlib_resources",
    "safetensors>=0.4.3": "safetensors.numpy",
    "tokenizers>=0.21,<0.22": "tokenizers.models",
    "huggingface-hub>=0.34,<1": "huggingface_hub.constants",
    "pyarrow>=17": "pyarrow.parquet",
    "scipy>=1.13": "scipy.sparse",
    "scikit-learn>=1.5": "sklearn.metrics",
    "matplotlib>=3.9": "matplotlib.backends.backend_svg",
    "tensorflow>=2.21,<2.22": "tensorflow.python",
    "tf-keras>=2.21,<2.22": "tf_keras.layers",
    "transformers>=4.53.3,<4.55": "transformers",
    "tensorboard>=2.20,<2.22": "tensorboard.plugins.hparams.api",
    "tensorflow-datasets>=4.9.10,<4.10": "tensorflow_datasets",
    "keras-tuner>=1.4.8,<1.5": "keras_tuner",
}
"""Requirement -> module, in the order in which they are imported; that of protobuf is TensorFlow's."""

TENSORFLOW_BUILDS = ("tensorflow-cpu", "tensorflow-intel", "tensorflow-macos", "tensorflow-rocm", "tf-nightly")

PACKAGES = tuple(
    Package(requirement, module, TENSORFLOW_BUILDS if requirement.name == "tensorflow" else ())
    for requirement, module in ((parse_requirement(text), module) for text, module in _MODULES.items())
)

STACK = tuple(package.requirement for package in PACKAGES if package.name in ("tensorflow", "tf-keras", "transformers"))
"""What a model is made of."""
TENSORFLOW = STACK[0]

OURSELVES = "tf_finetune"

REASONS = (
    ("transformers>=4.55,<5", "4.55 to 4.57 cannot load the safetensors of PyTorch into TensorFlow models."),
    ("transformers>=5", "Version 5 has no TensorFlow models."),
    ("tf-keras", "It must be of the same minor version as TensorFlow."),
    ("keras-tuner", "Its classes are built upon, and change from one minor version to the next."),
)
"""Package and versions -> why they are refused."""


def package_of(module: str) -> Package | None:
    """The package that a top-level module is of."""
    return next((package for package in PACKAGES if package.module.partition(".")[0] == module), None)


def check_package(package: Package, installation: Installation, imported: Imported) -> Finding:
    """Looks at the record of a package, and at what importing it came to.

    Args:
        package: The package.
        installation: Where it is looked for.
        imported: What importing `package.module` came to.
    """
    requirement, name = package.requirement, package.name
    version = installation.version(name) or next(filter(None, map(installation.version, package.builds)), None)
    fault: tuple[str, str]
    if version is None and not imported.found:
        fault = (f"It is not installed. Expected: {_expected(requirement)}.", installation.install(requirement))
    elif version is None:
        fault = (
            f"Half installed: there are modules of it, but no record of a version. Expected: {_expected(requirement)}.",
            installation.reinstall(requirement),
        )
    elif len(recorded := installation.recorded(name)) > 1:
        again = f"{installation.uninstall(name)} && {installation.reinstall(requirement)}"
        fault = (f"Half installed: {len(recorded)} versions are recorded, {' and '.join(recorded)}.", again)
    elif not requirement.allows(version):
        reason = next((f" {why}" for text, why in REASONS if _is(parse_requirement(text), name, version)), "")
        fault = (
            f"{version} is installed. Expected: {_expected(requirement)}.{reason}",
            installation.install(requirement),
        )
    elif imported.fault is not None:
        fault = _import_fault(package, version, installation, imported)
    else:
        return Finding(name, OK, version)
    return Finding(name, FAIL, *fault)


def check_requirements(installation: Installation, packages: Sequence[Package] = PACKAGES) -> Iterator[Finding]:
    """Looks at what the packages require of each other and of further ones: a later installation may have changed it.

    Args:
        installation: Where they are looked for.
        packages: Those whose requirements are looked at.

    Yields:
        One finding for each package that is missing or of a wrong version, beside those that `check_package` tells of;
        or a single good one.
    """
    wanted: dict[str, dict[str, Requirement]] = {one.name: {OURSELVES: one.requirement} for one in packages}
    good = [one.name for one in packages if one.requirement.allows(installation.version(one.name) or "")]
    for name in good:  # what a refused version requires will not be required when that is mended
        for requirement in installation.requirements(name):
            wanted.setdefault(requirement.name, {})[name] = requirement
    wrong = 0
    for name, by in wanted.items():
        version = installation.version(name)
        unmet = [who for who, requirement in by.items() if version is None or not requirement.allows(version)]
        if unmet and OURSELVES not in unmet:  # else it is told already
            wrong += 1
            yield _unmet(name, version, {who: by[who] for who in unmet}, by, installation)
    if not wrong:
        further = len(wanted) - len(packages)
        yield Finding("requirements", OK, f"these go together, and the {further} packages that they require are there")


def _unmet(
    name: str,
    version: str | None,
    unmet: Mapping[str, Requirement],
    by: Mapping[str, Requirement],
    installation: Installation,
) -> Finding:
    """A package that others require otherwise; the command takes all that they want together."""
    who = " and ".join(f"{one} needs {requirement}" for one, requirement in unmet.items())
    bounds = tuple(dict.fromkeys(bound for requirement in by.values() for bound in requirement.bounds))
    found = "it is not installed" if version is None else f"{version} is installed"
    return Finding(name, FAIL, f"{who}; {found}.", installation.install(Requirement(name, bounds)))


def _import_fault(package: Package, version: str, installation: Installation, imported: Imported) -> tuple[str, str]:
    top = package.module.partition(".")[0]
    if not imported.found:
        message = f"Half installed: version {version} is recorded, but there is no module {top}."
        return message, installation.reinstall(package.requirement)
    if imported.lacks is None or imported.lacks == top:
        message = f"Half installed or broken: {version} cannot be imported: {imported.fault}."
        return message, installation.reinstall(package.requirement)
    if imported.lacks == installation.environment.get("KERAS_BACKEND"):
        message = f"{version} cannot be imported: {imported.fault}, which Keras 3 wants for KERAS_BACKEND."
        return message, "unset KERAS_BACKEND"
    missing = package_of(imported.lacks)
    lacking = package.requirement if missing is None else missing.requirement
    return f"{version} cannot be imported: {imported.fault}.", installation.install(lacking)


def _expected(requirement: Requirement) -> str:
    return requirement.versions or "any version"


def _is(refused: Requirement, name: str, version: str) -> bool:
    return refused.name == name and refused.allows(version)
