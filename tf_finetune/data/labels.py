"""From label values (strings, integers, booleans) to class names and indices."""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence

from tf_finetune.data.label_map import LabelMap
from tf_finetune.errors import DataError

__all__ = ["LabelCollector", "label_name", "sort_labels"]

# a column with more values than this holds something else: ids, numbers, the texts
MAX_LABELS = 10_000

LEFT_OUT = -1

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def label_name(value: object) -> str | None:
    """The class name for a label value, or None where there is no label.

    Strings lose white space around them; 1 and 1.0 are "1", true is "true"; None, NaN and blank strings are no label.

    Raises:
        DataError: The value is of another type, or a number that is no integer.
    """
    if isinstance(value, str):
        return value.strip() or None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    shown = repr(value)[:60] if isinstance(value, float) else type(value).__name__
    raise DataError(f"a label must be a string, an integer or a boolean. Received {shown}")


def sort_labels(names: Iterable[str]) -> tuple[str, ...]:
    """Class names in index order: numerically if all are integers, else alphabetically."""
    ordered = sorted(names)
    if all(_INTEGER.fullmatch(name) for name in ordered):
        ordered.sort(key=int)
    return tuple(ordered)


class LabelCollector:
    """Collects the class of one row after the other, and complains once, when all rows are known.

    Args:
        label_map: new names of the labels.
        known: the class names, if they are settled: those of the training data.

    Attributes:
        codes: for each row kept, its class in order of first appearance (int32 `[n]`).
    """

    def __init__(self, *, label_map: LabelMap | None, known: Sequence[str] | None) -> None:
        self.codes = array("i")
        self._map = label_map
        self._known = None if known is None else tuple(known)
        self._names: dict[str, int] = {}
        self._code_of: dict[str, int] = {}
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        self._order: dict[str, None] = {}

    @property
    def left_out(self) -> int:
        """Rows that were not kept."""
        return self._counts.total() - len(self.codes)

    def add_order(self, names: Sequence[str] | None) -> None:
        """Takes the order of the class names that a source defines."""
        self._order.update(dict.fromkeys(names or ()))

    def add(self, label: str, origin: str, number: int) -> bool:
        """Takes the label of a row; returns whether the row is kept."""
        code = self._code_of.get(label)
        if code is None:
            code = self._admit(label, f"{origin}:{number}" if number else origin)
        self._counts[label] += 1
        if code == LEFT_OUT:
            return False
        self.codes.append(code)
        return True

    def _admit(self, label: str, where: str) -> int:
        """Gives a label that was not seen before its code."""
        try:
            label.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(f"{where}: the label {label!r} holds characters that cannot be written.") from error
        if len(self._counts) >= MAX_LABELS:
            raise DataError(f"{where}: over {MAX_LABELS} different labels. Is --label-column the right one?")
        self._first[label] = where
        name = label if self._map is None else self._map.names.get(label)
        wanted = name is not None and (self._known is None or name in self._known)
        code = self._names.setdefault(name, len(self._names)) if wanted and name is not None else LEFT_OUT
        self._code_of[label] = code
        return code

    def class_names(self, origin: str) -> tuple[str, ...]:
        """The class names in index order: as the sources define it if they know all names, else sorted.

        Args:
            origin: name of the data, for messages.

        Raises:
            DataError: A label is not mapped or not known, an entry of the map has no effect, or there is one class.
        """
        self._check_mapped()
        if self._known is not None:
            self._check_known(self._known)
            return self._known
        if self._map is not None:
            self._map.check_used(self._counts)
        if len(self._names) < 2:
            raise DataError(f"{origin}: {self._one_class_fault()}")
        if set(self._names) <= set(self._order):
            return tuple(name for name in self._order if name in self._names)
        return sort_labels(self._names)

    def index_of_codes(self, class_names: Sequence[str]) -> list[int]:
        """For each code the index in `class_names`."""
        return [class_names.index(name) for name in self._names]

    def note(self) -> str | None:
        """What the terminal should say about rows that the map left out."""
        if self._map is None:
            return None
        dropped = {label: n for label, n in self._counts.items() if self._map.names.get(label, "") is None}
        if not dropped:
            return None
        return f"--label-map left out {sum(dropped.values())} of {self._counts.total()} rows: {_listed(dropped)}."

    def _one_class_fault(self) -> str:
        only = f"only {next(iter(self._names))!r}" if self._names else "none"
        found = f"A classifier needs two or more classes. Found {only} in {self._counts.total()} rows"
        if self._map is not None:
            return f"{found}, once --label-map had been applied to {_listed(self._counts)}."
        return f"{found}. Give data of the other classes too, or the right --label-column."

    def _check_mapped(self) -> None:
        if self._map is None:
            return
        unmapped = {label: n for label, n in self._counts.items() if label not in self._map.names}
        if unmapped:
            raise DataError(
                f"--label-map has no entry for {_listed(unmapped)}. "
                f"Add them; an empty name leaves rows out: '{next(iter(unmapped))}='."
            )

    def _check_known(self, known: Sequence[str]) -> None:
        unknown = [label for label in self._counts if self._code_of[label] == LEFT_OUT]
        if self._map is not None:
            unknown = [label for label in unknown if self._map.names.get(label) is not None]
        if unknown:
            rows = ", ".join(
                f"{x!r} ({self._counts[x]} rows, first {self._first[x]})" for x in sort_labels(unknown)[:10]
            )
            raise DataError(
                f"Labels that the training data lacks: {rows}. Known labels: {', '.join(map(repr, known))}. "
                "Correct the labels, or map them with --label-map."
            )


def _listed(counts: dict[str, int]) -> str:
    shown = [f"{label!r} ({counts[label]} rows)" for label in sort_labels(counts)[:20]]
    return ", ".join(shown) + (f" and {len(counts) - 20} more" if len(counts) > 20 else "")
