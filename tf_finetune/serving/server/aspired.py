"""Which versions of a model folder are to be served, and their labels: by models.config, else the newest."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from tf_finetune.errors import ServingError
from tf_finetune.run import ModelFolder, is_version
from tf_finetune.serving.exported import ExportFolder
from tf_finetune.serving.formats.models_config import read_models_config

__all__ = ["Aspired", "Source", "find_source"]


@dataclass(frozen=True)
class Aspired:
    """What is to be served.

    Attributes:
        versions: Version numbers, ascending; those that have a folder.
        missing: Version numbers that models.config names, but that have none.
        labels: Label to version number.
    """

    versions: tuple[int, ...]
    missing: tuple[int, ...] = ()
    labels: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A model folder, or one version of it.

    Attributes:
        folder: The model folder.
        version: The only version to serve; None serves what models.config says, else the newest.
    """

    folder: ModelFolder
    version: int | None

    @property
    def config(self) -> Path:
        """Versions to serve and their labels; need not exist."""
        return self.folder.models_config

    def version_folder(self, version: int) -> Path:
        """The folder of a version."""
        return self.folder.path / str(version)

    def aspired(self) -> Aspired:
        """What is to be served at this moment.

        Raises:
            ServingError: models.config is damaged.
        """
        there = [v for v in self.folder.versions() if ExportFolder(self.version_folder(v)).saved_model.is_file()]
        if self.version is not None:
            return Aspired(tuple(v for v in there if v == self.version))
        if not self.config.is_file():
            return Aspired(tuple(there[-1:]))
        config = read_models_config(self.config)
        pinned = there[-1:] if config.versions is None else config.versions
        found, missing = (tuple(v for v in pinned if (v in there) == wanted) for wanted in (True, False))
        return Aspired(found, missing, dict(config.labels))


def find_source(folder: str | Path) -> Source:
    """What a path names: a model folder with at least one export, or a version folder in it.

    Raises:
        ServingError: It is neither.
    """
    path = ModelFolder(Path(folder)).path.resolve()
    if (path / "saved_model.pb").is_file():
        if is_version(path.name):
            return Source(ModelFolder(path.parent), int(path.name))
        raise ServingError(f"{path} is no version of a model: its name must be a number, as in saved_models/NAME/1.")
    if not path.is_dir():
        raise ServingError(
            f"There is no folder {path}. Expected a model folder (saved_models/NAME) or a version of it."
        )
    source = Source(ModelFolder(path), None)
    if not source.aspired().versions:
        name = shlex.quote(str(path))
        if source.folder.versions():
            where = f"{source.config} names versions that are not there. Name one that is: tf-finetune promote {name} N"
        else:
            where = f"it has no export. Write one: tf-finetune export {name}"
        raise ServingError(f"{path} has nothing to serve: {where}")
    return source
