"""`Installation`: the Python, the module path and the environment variables that are looked at."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata

from tf_finetune.doctor.requirement import Requirement, canonical, parse_requirement

__all__ = ["Installation"]


@dataclass(frozen=True)
class Installation:
    """What is looked at: this process's own by default.

    Attributes:
        path: Where modules and the metadata of packages are looked for, as `sys.path`.
        environment: Environment variables.
    """

    path: tuple[str, ...] = field(default_factory=lambda: tuple(sys.path))
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @cached_property
    def _found(self) -> dict[str, list[tuple[str, metadata.Distribution]]]:
        """Canonical name -> folder and metadata of each installation of the package, the one that counts first."""
        found: dict[str, list[tuple[str, metadata.Distribution]]] = {}
        for folder in dict.fromkeys(self.path):
            for one in metadata.distributions(path=[folder]):
                try:
                    name, version = one.metadata["Name"], one.metadata["Version"]
                except (KeyError, OSError, UnicodeDecodeError):  # newer Pythons raise where older ones give None
                    continue
                if name and version:
                    found.setdefault(canonical(name), []).append((folder, one))
        return found

    def version(self, name: str) -> str | None:
        """The recorded version of a package; None if there is no readable record of it."""
        found = self._found.get(canonical(name))
        return str(found[0][1].version) if found else None

    def recorded(self, name: str) -> list[str]:
        """All versions of a package that the folder of the first of them records: more than one is a fault."""
        found = self._found.get(canonical(name), [])
        return sorted({str(one.version) for folder, one in found if folder == found[0][0]})

    def requirements(self, name: str) -> list[Requirement]:
        """What a package requires in every case: no extras, nothing under a condition."""
        found = self._found.get(canonical(name))
        texts = (found[0][1].requires or []) if found else []
        parsed = []
        for text in texts:
            try:
                parsed.append(parse_requirement(text))
            except ValueError:
                continue  # of a package that no package manager would install
        return [requirement for requirement in parsed if not requirement.marker]

    def install(self, *requirements: Requirement | str, options: tuple[str, ...] = ()) -> str:
        """The command that installs packages for this Python."""
        return shlex.join([*self._manager("install"), *options, *map(str, requirements)])

    def reinstall(self, requirement: Requirement) -> str:
        """The command that installs a package anew, and leaves what it requires as it is."""
        return self.install(requirement, options=("--force-reinstall", "--no-deps"))

    def uninstall(self, *names: str) -> str:
        """The command that removes packages from this Python."""
        return shlex.join([*self._manager("uninstall"), *names])

    def _manager(self, verb: str) -> list[str]:
        """The package manager of this Python: pip, or uv where the environment was made without pip."""
        if importlib.util.find_spec("pip") is None and shutil.which("uv"):
            return ["uv", "pip", verb, "--python", sys.executable]
        return [sys.executable, "-m", "pip", verb, *(["-y"] if verb == "uninstall" else [])]
