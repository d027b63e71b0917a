"""`score_intervals`: how sure the scores of a model are, by the bootstrap."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tf_finetune.evaluation.answers import checked_answers
from tf_finetune.evaluation.bootstrap import Interval
from tf_finetune.evaluation.resampling import (
    LEVEL,
    RESAMPLES,
    check_resamples,
    draw_counts,
    draw_weights,
    quantiles,
)

if TYPE_CHECKING:
    import numpy as np

__all__ = ["METHOD", "OF_COUNTS", "ScoreIntervals", "count_intervals", "interval_of", "score_intervals"]

METHOD = "percentile bootstrap over rows, not stratified; of the calibration error the basic bootstrap"

OF_COUNTS = ("accuracy", "macro_f1", "weighted_f1", "mcc")
OF_CLASSES = ("precision", "recall", "f1")
OF_WEIGHTS = ("auroc", "average_precision", "log_loss", "brier_score", "ece")

LEAST_DEFINED = 0.5
"""Share of the resamples in which a score must be defined to have an interval."""


@dataclass(frozen=True)
class ScoreIntervals:
    """Intervals of all scores of a model on one data set.

    Attributes:
        scores: By the name of the field of `Scores`; undefined ones are missing.
        classes: One a class in index order: intervals of ``precision``, ``recall`` and ``f1``.
        resamples: How often the rows were drawn anew.
        seed: Seed of the draws.
    """

    scores: Mapping[str, Interval]
    classes: tuple[Mapping[str, Interval], ...]
    resamples: int
    seed: int

    def to_dict(self, label_names: Sequence[str]) -> dict[str, Any]:
        """Plain JSON types: the method, and the two ends of each interval."""
        return {
            "method": METHOD,
            "level": LEVEL,
            "resamples": self.resamples,
            "seed": self.seed,
            "scores": _ends(self.scores),
            "classes": {name: _ends(one) for name, one in zip(label_names, self.classes, strict=True)},
        }


def _ends(intervals: Mapping[str, Interval]) -> dict[str, list[float]]:
    return {name: [interval.low, interval.high] for name, interval in intervals.items()}


def score_intervals(
    labels: np.ndarray,
    probabilities: np.ndarray,
    label_names: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> ScoreIntervals:
    """95 % bootstrap intervals of all scores that `compute_scores` gives.

    The rows are drawn with replacement, as many as there are; the interval lies between the 2.5 % and the 97.5 %
    quantile of the scores of such draws: the percentile interval of Efron and Tibshirani, *An Introduction to the
    Bootstrap* (1993), chapter 13. The draws are not stratified: the share of each class is left to chance as well, as
    it is in new data. Draws in which AUROC and average precision are undefined, because a class has no row, are left
    out of their quantiles; where that is more than half of them, there is no interval.

    The expected calibration error is the exception: it is a sum of absolute values, so each draw of rows adds to it,
    and its percentile interval lies too high. It has the basic interval of chapter 13.4 (twice the estimate, less the
    quantiles), from 0 on, stretched to hold the estimate. In simulations it held the true value in 88 to 95 of 100
    cases (percentile: 66 to 93), but that of a perfectly calibrated model in 65 (percentile: 0): near 0, its lower end
    says too much.

    It covers the chance of the rows, not that of another seed in training. Where all rows are alike, as where not one
    is wrong, the draws are, too, and the interval has no width: the bootstrap cannot tell then.

    Memory grows with the rows times the classes, not with the resamples. 2,000 resamples of 25,000 rows of two classes
    take about two seconds, of 1,000,000 rows about a minute; each further class adds less than half of that.

    Args:
        labels: integers `[n]`, index into `label_names`.
        probabilities: float `[n, labels]`; each row sums to one.
        label_names: class names in index order; two or more, all different.
        resamples: How often the rows are drawn anew, at least 100.
        seed: Seed of the draws; equal arguments give equal intervals.

    Raises:
        DataError: The arguments do not fit together, or `probabilities` holds something else (logits, NaN).
    """
    check_resamples(resamples)
    labels, exact = checked_answers(labels, probabilities, label_names)
    of_counts, of_weights = _generators(seed)
    scores, classes = _count_intervals(labels, exact.argmax(axis=1), exact.shape[1], resamples, of_counts)
    scores |= _weight_intervals(labels, exact, resamples, of_weights)
    return ScoreIntervals(scores, classes, resamples, seed)


def count_intervals(
    confusion: Sequence[Sequence[int]], *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[dict[str, Interval], tuple[dict[str, Interval], ...]]:
    """Those of the intervals of `score_intervals` that follow from the confusion matrix, from the same draws.

    Args:
        confusion: Rows of each `[true][predicted]` pair of classes.
        resamples: How often the rows are drawn anew.
        seed: Seed of the draws.

    Returns:
        Intervals of the scores of all classes together by their names, and those of each class.
    """
    import numpy as np

    counts = np.array(confusion, np.int64)
    true, predicted = np.nonzero(counts)
    times = counts[true, predicted]
    of_counts, _ = _generators(seed)
    return _count_intervals(np.repeat(true, times), np.repeat(predicted, times), len(counts), resamples, of_counts)


def _generators(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """Of the scores that follow from counts, and of the others."""
    import numpy as np

    first, second = (np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(2))
    return first, second


def _count_intervals(
    labels: np.ndarray, predicted: np.ndarray, classes: int, resamples: int, generator: np.random.Generator
) -> tuple[dict[str, Interval], tuple[dict[str, Interval], ...]]:
    """Of the scores that need no probabilities: of all classes together, and of each one."""
    from tf_finetune.evaluation.class_counts import confusion_matrix, of_confusion

    exact = of_confusion(confusion_matrix(labels, predicted, classes))
    drawn = draw_counts(labels, predicted, classes, resamples, generator)
    scores = {name: interval_of(getattr(exact, name), getattr(drawn, name), len(labels)) for name in OF_COUNTS}
    one: list[dict[str, Interval]] = [{} for _ in range(classes)]
    for name in OF_CLASSES:
        for i, (estimate, draws) in enumerate(zip(getattr(exact, name), getattr(drawn, name).T, strict=True)):
            one[i][name] = interval_of(estimate, draws, len(labels))
    return scores, tuple(one)


def _weight_intervals(
    labels: np.ndarray, exact: np.ndarray, resamples: int, generator: np.random.Generator
) -> dict[str, Interval]:
    """Of the scores that need the probabilities of each row."""
    import numpy as np

    from tf_finetune.evaluation.probability_scores import brier_rows, calibration_bins, calibration_error, log_loss_rows
    from tf_finetune.evaluation.ranking import mean_scores, rankings

    rows = np.stack([log_loss_rows(labels, exact), brier_rows(labels, exact)])
    bins, gaps = calibration_bins(labels, exact)
    ranked = rankings(labels, exact)

    def scores(weights: np.ndarray) -> tuple[float, ...]:
        """In the order of `OF_WEIGHTS`."""
        return (*mean_scores(ranked, weights), *(rows @ weights / len(labels)), calibration_error(bins, gaps, weights))

    estimates = scores(np.ones(len(labels)))
    drawn = np.array([scores(weights) for weights in draw_weights(len(labels), resamples, generator)])
    found = {}
    for name, estimate, draws in zip(OF_WEIGHTS, estimates, drawn.T, strict=True):
        defined = draws[~np.isnan(draws)]
        if np.isnan(estimate) or len(defined) < LEAST_DEFINED * resamples:
            continue
        interval = interval_of(estimate, defined, len(labels))
        found[name] = _reflected(interval) if name == "ece" else interval
    return found


def _reflected(percentile: Interval) -> Interval:
    """The basic interval of a score of 0 or more; stretched, if need be, to hold the estimate."""
    doubled = 2 * percentile.estimate
    low = min(max(doubled - percentile.high, 0.0), percentile.estimate)
    return dataclasses.replace(percentile, low=low, high=max(doubled - percentile.low, percentile.estimate))


def interval_of(estimate: float, draws: np.ndarray, rows: int) -> Interval:
    """The percentile interval.

    Args:
        estimate: The score on the rows as they are.
        draws: The score in each resample, float64 `[resamples]`.
        rows: How many rows were scored.
    """
    low, high = quantiles(draws)
    return Interval(float(estimate), float(low), float(high), LEVEL, len(draws), rows)
