"""Installations made of stubs, to be broken: each package is a few lines of Python and a record of its version."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

import tf_finetune
from tf_finetune.doctor.installation import Installation
from tf_finetune.doctor.packages import PACKAGES

VERSIONS = {
    "click": "8.1.8",
    "numpy": "2.2.6",
    "protobuf": "6.32.0",
    "pyyaml": "6.0.2",
    "requests": "2.32.4",
    "rich": "14.0.0",
    "tqdm": "4.67.1",
    "importlib-resources": "6.5.2",
    "safetensors": "0.6.2",
    "tokenizers": "0.21.4",
    "huggingface-hub": "0.36.0",
    "pyarrow": "21.0.0",
    "scipy": "1.15.3",
    "scikit-learn": "1.7.1",
    "matplotlib": "3.10.5",
    "tensorflow": "2.21.0",
    "tf-keras": "2.21.0",
    "transformers": "4.54.1",
    "tensorboard": "2.21.0",
    "tensorflow-datasets": "4.9.10",
    "keras-tuner": "1.4.8",
}
REQUIRES = {
    "tensorflow": ["protobuf<8.0.0,>=6.31.1", "numpy>=1.26.0", "absl-py>=1.0.0; python_version > '4'"],
    "transformers": ["tokenizers<0.22,>=0.21", "numpy>=1.17", "torch>=2; extra == 'torch'"],
}
CODE = {
    "tensorflow/__init__.py": """
from types import SimpleNamespace as Space
import os
if os.environ.get("TF_USE_LEGACY_KERAS") == "1":
    import tf_keras as keras
else:
    keras = Space(__version__="3.15.1", Model="Keras 3")
get_logger = lambda: Space(setLevel=print)
config = Space(list_physical_devices=lambda kind: ["/gpu:0"])
""",
    "tf_keras/__init__.py": "__version__ = '2.21.0'\nModel = 'Keras 2'\n",
    "transformers/__init__.py": """
from types import SimpleNamespace as Space
import tensorflow

is_tf_available = lambda: True
logging = Space(set_verbosity_error=print, disable_progress_bar=print)
TFBertForSequenceClassification = "a class"
""",
    "huggingface_hub/constants/__init__.py": "ENDPOINT = 'https://hub.invalid'\nHF_HUB_OFFLINE = False\n",
    "huggingface_hub/utils.py": """
from types import SimpleNamespace as Space
get_session = lambda: Space(head=lambda url, **options: Space(status_code=200))
""",
}


class Site:
    """A folder of stubs, as of a virtual environment.

    Attributes:
        folder: The folder.
        path: Where its processes look for modules: here, in the standard library, and for tf_finetune.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        standard = [part for part in sys.path if part and "-packages" not in part]
        self.path = (str(folder), *standard, str(Path(tf_finetune.__file__).parents[1]))

    def installation(self, **environment: str | None) -> Installation:
        """The installation; None takes a variable away."""
        ours = {"TF_USE_LEGACY_KERAS", "USE_TF", "USE_TORCH", "KERAS_BACKEND", "PYTHONPATH"}
        values = {name: value for name, value in os.environ.items() if name not in ours} | environment
        return Installation(self.path, {name: value for name, value in values.items() if value is not None})

    def record(self, name: str, version: str, requires: tuple[str, ...] | list[str] = ()) -> None:
        """Writes the record of a package, as pip does."""
        folder = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        text = "\n".join([*lines, *(f"Requires-Dist: {requirement}" for requirement in requires)]) + "\n"
        (folder / "METADATA").write_text(text, encoding="utf-8")

    def forget(self, name: str) -> None:
        """Takes the records of a package away."""
        for folder in self.folder.glob(f"{name.replace('-', '_')}-*.dist-info"):
            shutil.rmtree(folder)

    def replace(self, name: str, version: str, requires: tuple[str, ...] | list[str] = ()) -> None:
        """Has another version of a package recorded."""
        self.forget(name)
        self.record(name, version, requires)

    def write(self, path: str, code: str) -> None:
        """Writes a module, with the packages that it is in."""
        file = self.folder / path
        for parent in reversed(file.relative_to(self.folder).parents[:-1]):
            (self.folder / parent).mkdir(exist_ok=True)
            (self.folder / parent / "__init__.py").touch()
        file.write_text(code, encoding="utf-8")

    def remove(self, path: str) -> None:
        """Takes a module or a folder of them away."""
        shutil.rmtree(self.folder / path) if (self.folder / path).is_dir() else (self.folder / path).unlink()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A whole installation of stubs, in which nothing is wrong."""
    folder = tmp_path / "site"
    folder.mkdir()
    made = Site(folder)
    for package in PACKAGES:
        made.record(package.name, VERSIONS[package.name], REQUIRES.get(package.name, []))
        made.write(package.module.replace(".", "/") + "/__init__.py", "")
    for path, code in CODE.items():
        made.write(path, code)
    return made
