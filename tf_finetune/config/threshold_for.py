"""Values of ``--threshold-for``: what an operating point has to reach."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tf_finetune.errors import ConfigError

__all__ = ["KINDS", "Target", "parse_threshold_for"]

KINDS = ("precision", "recall", "coverage")
NUMBER = re.compile(r"[0-9]*\.[0-9]+|[0-9]+")


@dataclass(frozen=True)
class Target:
    """What an operating point has to reach, in each class; `choose_operating_point` says what it means.

    Attributes:
        kind: One of `KINDS`.
        value: Above 0, below 1.
    """

    kind: str
    value: float

    def __str__(self) -> str:
        """As it is given: ``precision=0.95``."""
        return f"{self.kind}={self.value:g}"


def parse_threshold_for(text: str) -> Target:
    """Reads a value of ``--threshold-for``.

    Args:
        text: ``precision=0.95``, or ``recall=`` or ``coverage=`` and a number between 0 and 1.

    Raises:
        ConfigError: It is none of these.
    """
    kind, equals, number = (part.strip() for part in text.partition("="))
    if kind not in KINDS or not equals:
        raise ConfigError(
            f"--threshold-for {text:.80}: expected precision=, recall= or coverage= and a number, as in "
            f"precision=0.95. Received: {kind[:80]!r}."
        )
    if not NUMBER.fullmatch(number) or not 0 < float(number) < 1:
        raise ConfigError(
            f"--threshold-for {text:.80}: expected a number above 0 and below 1, as in {kind}=0.95. "
            f"Received: {number[:80]!r}."
        )
    return Target(kind, float(number))
