"""From defaults, a file, flags and assignments to one checked `Config`; all faults are reported at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from tf_finetune.config.catalog import OPTIONS, SECTIONS, unknown_flag, unknown_key, unknown_section
from tf_finetune.config.check import coerce, config_error
from tf_finetune.config.cross import cross_faults
from tf_finetune.config.option import Option
from tf_finetune.config.renamed import renamed
from tf_finetune.config.sections import Config
from tf_finetune.errors import ConfigError

__all__ = ["resolve_config"]


@dataclass(frozen=True)
class Setting:
    """A value for an option, with the words that name its origin in messages."""

    origin: str
    option: Option
    value: Any
    from_text: bool


def resolve_config(
    *, file: Path | None = None, flags: Mapping[str, Any] | None = None, assignments: Sequence[str] = ()
) -> Config:
    """Puts a configuration together: defaults, then `file`, then `flags`, then `assignments`; the last one wins.

    Args:
        file: YAML file of sections and keys. Paths in it are relative to the working directory, as those of flags are.
        flags: Field name to value, only of those that were given; values may be text as typed.
        assignments: ``section.key=value`` each. ``null`` unsets; a list is written ``[a.csv, b.csv]``.

    Raises:
        ConfigError: All faults of all sources, one a line: where it stands, what was expected, what was received.
    """
    settings: list[Setting] = []
    misplaced: list[str] = []
    for item in (*_file_settings(file), *_flag_settings(flags or {}), *_assignment_settings(assignments)):
        if isinstance(item, Setting):
            settings.append(item)
        else:
            misplaced.append(item)
    values, faults = _checked(settings)
    if not misplaced:  # a key that could not be placed may be the one that a combination lacks
        merged = {key: option.default for key, option in OPTIONS.items()} | values
        wrong = frozenset(key for key, _ in faults)
        faults += [("", fault) for fault in cross_faults(merged, OPTIONS, wrong=wrong)]
    if misplaced or faults:
        raise config_error([*misplaced, *(fault for _, fault in faults)])
    return _build(values)


def _checked(settings: Iterable[Setting]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Values by key, and faults with the key that they concern."""
    values: dict[str, Any] = {}
    faults: list[tuple[str, str]] = []
    for setting in settings:
        try:
            values[setting.option.key] = coerce(setting.option, setting.value, from_text=setting.from_text)
        except ConfigError as error:
            faults.append((setting.option.key, f"{setting.origin}: {error}"))
    return values, faults


def _build(values: Mapping[str, Any]) -> Config:
    kinds = get_type_hints(Config)
    sections = {
        name: kinds[name](**{key: values[key] for key in table if key in values}) for name, table in SECTIONS.items()
    }
    return Config(**sections)


def _file_settings(file: Path | None) -> Iterator[Setting | str]:
    if file is None:
        return
    from tf_finetune.config.yaml_file import read_entries

    for entry in read_entries(file):
        if entry.section and entry.section not in SECTIONS:
            if entry.key is None and entry.fault is None:  # once a section, not once a key
                yield f"{entry.where}: {unknown_section(entry.section)}"
        elif entry.fault is not None:
            yield f"{entry.where}: {entry.fault}"
        elif entry.key is None:
            continue
        else:
            ((key, value),) = renamed(entry.section, {entry.key: entry.value}).items()
            if key not in SECTIONS[entry.section]:
                yield f"{entry.where}: {unknown_key(entry.section, key)}"
            else:
                option = SECTIONS[entry.section][key]
                yield Setting(f"{entry.where}: {option.path}", option, value, from_text=False)


def _flag_settings(flags: Mapping[str, Any]) -> Iterator[Setting | str]:
    for key, value in flags.items():
        if key in OPTIONS:
            yield Setting(OPTIONS[key].flag, OPTIONS[key], value, from_text=True)
        else:
            yield unknown_flag(key)


def _assignment_settings(assignments: Sequence[str]) -> Iterator[Setting | str]:
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        section, dot, key = path.strip().partition(".")
        origin = f"--set {path.strip():.80}"
        if not equals or not dot:
            hint = f" Write {OPTIONS[section].path}={text:.80}." if section in OPTIONS else ""
            yield f"--set {assignment:.80}: expected section.key=value.{hint}"
        elif section not in SECTIONS:
            yield f"{origin}: {unknown_section(section)}"
        elif key not in SECTIONS[section]:
            yield f"{origin}: {unknown_key(section, key)}"
        else:
            yield _assigned(origin, SECTIONS[section][key], text.strip())


def _assigned(origin: str, option: Option, text: str) -> Setting | str:
    if option.optional and text == "null":
        return Setting(origin, option, None, from_text=True)
    if option.kind is tuple and text.startswith("[") and text.endswith("]"):
        from tf_finetune.config.yaml_file import parse_value

        try:
            return Setting(origin, option, parse_value(text), from_text=True)
        except ConfigError as error:
            return f"{origin}: {error}"
    return Setting(origin, option, text, from_text=True)
