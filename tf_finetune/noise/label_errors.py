"""`LabelErrors`: rows whose label is likely wrong, and the file of them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tf_finetune.audit.corpus import cut_text
from tf_finetune.files import write_text

__all__ = ["COLUMNS", "LabelError", "LabelErrors", "write_label_errors"]

COLUMNS = ("rank", "file", "row", "label", "suggested_label", "probability", "label_probability", "text", "pair")
"""Of the file; the last one of sentence pairs alone."""

LITTLE_SKILL = 0.25
"""Share of the way from the most frequent class to all labels; models that go less far do not judge labels well."""


@dataclass(frozen=True)
class LabelError:
    """A row whose label is likely wrong.

    Attributes:
        rank: From 1, the most likely one first.
        index: Row among the examples, from 0.
        file: Where it is from.
        row: Line or row there; 0 if the file is one text.
        label: The label that it has.
        suggested: The label that it should have, by a model that has not seen it.
        probability: Probability of the suggested label.
        label_probability: Probability of the label that it has.
        text: The text.
        pair: The second sentence, or None.
    """

    rank: int
    index: int
    file: str
    row: int
    label: str
    suggested: str
    probability: float
    label_probability: float
    text: str
    pair: str | None

    @property
    def place(self) -> str:
        """File and row: ``reviews.csv:17``."""
        return f"{self.file}:{self.row}" if self.row else self.file

    def excerpt(self, letters: int) -> str:
        """The start of the text, in one line."""
        return cut_text(" ".join(f"{self.text} {self.pair or ''}".split()), letters)


@dataclass(frozen=True)
class LabelErrors:
    """What was found.

    Attributes:
        errors: The most likely ones first.
        examined: Rows that were looked at.
        left_out: Rows that could not be, since their class has a single text.
        folds: Models that were trained.
        accuracy: Share of the examined rows whose label the model that has not seen them agrees with.
        majority: Share of the examined rows in the most frequent class.
        label_names: Class names in index order.
        joint: Rows by given label and by the class that they confidently belong to; see `confident_joint`.
    """

    errors: tuple[LabelError, ...]
    examined: int
    left_out: int
    folds: int
    accuracy: float
    majority: float
    label_names: tuple[str, ...]
    joint: tuple[tuple[int, ...], ...]

    @property
    def line(self) -> str:
        """What was found, in a sentence."""
        left_out = f" {self.left_out:,} rows of classes with a single text were left out." if self.left_out else ""
        share = len(self.errors) / self.examined
        verb = "are likely" if self.caution is None else "may be"
        return (
            f"{len(self.errors):,} of {self.examined:,} labels ({share:.1%}) {verb} wrong, by {self.folds} models "
            f"that had not seen them, which agree with {self.accuracy:.1%} of all labels.{left_out}"
        )

    @property
    def caution(self) -> str | None:
        """Why the list says little, in sentences; None if it does say something."""
        if self.accuracy >= self.majority + LITTLE_SKILL * (1 - self.majority):
            return None
        return (
            f"The models know little: they agree with {self.accuracy:.1%} of the labels, and naming the most frequent "
            f"class always would agree with {self.majority:.1%}. The list says little, too: train longer, or on more "
            "rows."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        errors = [dict(vars(error)) for error in self.errors]
        return {
            **vars(self),
            "errors": errors,
            "caution": self.caution,
            "label_names": list(self.label_names),
            "joint": list(self.joint),
        }


def write_label_errors(path: Path, found: LabelErrors) -> None:
    """Writes the rows as CSV (UTF-8), to be looked through and corrected at their source.

    Args:
        path: The file, which is replaced.
        found: What was found.
    """
    with io.StringIO(newline="") as file:
        has_pairs = any(error.pair is not None for error in found.errors)
        columns = COLUMNS if has_pairs else COLUMNS[:-1]
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cells(error)[: len(columns)] for error in found.errors])
        write_text(path, file.getvalue())


def _cells(error: LabelError) -> tuple[Any, ...]:
    numbers = f"{error.probability:.4f}", f"{error.label_probability:.4f}"
    place = error.file, error.row or ""
    return (error.rank, *place, error.label, error.suggested, *numbers, error.text, error.pair)
