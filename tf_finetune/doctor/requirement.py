"""`Requirement`: a package and the versions that are allowed, as in ``tensorflow>=2.21,<2.22``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Requirement", "canonical", "parse_requirement", "release"]

Release = tuple[int, ...]

REQUIREMENT = re.compile(
    r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?", re.ASCII | re.DOTALL
)
BOUND = re.compile(r"\s*(>=|<=|==|!=|~=|>|<)\s*([^\s,]+)\s*", re.ASCII)

OPERATORS: dict[str, Callable[[Release, Release], bool]] = {
    ">=": lambda version, bound: version >= bound,
    "<=": lambda version, bound: version <= bound,
    ">": lambda version, bound: version > bound,
    "<": lambda version, bound: version < bound,
    "==": lambda version, bound: version == bound,
    "!=": lambda version, bound: version != bound,
}


@dataclass(frozen=True)
class Requirement:
    """A package and its allowed versions.

    Attributes:
        name: The package, in canonical form.
        bounds: Operators and versions, all of which must hold.
        marker: The condition under which it is required at all, unread; empty if it always is.
    """

    name: str
    bounds: tuple[tuple[str, str], ...] = ()
    marker: str = ""

    @property
    def versions(self) -> str:
        """The bounds as text; empty if any version is allowed."""
        return ",".join(operator + version for operator, version in self.bounds)

    def __str__(self) -> str:
        """As a package manager takes it."""
        return self.name + self.versions

    def allows(self, version: str) -> bool:
        """Whether a version is within the bounds; pre-releases count as their release."""
        return all(_holds(release(version), operator, bound) for operator, bound in self.bounds)


def parse_requirement(text: str) -> Requirement:
    """Reads a requirement as the metadata of packages has them; extras are dropped.

    Source: the grammar of the specification "Dependency specifiers" of the Python Packaging Authority.

    Raises:
        ValueError: It is none.
    """
    match = REQUIREMENT.fullmatch(text)
    name, versions, marker = match.groups(default="") if match else ("", "", "")
    found = [BOUND.fullmatch(part) for part in versions.split(",") if part.strip()]
    bounds = tuple((bound[1], bound[2]) for bound in found if bound is not None)
    if match is None or len(bounds) < len(found):
        raise ValueError(f"expected a requirement such as 'numpy>=2.0'. Received: {text!r:.80}")
    return Requirement(canonical(name), bounds, marker.strip())


def canonical(name: str) -> str:
    """A package's name in lower case, with ``-`` for what separates its words."""
    return re.sub(r"[-_.]+", "-", name).lower()


def release(version: str) -> Release:
    """The numbers that a version begins with: ``2.21.0rc1`` gives (2, 21, 0); none give ()."""
    match = re.match(r"v?(?:\d+!)?(\d+(?:\.\d+)*)", version.strip(), re.ASCII)
    return tuple(map(int, match[1].split("."))) if match else ()


def _holds(version: Release, operator: str, text: str) -> bool:
    bound = release(text)
    if operator == "~=":  # at least the bound, and equal to all of it but the last number
        return _holds(version, ">=", text) and version[: len(bound) - 1] == bound[:-1]
    if text.endswith(".*"):
        return OPERATORS[operator](version[: len(bound)], bound)
    length = max(len(version), len(bound))
    return OPERATORS[operator](_padded(version, length), _padded(bound, length))


def _padded(version: Release, length: int) -> Release:
    return version + (0,) * (length - len(version))
