"""One option: a dataclass field with its type, default, range and help line.

Flags, YAML keys, messages and the option table are all worded here, so that they agree.
"""

from __future__ import annotations

import dataclasses
import types
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

__all__ = ["Option", "option", "options_of"]

KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text that is not empty",
    tuple: "text or a list of texts, none of them empty",
}
METAVARS: dict[type, str] = {bool: "", int: "N", float: "X", str: "TEXT", tuple: "TEXT"}


@dataclass(frozen=True)
class Option:
    """One field of a section, as it appears on the command line and in a file.

    Attributes:
        section: Name of the section: ``fit``.
        key: Name of the field: ``learning_rate``.
        kind: ``bool``, ``int``, ``float``, ``str`` or ``tuple`` (of strings).
        optional: Whether None is allowed.
        default: Value of the field when nothing is given.
        help: One line for users, with the unit.
        minimum: Lower end of the range, part of it.
        maximum: Upper end of the range, part of it.
        above: Lower end of the range, not part of it.
        below: Upper end of the range, not part of it.
        choices: The only texts allowed; of a tuple, for each of its items.
        metavar: What stands for the value in usage lines.
    """

    section: str
    key: str
    kind: type
    optional: bool
    default: Any
    help: str
    minimum: float | None
    maximum: float | None
    above: float | None
    below: float | None
    choices: tuple[str, ...] | None
    metavar: str | None

    @property
    def path(self) -> str:
        """Dotted name, as `--set` takes it: ``fit.learning_rate``."""
        return f"{self.section}.{self.key}"

    @property
    def flag(self) -> str:
        """Name on the command line: ``--learning-rate``."""
        return "--" + self.key.replace("_", "-")

    @property
    def declaration(self) -> str:
        """The flag, with its negation for true-or-false options: ``--export/--no-export``."""
        return f"{self.flag}/--no-{self.flag[2:]}" if self.kind is bool else self.flag

    @property
    def placeholder(self) -> str:
        """What stands for the value in usage lines: ``N``, ``PATH``, ``[head|tail]``."""
        return f"[{'|'.join(self.choices)}]" if self.choices else self.metavar or METAVARS[self.kind]

    @property
    def range(self) -> str:
        """The range in words, empty without one: ``at least 0, below 1``."""
        if self.choices:
            return ("any of " if self.kind is tuple else "one of ") + ", ".join(self.choices)
        ends = {"at least": self.minimum, "above": self.above, "at most": self.maximum, "below": self.below}
        return ", ".join(f"{words} {end:.12g}" for words, end in ends.items() if end is not None)

    @property
    def expected(self) -> str:
        """What a value must be, for messages: ``a whole number, at least 1, or null``."""
        words = self.range if self.choices else ", ".join(part for part in (KINDS[self.kind], self.range) if part)
        return f"{words}, or null" if self.optional else words

    @property
    def default_text(self) -> str:
        """The default as a file would hold it; empty where nothing is set."""
        if self.default is None or self.default == ():
            return ""
        return str(self.default).lower() if self.kind is bool else str(self.default)


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
    metavar: str | None = None,
) -> Any:
    """A dataclass field with its help line and its range.

    `minimum` and `maximum` belong to the range, `above` and `below` do not.
    """
    metadata = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "above": above,
        "below": below,
        "choices": choices,
        "metavar": metavar,
    }
    return field(default=default, metadata=metadata)


def options_of(section: Any) -> dict[str, Option]:
    """The options of a section class, by key, in the order of its fields; ``FitConfig`` is the section ``fit``."""
    return _options_of(section)


@cache
def _options_of(section: Any) -> dict[str, Option]:
    hints = get_type_hints(section)
    name = section.__name__.removesuffix("Config").lower()
    table = {}
    for item in dataclasses.fields(section):
        kind, optional = _kind(hints[item.name])
        table[item.name] = Option(name, item.name, kind, optional, item.default, **item.metadata)
    return table


def _kind(annotation: Any) -> tuple[type, bool]:
    """Splits ``int | None`` into ``(int, True)`` and ``tuple[str, ...]`` into ``(tuple, False)``."""
    optional = False
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        optional, annotation = len(members) < len(get_args(annotation)), members[0]
    kind = get_origin(annotation) or annotation
    if kind not in KINDS or (kind is tuple and get_args(annotation) != (str, ...)):
        raise TypeError(f"An option is one of bool, int, float, str, tuple[str, ...]. Received: {annotation!r}.")
    return kind, optional
