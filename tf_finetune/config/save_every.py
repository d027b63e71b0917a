"""Values of ``--save-every``: when a checkpoint is due."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tf_finetune.errors import ConfigError

__all__ = ["AUTO", "SavePolicy", "parse_save_every"]

AUTO = "auto"
AUTO_SECONDS = 600.0
AUTO_SHARE = 0.01
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
PART = re.compile(r"(?:(?P<number>[1-9][0-9]{0,8})(?P<unit>steps?|[smh])|epoch)")


@dataclass(frozen=True)
class SavePolicy:
    """When checkpoints are written; the first condition that holds counts.

    Attributes:
        seconds: Training time since the last one, or None.
        steps: Updates since the last one, or None.
        epochs: Whether one is written at the end of each epoch.
        share: Largest share of the run's time that checkpoints may take, or None: a checkpoint that would take more
            waits.
    """

    seconds: float | None = None
    steps: int | None = None
    epochs: bool = False
    share: float | None = None


def parse_save_every(value: str) -> SavePolicy:
    """Reads a value of ``--save-every``.

    Args:
        value: ``auto`` (every 10 minutes and at the end of each epoch, at most 1 % of the run's time), or one or more
            of ``90s``, ``10m``, ``2h``, ``500steps`` and ``epoch`` with commas between.

    Raises:
        ConfigError: It is none of these, or names a unit twice.
    """
    if value == AUTO:
        return SavePolicy(seconds=AUTO_SECONDS, epochs=True, share=AUTO_SHARE)
    found: dict[str, float | int | bool] = {}
    for part in value.split(","):
        match = PART.fullmatch(part.strip())
        if match is None:
            raise ConfigError(
                f"--save-every {value:.80}: expected auto, or for example 10m, 90s, 2h, 500steps, epoch or 10m,epoch. "
                f"Received: {part.strip()[:80]!r}."
            )
        unit = match["unit"]
        name = "epochs" if unit is None else "seconds" if unit in SECONDS else "steps"
        if name in found:
            raise ConfigError(f"--save-every {value}: {name} are given twice.")
        found[name] = unit is None or int(match["number"]) * SECONDS.get(unit, 1)
    steps = found.get("steps")
    return SavePolicy(
        seconds=found.get("seconds"), steps=None if steps is None else int(steps), epochs="epochs" in found
    )
