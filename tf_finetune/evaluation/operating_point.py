"""`choose_operating_point`: how sure a model must be of a class before its answer is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tf_finetune.config.threshold_for import Target
from tf_finetune.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ClassThreshold", "OperatingPoint", "check_label_names", "choose_operating_point", "wilson_interval"]

LEAST_ACCEPTED = 10
"""Rows of a class that must be accepted: the share of right ones among fewer tells nothing."""

APART = 2e-6
"""Nearer probabilities are not told apart: the run, its exports and its servers round differently."""

Z = 1.959963984540054
"""97.5 % quantile of the normal distribution."""


def wilson_interval(hits: int, rows: int) -> tuple[float, float] | None:
    """Wilson's 95 % interval of a share (1927), "Probable Inference"; None without rows."""
    if not rows:
        return None
    share, weight = hits / rows, Z * Z / rows
    middle = (share + weight / 2) / (1 + weight)
    half = Z * math.sqrt(share * (1 - share) / rows + weight / (4 * rows)) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class _Accepted:
    """Rows of which the answer is taken.

    Attributes:
        predicted: Rows before any is refused.
        accepted: Those that are taken.
        right: Those of them that are right.
    """

    predicted: int
    accepted: int
    right: int

    @property
    def coverage(self) -> float | None:
        """Share of the rows that is accepted; None without rows."""
        return self.accepted / self.predicted if self.predicted else None

    @property
    def precision(self) -> float | None:
        """Share of the accepted rows that is right; None without any."""
        return self.right / self.accepted if self.accepted else None

    @property
    def precision_interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of the precision."""
        return wilson_interval(self.right, self.accepted)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        interval = self.precision_interval
        return {
            **vars(self),
            "coverage": self.coverage,
            "precision": self.precision,
            "precision_interval": None if interval is None else list(interval),
        }


@dataclass(frozen=True)
class ClassThreshold(_Accepted):
    """The operating point of one class.

    Attributes:
        rows: Rows of which it is the true class.
        threshold: Lowest probability with which the class is accepted; None if it never is.
        reason: Why the target is not reached; None if it is.
    """

    rows: int
    threshold: float | None
    reason: str | None

    @property
    def recall(self) -> float | None:
        """Share of the class's own rows that are accepted as it; None without any."""
        return self.right / self.rows if self.rows else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**super().to_dict(), "recall": self.recall}


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold for each class.

    Attributes:
        target: What was to be reached.
        label_names: Class names in index order.
        classes: One a class.
    """

    target: Target
    label_names: tuple[str, ...]
    classes: tuple[ClassThreshold, ...]

    @property
    def overall(self) -> _Accepted:
        """All classes together."""
        return _Accepted(*(sum(getattr(one, name) for one in self.classes) for name in vars(_Accepted(0, 0, 0))))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; a class is found under its name."""
        return {
            "target": {self.target.kind: self.target.value},
            **self.overall.to_dict(),
            "classes": {name: one.to_dict() for name, one in zip(self.label_names, self.classes, strict=True)},
        }


def choose_operating_point(
    labels: np.ndarray, probabilities: np.ndarray, label_names: Sequence[str], target: Target
) -> OperatingPoint:
    """Chooses for each class the probability from which on its rows are accepted; the others are uncertain.

    A row belongs to its most probable class. Rows of a class are accepted from the most probable one downwards:

    - ``precision``: as many as there can be while this share of them is right;
    - ``recall``: as few as there can be while this share of the class's own rows is among them;
    - ``coverage``: as few as there can be while they are this share of the rows predicted as the class.

    At least `LEAST_ACCEPTED` of a class are accepted; where that many cannot be, none is. A recall that is not reached
    with all rows accepts all of them. The rows that chose the thresholds flatter their precision a little: the interval
    beside it covers the chance of the rows, not that of the choice.

    Args:
        labels: integers `[n]`, index into `label_names`.
        probabilities: float32 `[n, labels]`, calibrated.
        label_names: Class names in index order.
        target: What is to be reached.

    Raises:
        ConfigError: A class is called as a decision is.
    """
    check_label_names(label_names)
    predicted = probabilities.argmax(axis=1)
    classes = []
    for place in range(len(label_names)):
        of_class = predicted == place
        classes.append(
            _choose(probabilities[of_class, place], labels[of_class] == place, int((labels == place).sum()), target)
        )
    return OperatingPoint(target, tuple(label_names), tuple(classes))


def check_label_names(label_names: Sequence[str]) -> None:
    """Refuses class names that a decision could not be told from.

    Raises:
        ConfigError: A class is called so.
    """
    from tf_finetune.serving.decision import UNCERTAIN

    if UNCERTAIN in label_names:
        raise ConfigError(
            f"--threshold-for: a class is called {UNCERTAIN!r}, as rows below a threshold are. Rename it: --label-map."
        )


def _choose(probabilities: np.ndarray, is_right: np.ndarray, rows: int, target: Target) -> ClassThreshold:
    """The threshold of one class.

    Args:
        probabilities: float `[k]`, the class's own, of the rows predicted as it.
        is_right: bool `[k]`.
        rows: Rows of which it is the true class.
        target: What is to be reached.
    """
    import numpy as np

    count = len(probabilities)
    order = np.argsort(-probabilities, kind="stable")
    falling = probabilities[order].astype(np.float64)
    hits = np.cumsum(is_right[order])  # of the first row, of the first two, ...
    sizes = np.append(np.flatnonzero(falling[:-1] - falling[1:] > APART) + 1, count)
    sizes = sizes[sizes >= LEAST_ACCEPTED]
    if not len(sizes):
        few = f"only {count} rows are predicted as it; at least {LEAST_ACCEPTED} are needed"
        return ClassThreshold(count, 0, 0, rows, None, few)
    reached = {
        "precision": hits[sizes - 1] / sizes,
        "recall": hits[sizes - 1] / max(rows, 1),
        "coverage": sizes / count,
    }[target.kind]
    good = sizes[reached >= target.value]
    reason = None if len(good) else f"the best {target.kind} of {LEAST_ACCEPTED} rows or more is {reached.max():.4f}"
    if not len(good):
        if target.kind == "precision" or not rows:
            return ClassThreshold(count, 0, 0, rows, None, reason)
        good = sizes[-1:]
    size = int(good[-1] if target.kind == "precision" else good[0])
    threshold = max(0.0, round(float(falling[size - 1]) - APART / 2, 6))
    return ClassThreshold(count, size, int(hits[size - 1]), rows, threshold, reason)
