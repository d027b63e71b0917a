"""`paired_bootstrap`: how much better one model is than another on the same rows, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tf_finetune.errors import DataError
from tf_finetune.evaluation.resampling import LEVEL, RESAMPLES, check_resamples, quantiles, slices

if TYPE_CHECKING:
    import numpy as np

__all__ = ["METRICS", "Interval", "paired_bootstrap"]

METRICS = ("accuracy", "macro_f1", "loss")
"""Scores that can be compared, as `compute_scores` defines them; the loss is its `log_loss`."""


@dataclass(frozen=True)
class Interval:
    """A score, or the difference of two models' scores, and its confidence interval.

    Attributes:
        estimate: The score on the rows as they are; of a difference, the second model's minus the first's.
        low: Lower end of the interval.
        high: Upper end of the interval.
        level: Share of such intervals that hold the true value.
        resamples: How often the rows were drawn anew.
        rows: Rows scored.
    """

    estimate: float
    low: float
    high: float
    level: float
    resamples: int
    rows: int


def paired_bootstrap(
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    metric: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Compares two models on the same rows by the paired bootstrap.

    The rows are drawn with replacement, both models' answers to a row together; the interval lies between the 2.5 %
    and the 97.5 % quantile of the differences: the percentile interval of Efron and Tibshirani, *An Introduction to
    the Bootstrap* (1993), chapter 13. It covers the chance of the rows, not that of another seed in training.

    Args:
        labels: integers `[n]`, the true classes.
        first: logits, float `[n, classes]`, of the first model.
        second: logits of the second model, of the same shape.
        metric: One of `METRICS`: ``accuracy``; ``macro_f1``, over all classes, absent ones counted as 0; ``loss``,
            the mean cross-entropy.
        resamples: How often the rows are drawn anew, at least 100.
        seed: Seed of the draws; equal arguments give equal intervals.

    Raises:
        DataError: The arguments do not fit together, or logits are not finite.
    """
    import numpy as np

    labels, first, second = (np.asarray(array) for array in (labels, first, second))
    _check(labels, first, second, metric, resamples)
    generator = np.random.default_rng(seed)
    if metric == "loss":
        changes = _losses(labels, second) - _losses(labels, first)
        estimate, draws = changes.mean(), _drawn_means(changes, resamples, generator)
    else:
        rows = np.stack([labels.astype(np.int64), first.argmax(axis=1), second.argmax(axis=1)], axis=1)
        estimate, draws = _hit_differences(rows, first.shape[1], metric, resamples, generator)
    low, high = quantiles(draws)
    return Interval(float(estimate), float(low), float(high), LEVEL, resamples, len(labels))


def _check(labels: np.ndarray, first: np.ndarray, second: np.ndarray, metric: str, resamples: int) -> None:
    import numpy as np

    if metric not in METRICS:
        raise DataError(f"`metric` must be one of {', '.join(METRICS)}. Received: {metric!r:.80}.")
    check_resamples(resamples)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise DataError(f"`labels` must be integers [n], one or more. Received: {labels.dtype} {list(labels.shape)}.")
    for name, logits in (("first", first), ("second", second)):
        if logits.ndim != 2 or logits.dtype.kind != "f" or len(logits) != len(labels) or logits.shape[1] < 2:
            raise DataError(
                f"`{name}` must be floats [{len(labels)}, classes]: a row a label, a column a class. "
                f"Received: {logits.dtype} {list(logits.shape)}."
            )
        if not np.isfinite(logits).all():
            raise DataError(f"`{name}` holds NaN or infinity: that model has diverged and cannot be compared.")
    if first.shape != second.shape:
        raise DataError(
            f"Both models must have the same classes. Received: {first.shape[1]} and {second.shape[1]} columns."
        )
    if labels.min() < 0 or labels.max() >= first.shape[1]:
        raise DataError(f"`labels` must lie in 0..{first.shape[1] - 1}. Received: {labels.min()} to {labels.max()}.")


def _losses(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Cross-entropy of each row, float64 `[n]`, clipped as scikit-learn's log_loss clips it."""
    import numpy as np

    losses = np.empty(len(labels))
    for rows in slices(len(labels), logits.shape[1]):
        exact = logits[rows].astype(np.float64)
        exact -= exact.max(axis=1, keepdims=True)
        true = np.take_along_axis(exact, labels[rows, None].astype(np.int64), axis=1)[:, 0]
        losses[rows] = np.log(np.exp(exact).sum(axis=1)) - true
    most: float = -np.log(np.finfo(np.float64).eps)
    return losses.clip(max=most)


def _drawn_means(values: np.ndarray, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Mean of `n` values in each resample, float64 `[resamples]`."""
    import numpy as np

    means = np.empty(resamples)
    for draws in slices(resamples, len(values)):
        rows = generator.integers(0, len(values), (draws.stop - draws.start, len(values)), np.int32)
        means[draws] = values[rows].mean(axis=1)
    return means


def _hit_differences(
    rows: np.ndarray, classes: int, metric: str, resamples: int, generator: np.random.Generator
) -> tuple[float, np.ndarray]:
    """Difference of accuracy or macro F1 on `rows`, and in each resample, float64 `[resamples]`.

    A row is its true class and the two answers, int64 `[n, 3]`.
    Rows with the same true class and the same two answers are interchangeable: a resample is one draw of how often
    each such kind of row occurs, from the multinomial distribution.
    """
    import numpy as np

    from tf_finetune.evaluation.class_counts import count_kinds

    kinds, counts = np.unique(rows, axis=0, return_counts=True)

    def difference(counts: np.ndarray) -> np.ndarray:
        """Of resamples `[draws]`, from the counts of each kind of row `[draws, kinds]`."""
        true, *answers = kinds.T
        first, second = (getattr(count_kinds(counts, true, answer, classes), metric) for answer in answers)
        change: np.ndarray = second - first
        return change

    draws = np.empty(resamples)
    for part in slices(resamples, max(len(kinds), classes)):
        draws[part] = difference(generator.multinomial(len(rows), counts / len(rows), part.stop - part.start))
    return float(difference(counts[None])[0]), draws
