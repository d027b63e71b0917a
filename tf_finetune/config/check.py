"""Checks one value against the type and range of its option, strictly: nothing is rounded, guessed or cut."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable, Sequence
from typing import Any

from tf_finetune.config.option import Option, options_of
from tf_finetune.errors import ConfigError

__all__ = ["WHOLE_NUMBER", "coerce", "config_error", "normalize_section"]

WHOLE_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
TRUTH = {"true": True, "false": False}
WRONG = object()


def coerce(option: Option, value: Any, *, from_text: bool = False) -> Any:
    """Returns `value` as the type that `option` declares.

    Args:
        option: The option.
        value: A value of Python or YAML, or a string from the command line.
        from_text: Whether strings stand for values of any type, as on the command line. In a file and in Python, only
            numbers may be strings (YAML 1.1 reads ``3e-5`` as one).

    Raises:
        ConfigError: The value has another type, or is out of range. The message does not say where it came from.
    """
    if value is None and option.optional:
        return None
    converted = CONVERTERS[option.kind](value, from_text)
    if converted is WRONG or not _in_range(option, converted):
        items = value if isinstance(value, (list, tuple)) else [value]
        is_unquoted = option.kind in (str, tuple) and any(isinstance(item, (bool, int, float)) for item in items)
        hint = " Quotes make it text." if is_unquoted else ""
        raise ConfigError(f"expected {option.expected}. Received: {_shown(value)}.{hint}")
    return converted


def normalize_section(section: Any) -> None:
    """Checks all fields of a section object and gives each its declared type (a list becomes a tuple).

    Raises:
        ConfigError: All faults of the section, one a line.
    """
    faults = []
    for key, option in options_of(type(section)).items():
        try:
            object.__setattr__(section, key, coerce(option, getattr(section, key)))
        except ConfigError as error:
            faults.append(f"{type(section).__name__}.{key}: {error}")
    if faults:
        raise config_error(faults)


def config_error(faults: Sequence[str]) -> ConfigError:
    """One error that lists all `faults`."""
    if len(faults) == 1:
        return ConfigError(faults[0])
    return ConfigError("\n  ".join([f"{len(faults)} faults in the configuration:", *faults]))


def _to_bool(value: Any, from_text: bool) -> Any:
    if isinstance(value, bool):
        return value
    return TRUTH.get(value, WRONG) if from_text and isinstance(value, str) else WRONG


def _to_int(value: Any, from_text: bool) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if not (from_text and isinstance(value, str) and WHOLE_NUMBER.fullmatch(value)):
        return WRONG
    try:
        return int(value)
    except ValueError:  # Python refuses to read thousands of digits
        return WRONG


def _to_float(value: Any, from_text: bool) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and NUMBER.fullmatch(value)):
        return WRONG
    try:
        number = float(value)
    except OverflowError:
        return WRONG
    return number if math.isfinite(number) else WRONG


def _to_str(value: Any, from_text: bool) -> Any:
    return str(value) if isinstance(value, str) and value and "\0" not in value else WRONG


def _to_tuple(value: Any, from_text: bool) -> Any:
    items = (value,) if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        return WRONG
    texts = tuple(_to_str(item, from_text) for item in items)
    return WRONG if WRONG in texts else texts


CONVERTERS: dict[type, Callable[[Any, bool], Any]] = {
    bool: _to_bool,
    int: _to_int,
    float: _to_float,
    str: _to_str,
    tuple: _to_tuple,
}


def _in_range(option: Option, value: Any) -> bool:
    """Whether `value`, already of the right type, lies in the range of `option`."""
    if option.choices is not None:
        return set(value if option.kind is tuple else (value,)) <= set(option.choices)
    return (
        (option.minimum is None or value >= option.minimum)
        and (option.maximum is None or value <= option.maximum)
        and (option.above is None or value > option.above)
        and (option.below is None or value < option.below)
    )


def _shown(value: Any) -> str:
    """A value for a message, cut short: a file may hold anything."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else short.repr(value)
