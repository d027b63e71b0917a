"""`Comparison`: one value in two runs, and all of them by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Comparison", "by_name", "compare"]

SHOWN = 80
"""Characters of a value in a line of text; of a SHA-256, 12."""


@dataclass(frozen=True)
class Comparison:
    """One thing in both runs.

    Attributes:
        what: Its name, such as ``versions.numpy``, ``weights`` or ``epoch 2 val_loss``.
        recorded: Its value in the recorded run; None if it has none there.
        now: Its value in the new run.
    """

    what: str
    recorded: Any
    now: Any

    @property
    def same(self) -> bool:
        """Whether both values are equal."""
        return bool(self.recorded == self.now)

    @property
    def line(self) -> str:
        """The comparison in words: ``fit.batch_size: 16, now 32``."""
        what, recorded, now = map(_text, (self.what, self.recorded, self.now))
        return f"{what}: {recorded}, now {now}"

    @property
    def texts(self) -> tuple[str, str, str]:
        """Name and values for a table; what is not there is a dash."""
        recorded, now = ("-" if value is None else _text(value) for value in (self.recorded, self.now))
        return _text(self.what), recorded, now


def compare(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Comparison, ...]:
    """A comparison for each name in either."""
    return tuple(Comparison(name, recorded.get(name), now.get(name)) for name in {**now, **recorded})


def by_name(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested objects, by names with dots: ``validation.accuracy``."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from by_name(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _text(value: Any) -> str:
    """A value for the terminal, on which no label or file name may write what it likes."""
    text = str(value)
    if len(text) == 64 and text.isalnum():
        return text[:12]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:SHOWN])
