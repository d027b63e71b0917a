"""Options that files of earlier releases call otherwise: a recorded run stays readable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["renamed"]


def renamed(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The keys and values of a section as they are called today.

    ``fit.tensorboard: true`` is ``fit.tracker: [tensorboard]``.

    Args:
        section: Its name.
        values: Key to value, whatever they are.
    """
    found = dict(values)
    if section == "fit" and isinstance(found.get("tensorboard"), bool):
        found.setdefault("tracker", ["tensorboard"] if found["tensorboard"] else [])
        del found["tensorboard"]
    return found
