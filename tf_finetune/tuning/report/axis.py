"""`Axis`: the values of one hyperparameter on a line from 0 to 1, linear, logarithmic or by category."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tf_finetune.pages.words import shorten, value_text
from tf_finetune.tuning.trial import Trial

__all__ = ["CATEGORY", "LINEAR", "LOG", "Axis", "axes_of"]

LINEAR = "linear"
LOG = "log"
CATEGORY = "category"

LOG_SPAN = 10
"""Positive values whose greatest is more than this many times the smallest are on a logarithmic scale."""

SLOT = 0.14
"""Room below the numbers for each value that has no place among them: none, and 0 on a logarithmic scale."""

TICK_GAP = 0.12
"""Least distance of two ticks."""


@dataclass(frozen=True)
class Axis:
    """One hyperparameter.

    Attributes:
        name: Its dotted name.
        kind: ``linear``, ``log`` or ``category``.
        apart: The categories; of numbers, the values that stand apart below them.
        numbers: The different numbers, ascending; none if it has categories.
    """

    name: str
    kind: str
    apart: tuple[Any, ...]
    numbers: tuple[float, ...] = ()

    def position(self, value: Any) -> float:
        """Where a value that a trial has lies, from 0 to 1."""
        if self.kind == CATEGORY:
            return _share(self.index(value), 0, len(self.apart) - 1)
        if value in self.apart:
            return SLOT * self.index(value)
        start = SLOT * len(self.apart)
        return start + (1 - start) * _share(*map(self._scaled, (value, self.numbers[0], self.numbers[-1])))

    def index(self, value: Any) -> int:
        """Number of a category, or of a value apart."""
        return [_key(one) for one in self.apart].index(_key(value))

    def ticks(self, *, width: int) -> list[tuple[float, str]]:
        """Position and label, of at most `width` characters, of the values to name: all if they are few."""
        marks: list[Any] = list(self.apart)
        if self.kind == CATEGORY:
            return _thinned([(self.position(one), shorten(value_text(one), width)) for one in marks])
        marks += self.numbers if len(self.numbers) <= 5 else self._round_numbers()
        return _thinned([(self.position(one), _label(one)) for one in marks])

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.kind == LOG else float(value)

    def _round_numbers(self) -> list[float]:
        """Round numbers within the range."""
        low, high = self.numbers[0], self.numbers[-1]
        if self.kind == LOG:
            powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            digits = (1,) if len(powers) > 4 else (1, 3) if len(powers) > 3 else (1, 2, 5)
            found = [float(f"{digit}e{power}") for power in powers for digit in digits]
        else:
            from matplotlib.ticker import MaxNLocator

            whole = all(float(number).is_integer() for number in self.numbers)
            found = [round(float(tick), 12) for tick in MaxNLocator(5, integer=whole).tick_values(low, high)]
        return [number for number in found if low <= number <= high]


def axes_of(trials: Sequence[Trial]) -> list[Axis]:
    """An axis for each hyperparameter of the trials, in the order of the space."""
    names = dict.fromkeys(name for trial in trials for name in trial.values)
    return [_axis(name, [trial.values.get(name) for trial in trials]) for name in names]


def _axis(name: str, values: Sequence[Any]) -> Axis:
    different = list({_key(value): value for value in values}.values())
    numbers = sorted(value for value in different if _is_number(value))
    if not numbers or any(value is not None and not _is_number(value) for value in different):
        return Axis(name, CATEGORY, tuple(sorted(different, key=_rank)))
    apart = [None] if None in different else []
    positive = [number for number in numbers if number > 0]
    if numbers[0] < 0 or not positive or positive[-1] <= LOG_SPAN * positive[0]:
        return Axis(name, LINEAR, tuple(apart), tuple(numbers))
    return Axis(name, LOG, (*apart, *(number for number in numbers if number == 0)), tuple(positive))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _key(value: Any) -> tuple[bool, str]:
    """Equal for equal values alone: 1 is 1.0, but not True, nor the text 1."""
    return isinstance(value, str), repr(float(value)) if _is_number(value) else str(value)


def _rank(value: Any) -> tuple[int, float, str]:
    """None and booleans first, then numbers, then texts."""
    if _is_number(value):
        return 1, value, ""
    return 2 if isinstance(value, str) else 0, 0.0, str(value)


def _label(value: float | None) -> str:
    whole = value is not None and abs(value) < 1e6 and float(value).is_integer()
    return value_text(int(value or 0) if whole else value)


def _share(value: float, low: float, high: float) -> float:
    return 0.5 if high <= low else (value - low) / (high - low)


def _thinned(ticks: Iterable[tuple[float, str]]) -> list[tuple[float, str]]:
    kept: list[tuple[float, str]] = []
    for position, label in ticks:
        if not kept or position - kept[-1][0] >= TICK_GAP:
            kept.append((position, label))
    return kept
