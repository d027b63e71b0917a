"""A configuration as YAML text: plain for a run folder, commented for a file to start from."""

from __future__ import annotations

import textwrap
from typing import get_type_hints

from tf_finetune.config.catalog import SECTIONS
from tf_finetune.config.option import Option
from tf_finetune.config.sections import Config

__all__ = ["commented_config", "write_config"]

WIDTH = 100
HEAD = """\
# Configuration of tf-finetune. Use it with: tf-finetune fit --config FILE
# Flags of the command line win over this file; keys left out keep their default.
"""


def write_config(config: Config) -> str:
    """The YAML text of `config`, every key in the order of the dataclasses; itself a valid ``--config``."""
    return "\n".join(f"{section}:\n{_keys(config, section, comments=False)}" for section in SECTIONS) + "\n"


def commented_config(config: Config | None = None) -> str:
    """The same, with the help line and the range of each key above it.

    Args:
        config: Values to write; all defaults by default.
    """
    config = Config() if config is None else config
    kinds = get_type_hints(Config)
    parts = [HEAD]
    for section in SECTIONS:
        parts.append(f"# {kinds[section].__doc__}\n{section}:\n{_keys(config, section, comments=True)}\n")
    return "\n".join(parts)


def _keys(config: Config, section: str, *, comments: bool) -> str:
    from tf_finetune.config.yaml_file import dump_value

    values = config.to_dict()[section]
    lines: list[str] = []
    for key, option in SECTIONS[section].items():
        lines += _comment(option) if comments else []
        lines.append(f"  {key}: {dump_value(values[key])}")
    return "\n".join(lines)


def _comment(option: Option) -> list[str]:
    text = f"{option.help} [{option.range}]" if option.range else option.help
    return textwrap.wrap(text, WIDTH, initial_indent="  # ", subsequent_indent="  # ", break_on_hyphens=False)
