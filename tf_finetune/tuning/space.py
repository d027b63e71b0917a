"""`Space`: which values a search may try, read from a YAML file or a mapping and checked against the options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tf_finetune.config.catalog import OPTIONS, SECTIONS, unknown_key
from tf_finetune.config.check import coerce, config_error
from tf_finetune.config.option import Option
from tf_finetune.errors import ConfigError

__all__ = ["Dimension", "Space", "read_space"]

RANGE_KEYS = ("min", "max", "step", "sampling")
SAMPLINGS = ("linear", "log")
SECTIONS_SEARCHED = ("tokens", "model", "fit")
REFUSED = {
    "tokens.cache_dir": "it has no effect on the score.",
    "model.devices": "it has no effect on the score.",
    "fit.tracker": "it has no effect on the score.",
    "fit.calibrate": "it has no effect on the score.",
    "fit.threshold_for": "it has no effect on the score.",
    "fit.deterministic": "it has no effect on the score but for chance.",
    "fit.monitor": "it is the objective of the search: give --objective.",
    "fit.seed": "a better seed is luck, not a better configuration. To see what chance does: --refit --seeds 3.",
}


@dataclass(frozen=True)
class Dimension:
    """One option and the values that may be tried for it: a list, or a range.

    Attributes:
        option: The option.
        values: The values of a list; empty for a range.
        low: Lower end of a range, part of it.
        high: Upper end of a range, part of it.
        step: Distance of the values of a range; None for any (whole numbers for an option of whole numbers).
        log: Whether the logarithm is drawn uniformly from a range.
    """

    option: Option
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False

    @property
    def name(self) -> str:
        """Dotted name of the option."""
        return self.option.path

    @property
    def is_ordered(self) -> bool:
        """Whether the values are numbers, which keras-tuner orders; else they cross its border as text."""
        return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in self.values)

    def to_json(self) -> Any:
        """The dimension as a space file has it."""
        if self.values:
            return list(self.values)
        found = {"min": self.low, "max": self.high, "step": self.step}
        return {**{key: value for key, value in found.items() if value is not None}, **self._sampling}

    @property
    def _sampling(self) -> dict[str, str]:
        return {"sampling": "log"} if self.log else {}


@dataclass(frozen=True)
class Space:
    """What a search may try.

    Attributes:
        dimensions: One for each option, in the order given.
    """

    dimensions: tuple[Dimension, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Dotted names of the options."""
        return tuple(dimension.name for dimension in self.dimensions)

    def to_dict(self) -> dict[str, Any]:
        """Dotted name to list or range, as `from_dict` takes it."""
        return {dimension.name: dimension.to_json() for dimension in self.dimensions}

    @classmethod
    def from_dict(cls, space: Mapping[str, Any]) -> Space:
        """Checks a mapping from dotted names to a list of values, or to ``min``, ``max``, ``step`` and ``sampling``.

        Raises:
            ConfigError: All faults, one a line.
        """
        return cls._checked(("space", name, value) for name, value in space.items())

    @classmethod
    def _checked(cls, entries: Iterable[tuple[str, str, Any]]) -> Space:
        dimensions, faults = [], []
        for where, name, value in entries:
            try:
                dimensions.append(_dimension(name, value))
            except ConfigError as error:
                faults.append(f"{where}: {error}")
        if faults:
            raise config_error(faults)
        if not dimensions:
            raise ConfigError("The space is empty: there is nothing to search. Name options, as in fit.batch_size.")
        return cls(tuple(dimensions))


def read_space(path: Path) -> Space:
    """Reads a space file: YAML with a dotted name and its list or range in each entry.

    Raises:
        ConfigError: All faults of the file, one a line.
    """
    from tf_finetune.config.yaml_file import read_trees

    found = read_trees(path, what="--space")
    faults = [f"{entry.where}: {entry.fault}" for entry in found if entry.fault]
    if faults:
        raise config_error(faults)
    return Space._checked((entry.where, entry.key or "", entry.value) for entry in found)


def _dimension(name: str, value: Any) -> Dimension:
    option = _option(name)
    if isinstance(value, (list, tuple)):
        return _list(option, value)
    if isinstance(value, Mapping):
        return _range(option, value)
    raise ConfigError(
        f"{name}: expected a list of values, or min and max. Received: {value!r:.80}. One value for all trials belongs "
        "into the configuration."
    )


def _option(name: str) -> Option:
    section, dot, key = name.partition(".")
    if not dot and name in OPTIONS:
        raise ConfigError(f"`{name}`: expected a dotted name. Did you mean {OPTIONS[name].path}?")
    if section not in SECTIONS or not dot:
        raise ConfigError(f"`{name:.80}`: expected a dotted name, as in fit.learning_rate.")
    if key not in SECTIONS[section]:
        raise ConfigError(unknown_key(section, key))
    if name in REFUSED:
        raise ConfigError(f"{name} cannot be searched: {REFUSED[name]}")
    if section == "data" and key != "max_train_samples":
        raise ConfigError(f"{name} cannot be searched: scores are compared on the same validation rows.")
    if section not in (*SECTIONS_SEARCHED, "data"):
        raise ConfigError(f"{name} cannot be searched: it has no effect on the score.")
    return SECTIONS[section][key]


def _list(option: Option, values: list[Any] | tuple[Any, ...]) -> Dimension:
    checked: list[Any] = []
    for value in values:
        try:
            checked.append(coerce(option, value))
        except ConfigError as error:
            raise ConfigError(f"{option.path}: {error}") from None
    if len(set(checked)) < 2 or len(set(checked)) < len(checked):
        raise ConfigError(f"{option.path}: expected two or more values, all different. Received: {list(values)!r:.80}.")
    return Dimension(option, tuple(checked))


def _range(option: Option, value: Mapping[str, Any]) -> Dimension:
    name = option.path
    unknown = [key for key in value if key not in RANGE_KEYS]
    if unknown:
        raise ConfigError(f"{name}: a range has {', '.join(RANGE_KEYS)}. Received: {unknown[0]!r:.80}.")
    if option.kind not in (int, float):
        raise ConfigError(f"{name}: expected a list of values: it is no number, so it has no range.")
    if "min" not in value or "max" not in value:
        raise ConfigError(f"{name}: a range needs both min and max.")
    try:
        low, high = (coerce(option, value[key]) for key in ("min", "max"))
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None
    if low is None or high is None or low >= high:
        raise ConfigError(f"{name}: min must be below max. Received: {value['min']} and {value['max']}.")
    sampling = value.get("sampling", SAMPLINGS[0])
    if sampling not in SAMPLINGS:
        raise ConfigError(f"{name}: sampling is linear or log. Received: {sampling!r:.80}.")
    log, step = sampling == "log", _step(name, option, value.get("step"), high - low)
    if log and low <= 0:
        raise ConfigError(f"{name}: a logarithmic range must lie above 0. Received: min {low}.")
    if log and step is not None:
        raise ConfigError(f"{name}: a step does not go with sampling: log. Give a list of values instead.")
    return Dimension(option, low=low, high=high, step=step, log=log)


def _step(name: str, option: Option, step: Any, width: float) -> float | None:
    if step is None:
        return None
    is_number = isinstance(step, (int, float)) and not isinstance(step, bool)
    if not is_number or not 0 < step <= width or (option.kind is int and step != int(step)):
        kind = "a whole number" if option.kind is int else "a number"
        raise ConfigError(f"{name}: step must be {kind} above 0 and at most max - min. Received: {step!r:.80}.")
    return int(step) if option.kind is int else float(step)
