"""Reads and writes the YAML of a configuration.

Scalars follow the core schema of YAML 1.2, not PyYAML's 1.1: ``no`` and ``2024-01-01`` are text, ``3e-5`` is a number,
``010`` is not the number eight. Nothing is constructed from a file but texts, numbers, truth values and lists of them.

Import this module inside functions: it loads PyYAML, which `--help` does without.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tf_finetune.config.check import NUMBER, WHOLE_NUMBER
from tf_finetune.errors import ConfigError

__all__ = ["Entry", "dump_value", "parse_value", "read_entries", "read_trees"]

WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
TEXT_TAG = "tag:yaml.org,2002:str"
TAGS = (TEXT_TAG, "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")


@dataclass(frozen=True)
class Entry:
    """One key of a file, or one fault of it.

    Attributes:
        where: File and line: ``run.yaml:4``.
        section: Name at the left margin.
        key: Name below it; None for a section as a whole.
        value: The value; None for a section as a whole.
        fault: What is wrong with the file here, if anything.
    """

    where: str
    section: str = ""
    key: str | None = None
    value: Any = None
    fault: str | None = None


def read_entries(path: Path) -> list[Entry]:
    """Reads all keys of a configuration file, in its order, with its faults among them."""
    root = _root(path, "--config")
    if isinstance(root, Entry):
        return [root]
    if root is None:
        return [Entry(str(path), fault="holds no settings. `tf-finetune init` writes a file to start from.")]
    if not isinstance(root, yaml.MappingNode):
        return [Entry(_where(path, root), fault=f"expected sections such as `fit:`. Received: {_noun(root)}.")]
    entries: list[Entry] = []
    for name, line, node in _pairs(path, root, entries):
        entries += _section_entries(path, name, line, node)
    return entries


def read_trees(path: Path, *, what: str) -> list[Entry]:
    """Reads a file of names, each with a value, a list, or names with values below it.

    Args:
        path: The file.
        what: The flag that names it.
    """
    root = _root(path, what)
    if isinstance(root, Entry):
        return [root]
    if not isinstance(root, yaml.MappingNode):
        found = "nothing" if root is None else _noun(root)
        return [Entry(str(path), fault=f"expected names with values. Received: {found}.")]
    entries: list[Entry] = []
    for key, line, node in _pairs(path, root, entries):
        where = f"{path}:{line}"
        try:
            if isinstance(node, yaml.MappingNode):
                value: Any = {name: _value(below) for name, _, below in _pairs(path, node, entries)}
            else:
                value = _value(node)
            entries.append(Entry(where, key=key, value=value))
        except ConfigError as error:
            entries.append(Entry(where, key=key, fault=f"{key}: {error}"))
    return entries


def _root(path: Path, what: str) -> yaml.Node | Entry | None:
    """The document of a file; None for an empty one, and an entry with its fault if it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return Entry(f"{what} {path}", fault=f"cannot be read: {error.strerror or error}.")
    try:
        found: yaml.Node | None = yaml.compose(content, Loader=yaml.BaseLoader)
        return found
    except (yaml.YAMLError, RecursionError) as error:
        return _syntax_fault(path, error)


def parse_value(text: str) -> Any:
    """The value of a YAML fragment, such as ``[a.csv, b.csv]``.

    Raises:
        ConfigError: The text is no YAML, or holds more than scalars and lists of scalars.
    """
    try:
        return _value(yaml.compose(text, Loader=yaml.BaseLoader))
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"expected a YAML value. Received: {text[:80]!r}.") from error


def dump_value(value: Any) -> str:
    """One value as one line of YAML, which `parse_value` and any other YAML reader read back as it was."""
    dumped: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=float("inf"), allow_unicode=True)
    return dumped.removesuffix("\n").removesuffix("...").removesuffix("\n")


class _Dumper(yaml.SafeDumper):
    """Quotes also what only `parse_value` would take for a number."""


def _represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(TEXT_TAG, value, style=None if _plain(value) == value else '"')


_Dumper.add_representer(str, _represent_text)


def _section_entries(path: Path, section: str, line: int, node: yaml.Node) -> list[Entry]:
    where = f"{path}:{line}"
    if isinstance(node, yaml.ScalarNode) and node.style is None and _plain(node.value) is None:
        return [Entry(where, section)]  # a section whose keys are all commented out
    if not isinstance(node, yaml.MappingNode):
        fault = f"{section}: expected keys. Received: {_noun(node)}."
        return [Entry(where, section), Entry(where, section, fault=fault)]
    entries = [Entry(where, section)]
    for key, key_line, value_node in _pairs(path, node, entries):
        try:
            entries.append(Entry(f"{path}:{key_line}", section, key, _value(value_node)))
        except ConfigError as error:
            entries.append(Entry(f"{path}:{key_line}", section, key, fault=f"{section}.{key}: {error}"))
    return entries


def _pairs(path: Path, node: yaml.MappingNode, entries: list[Entry]) -> list[tuple[str, int, yaml.Node]]:
    """The keys of a mapping with line and value; adds a fault to `entries` for each that is no name, or double."""
    if node.tag not in TAGS:
        entries.append(Entry(_where(path, node), fault=f"tags such as {node.tag:.80} are not read."))
    pairs: dict[str, tuple[str, int, yaml.Node]] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            entries.append(Entry(f"{path}:{line}", fault=f"expected a name. Received: {_noun(key)}."))
        elif key.value in pairs:
            first = pairs[key.value][1]
            entries.append(Entry(f"{path}:{line}", fault=f"`{key.value:.80}` stands here and in line {first}."))
        else:
            pairs[key.value] = (key.value, line, value)
    return list(pairs.values())


def _value(node: yaml.Node | None) -> Any:
    """A scalar, or a list of scalars."""
    if node is not None and node.tag not in TAGS:
        raise ConfigError(f"tags such as {node.tag[:80]} are not read.")
    if isinstance(node, yaml.SequenceNode):
        if not all(isinstance(item, yaml.ScalarNode) for item in node.value):
            raise ConfigError("expected a list of plain values. Received: a list that holds lists or keys.")
        return [_value(item) for item in node.value]
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigError(f"expected a value. Received: {'nothing' if node is None else _noun(node)}.")
    return _plain(node.value) if node.style is None else node.value


def _plain(text: str) -> Any:
    """A scalar without quotes: null, truth value, number, or else text."""
    if text in WORDS:
        return WORDS[text]
    try:
        if WHOLE_NUMBER.fullmatch(text):
            return int(text)
    except ValueError:  # Python refuses to read thousands of digits
        return text
    return float(text) if NUMBER.fullmatch(text) and not text.lstrip("+-").isdigit() else text


def _noun(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return repr(node.value[:80])
    return "a list" if isinstance(node, yaml.SequenceNode) else "keys with values"


def _where(path: Path, node: yaml.Node) -> str:
    return f"{path}:{node.start_mark.line + 1}"


def _syntax_fault(path: Path, error: Exception) -> Entry:
    mark = getattr(error, "problem_mark", None)
    where = str(path) if mark is None else f"{path}:{mark.line + 1}:{mark.column + 1}"
    problem = getattr(error, "problem", None) or (str(error).splitlines() or [type(error).__name__])[0]
    return Entry(where, fault=f"this is not YAML: {problem}.")
