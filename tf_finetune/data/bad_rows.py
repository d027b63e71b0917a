"""Rows without text or label: counted over the whole data set, the first of them listed."""

from __future__ import annotations

from collections import Counter

from tf_finetune.errors import DataError

__all__ = ["BadRows"]

LISTED = 10


class BadRows:
    """Collects the rows that cannot be used."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: list[str] = []

    def add(self, fault: str, origin: str, number: int) -> None:
        """Takes one row; `fault` is ``empty text``, ``no label``, ..."""
        self._counts[fault] += 1
        if len(self._first) < LISTED:
            self._first.append(f"{origin}:{number} ({fault})" if number else f"{origin} ({fault})")

    def count(self, fault: str) -> int:
        """Rows with this fault."""
        return self._counts[fault]

    @property
    def total(self) -> int:
        """Rows with any fault."""
        return self._counts.total()

    def settle(self, on_bad_row: str, *, rows: int) -> str | None:
        """What the terminal should say about rows that were skipped.

        Args:
            on_bad_row: ``error`` or ``skip``.
            rows: all rows that were read.

        Raises:
            DataError: There are such rows and `on_bad_row` is ``error``, or no other rows are left.
        """
        bad = self.total
        if not bad:
            return None
        faults = ", ".join(f"{count} with {fault}" for fault, count in self._counts.items())
        more = f" and {bad - LISTED} more" if bad > LISTED else ""
        listed = f"{bad} of {rows} rows cannot be used ({faults}): {', '.join(self._first)}{more}."
        if bad == rows:
            raise DataError(f"{listed} No row is left.")
        if on_bad_row == "error":
            raise DataError(f"{listed} Correct them, or leave them out with --on-bad-row skip.")
        return f"Skipped: {listed}"
