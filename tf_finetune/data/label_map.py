"""The value of ``--label-map``: labels renamed, grouped or left out, as in ``1,2,3=negative;4..6=;7..10=positive``."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from tf_finetune.errors import ConfigError, DataError

__all__ = ["LabelMap", "parse_label_map"]

# a range is written out; nobody has more labels than this
MAX_RANGE = 10_000

_RANGE = re.compile(r"(-?[0-9]{1,18})\.\.(-?[0-9]{1,18})")


@dataclass(frozen=True)
class LabelMap:
    """A parsed map.

    Attributes:
        names: for each label of the data its new name, or None where its rows are left out.
        entries: the entries as written, each with the labels it stands for.
    """

    names: dict[str, str | None]
    entries: tuple[tuple[str, tuple[str, ...]], ...]

    def check_used(self, found: Collection[str]) -> None:
        """Refuses entries without effect.

        Args:
            found: the labels that the data has.

        Raises:
            DataError: No row has a label of some entry.
        """
        unused = [entry for entry, labels in self.entries if not any(label in found for label in labels)]
        if unused:
            shown = ", ".join(map(repr, sorted(found)[:20]))
            raise DataError(
                f"--label-map: no row has a label of {'; '.join(map(repr, unused))}. "
                f"Labels found: {shown}{', ...' if len(found) > 20 else ''}. Correct or remove what has no effect."
            )


def parse_label_map(text: str) -> LabelMap:
    """Parses ``labels=name;...``: commas between labels, ``4..6`` for 4, 5 and 6, an empty name to leave rows out.

    Raises:
        ConfigError: An entry is malformed, or a label occurs twice.
    """
    names: dict[str, str | None] = {}
    entries = []
    for entry in (part.strip() for part in text.split(";")):
        left, equals, name = entry.partition("=")
        if not equals or "=" in name or not left.strip():
            raise ConfigError(
                f"--label-map: expected entries such as 1,2,3=negative or 7..10=positive, separated by ';'. "
                f"Received {entry!r} in {text!r}."
            )
        labels = tuple(label for key in left.split(",") for label in _labels(key.strip(), entry))
        for label in labels:
            if label in names:
                raise ConfigError(f"--label-map: the label {label!r} occurs more than once in {text!r}.")
            names[label] = name.strip() or None
        entries.append((entry, labels))
    return LabelMap(names, tuple(entries))


def _labels(key: str, entry: str) -> tuple[str, ...]:
    if not key:
        raise ConfigError(f"--label-map: there is an empty label in {entry!r}; a comma is too many.")
    if ".." not in key:
        return (key,)
    found = _RANGE.fullmatch(key)
    if not found:
        raise ConfigError(f"--label-map: {key!r} in {entry!r} is no range of integers, such as 7..10.")
    first, last = int(found[1]), int(found[2])
    if not first <= last < first + MAX_RANGE:
        raise ConfigError(
            f"--label-map: the range {key!r} in {entry!r} must rise, and have at most {MAX_RANGE} integers."
        )
    return tuple(str(value) for value in range(first, last + 1))
