"""`measure_reliability`: whether rows of which a model is 80 % sure are right in 80 of 100 cases."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Bin", "Reliability", "measure_reliability"]


@dataclass(frozen=True)
class Bin:
    """Rows whose top probability is above `low` and at most `high`.

    Attributes:
        low: Lower end of the bin.
        high: Upper end of the bin.
        rows: How many rows there are.
        confidence: Their mean top probability; None without rows.
        accuracy: Share of them that are right; None without rows.
    """

    low: float
    high: float
    rows: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Reliability:
    """How far probabilities can be believed; the scores are those of `Scores`.

    Attributes:
        log_loss: Mean negative logarithm of the true class's probability.
        brier_score: Mean squared distance of probabilities and truth.
        ece: Expected calibration error over the bins.
        bins: 15 bins of the top probability, of equal width.
    """

    log_loss: float
    brier_score: float
    ece: float
    bins: tuple[Bin, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**dataclasses.asdict(self), "bins": [dataclasses.asdict(one) for one in self.bins]}


def measure_reliability(labels: np.ndarray, probabilities: np.ndarray, label_names: Sequence[str]) -> Reliability:
    """Measures it.

    Args:
        labels: integers `[n]`, index into `label_names`.
        probabilities: float `[n, labels]`; each row sums to one.
        label_names: Class names in index order.

    Raises:
        DataError: The arguments do not fit together.
    """
    import numpy as np

    from tf_finetune.evaluation import probability_scores
    from tf_finetune.evaluation.answers import checked_answers

    labels, exact = checked_answers(labels, probabilities, label_names)
    places, gaps = probability_scores.calibration_bins(labels, exact)
    top, count = exact.max(axis=1), probability_scores.CALIBRATION_BINS
    rows, confidences, hits = (
        np.bincount(places, weights=values, minlength=count).tolist() for values in (None, top, top - gaps)
    )
    return Reliability(
        log_loss=float(probability_scores.log_loss_rows(labels, exact).mean()),
        brier_score=float(probability_scores.brier_rows(labels, exact).mean()),
        ece=probability_scores.calibration_error(places, gaps),
        bins=tuple(
            Bin(
                low=place / count,
                high=(place + 1) / count,
                rows=rows[place],
                confidence=confidences[place] / rows[place] if rows[place] else None,
                accuracy=hits[place] / rows[place] if rows[place] else None,
            )
            for place in range(count)
        ),
    )
