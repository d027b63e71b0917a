"""All options of all sections by name, and what to say about a name that is none of them."""

from __future__ import annotations

import difflib
from typing import get_type_hints

from tf_finetune.config.option import Option, options_of
from tf_finetune.config.sections import Config

__all__ = ["OPTIONS", "SECTIONS", "unknown_flag", "unknown_key", "unknown_section"]

SECTIONS: dict[str, dict[str, Option]] = {name: options_of(kind) for name, kind in get_type_hints(Config).items()}
"""Section name to key to option, in the order of the dataclasses."""

OPTIONS: dict[str, Option] = {key: entry for table in SECTIONS.values() for key, entry in table.items()}
"""Key to option; keys are unique across sections, as they are flags."""


def unknown_section(name: str) -> str:
    """Says that the file has no such section, and what may have been meant."""
    if name in OPTIONS:
        return f"`{name}` is no section but a key of section `{OPTIONS[name].section}`: indent it under that name."
    near = difflib.get_close_matches(name, SECTIONS, n=1)
    hint = f"Did you mean `{near[0]}`?" if near else f"Sections are {', '.join(SECTIONS)}."
    return f"there is no section `{name:.80}`. {hint}"


def unknown_key(section: str, key: str) -> str:
    """Says that a section has no such key, and what may have been meant."""
    if key in OPTIONS:
        return f"section `{section}` has no key `{key}`; it belongs to section `{OPTIONS[key].section}`."
    near = difflib.get_close_matches(key, OPTIONS, n=1)
    hint = f"Did you mean {OPTIONS[near[0]].path}?" if near else f"Its keys are {', '.join(SECTIONS[section])}."
    return f"section `{section}` has no key `{key:.80}`. {hint}"


def unknown_flag(key: str) -> str:
    """Says that no option has this name, and what may have been meant."""
    near = difflib.get_close_matches(key, OPTIONS, n=1)
    return f"there is no option `{key:.80}`." + (f" Did you mean `{near[0]}`?" if near else "")
