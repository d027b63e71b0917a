"""Command-line options made from the fields of the configuration, which checks their values.

Text is passed on as it was typed, so that all faults of a call are reported together. Only the options that were given
are passed on: the others leave the file's value, or the default, as it is.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from tf_finetune.config import RESUME_AUTO, Config, resolve_config
from tf_finetune.config.catalog import OPTIONS
from tf_finetune.config.check import coerce, config_error
from tf_finetune.config.option import Option, options_of
from tf_finetune.errors import ConfigError
from tf_finetune.run import ModelFolder

__all__ = [
    "ConfigOption",
    "config_params",
    "field_params",
    "given_fields",
    "given_section",
    "resolved_config",
    "section_params",
]

GIVEN = "tf_finetune.given"
FILE = "tf_finetune.file"
ASSIGNMENTS = "tf_finetune.assignments"
RESUME = OPTIONS["resume"].path
RUN_CONFIG = operator.attrgetter("config")
"""Where a run has its configuration."""


class ConfigOption(click.Option):
    """The command-line form of one field; its value goes to the context, not to the command's function."""

    def __init__(self, option: Option, *, help: str | None = None, grouped: bool = True) -> None:
        is_flag = option.kind is bool
        super().__init__(
            [option.declaration],
            is_flag=is_flag,
            type=None if is_flag else click.STRING,
            multiple=option.kind is tuple,
            default=None,
            metavar=None if is_flag else option.placeholder,
            help=help or _help(option),
            expose_value=False,
            callback=_remember,
        )
        self.option = option
        if grouped:
            self.section_title = f"{option.section.capitalize()} options"


def config_params(*, without: Iterable[str] = ()) -> list[click.Parameter]:
    """``--config``, ``--set`` and one option for each field; read them with `resolved_config`.

    Args:
        without: Keys of fields that the command does not take as flags.
    """
    file = click.Option(
        ["--config"],
        metavar="FILE",
        callback=_store(FILE),
        expose_value=False,
        help="YAML file; see `tf-finetune init`.",
    )
    assignments = click.Option(
        ["--set"],
        metavar="SECTION.KEY=VALUE",
        multiple=True,
        callback=_store(ASSIGNMENTS),
        expose_value=False,
        help="Set one value over file and flags, as in fit.learning_rate=3e-5; null unsets. May be repeated.",
    )
    left_out = set(without)
    return [file, assignments, *(ConfigOption(option) for key, option in OPTIONS.items() if key not in left_out)]


def field_params(*keys: str, **helps: str) -> list[click.Parameter]:
    """Options for the fields `keys` alone; read them with `given_fields`.

    Args:
        keys: Names of fields.
        helps: Name of a field to another help line, for commands where it means something narrower.
    """
    return [ConfigOption(OPTIONS[key], help=helps.get(key), grouped=False) for key in keys]


def section_params(section: type) -> list[click.Parameter]:
    """Options for the fields of a section that is no part of the configuration; read them with `given_section`."""
    return [ConfigOption(option) for option in options_of(section).values()]


def given_section(ctx: click.Context, section: type) -> dict[str, Any]:
    """The checked values of a section's fields that were given as flags, by key.

    Raises:
        ConfigError: All faults of the flags.
    """
    given: dict[str, Any] = ctx.meta.get(GIVEN, {})
    values, faults = {}, []
    for key, option in options_of(section).items():
        if key in given:
            try:
                values[key] = coerce(option, given[key], from_text=True)
            except ConfigError as error:
                faults.append(f"{option.flag}: {error}")
    if faults:
        raise config_error(faults)
    return values


def resolved_config(ctx: click.Context, *, recorded: Callable[[ModelFolder], Path] = RUN_CONFIG) -> Config:
    """The configuration that the call asks for.

    Args:
        ctx: The call.
        recorded: Where a folder that is gone on with has its configuration.

    Raises:
        ConfigError: All faults of file, flags and assignments.
    """
    file = ctx.meta.get(FILE)
    flags = {key: value for key, value in ctx.meta.get(GIVEN, {}).items() if key in OPTIONS}
    for path, _, value in (text.partition("=") for text in ctx.meta.get(ASSIGNMENTS, ())):
        if path.strip() == RESUME:  # however it is given, it names the file that all other values stand in
            flags["resume"] = value.strip()
    if flags.get("resume", RESUME_AUTO) != RESUME_AUTO:
        file = _resumed_file(flags, file, recorded)
    return resolve_config(
        file=None if file is None else Path(os.path.expanduser(file)),
        flags=flags,
        assignments=ctx.meta.get(ASSIGNMENTS, ()),
    )


def _resumed_file(flags: dict[str, Any], file: str | None, recorded: Callable[[ModelFolder], Path]) -> str | None:
    """The configuration of the run that is gone on with, which takes the place of a file and an output folder."""
    given = [name for name, value in (("--config", file), ("--output", flags.get("output"))) if value is not None]
    if given:
        raise ConfigError(
            f"--resume {flags['resume']} takes the configuration and the folder of the run: leave out "
            f"{' and '.join(given)}, or give --resume auto with all options of the run."
        )
    found = recorded(ModelFolder(Path(flags["resume"])))
    return str(found) if found.is_file() else None


def given_fields(ctx: click.Context) -> dict[str, Any]:
    """The checked values of the fields that were given as flags, by key.

    Raises:
        ConfigError: All faults of the flags.
    """
    given: dict[str, Any] = ctx.meta.get(GIVEN, {})
    sections = resolve_config(flags=given).to_dict()
    values = {key: sections[OPTIONS[key].section][key] for key in given}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _help(option: Option) -> str:
    default = f"default: {option.default_text}" if option.default_text else ""
    facts = [default, "" if option.choices else option.range, "may be repeated" if option.kind is tuple else ""]
    text = "; ".join(fact for fact in facts if fact)
    return f"{option.help}  [{text}]" if text else option.help


def _remember(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    if isinstance(parameter, ConfigOption) and ctx.get_parameter_source(parameter.option.key) is (
        ParameterSource.COMMANDLINE
    ):
        ctx.meta.setdefault(GIVEN, {})[parameter.option.key] = value


def _store(name: str) -> Any:
    def callback(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        ctx.meta[name] = value

    return callback
