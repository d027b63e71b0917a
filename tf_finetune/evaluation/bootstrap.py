"""`paired_bootstrap`: how much better one model is than another on the same rows, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tf_finetune.errors import DataError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["METRICS", "Interval", "paired_bootstrap"]

METRICS = ("accuracy", "macro_f1", "loss")
"""Scores that can be compared, as `compute_scores` defines them; the loss is its `log_loss`."""

LEVEL = 0.95

LEAST_RESAMPLES = 100
"""With fewer, the ends of the interval would be mere extremes."""

CHUNK = 1 << 22
"""Most numbers of an array that is computed at once: 32 MB of float64."""


@dataclass(frozen=True)
class Interval:
    """A difference of two models' scores and its confidence interval.

    Attributes:
        estimate: Score of the second model minus score of the first, on the rows as they are.
        low: Lower end of the interval.
        high: Upper end of the interval.
        level: Share of such intervals that hold the true difference.
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
    resamples: int = 2000,
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
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(estimate), float(low), float(high), LEVEL, resamples, len(labels))


def _check(labels: np.ndarray, first: np.ndarray, second: np.ndarray, metric: str, resamples: int) -> None:
    import numpy as np

    if metric not in METRICS:
        raise DataError(f"`metric` must be one of {', '.join(METRICS)}. Received: {metric!r:.80}.")
    if resamples < LEAST_RESAMPLES:
        raise DataError(f"`resamples` must be at least {LEAST_RESAMPLES}. Received: {resamples}.")
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
    for rows in _slices(len(labels), logits.shape[1]):
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
    for draws in _slices(resamples, len(values)):
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

    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    score = _accuracy if metric == "accuracy" else _macro_f1

    def difference(counts: np.ndarray) -> np.ndarray:
        """Of resamples `[draws]`, from the counts of each kind of row `[draws, kinds]`."""
        true, *predicted = kinds.T
        scores = np.stack([score(counts, true, answer, classes) for answer in predicted])
        change: np.ndarray = scores[1] - scores[0]
        return change

    draws = np.empty(resamples)
    for part in _slices(resamples, max(len(kinds), classes)):
        draws[part] = difference(generator.multinomial(len(rows), counts / len(rows), part.stop - part.start))
    return float(difference(counts[None])[0]), draws


def _accuracy(counts: np.ndarray, true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Accuracy `[draws]` of rows of `kinds` kinds, which occur so often `[draws, kinds]`."""
    share: np.ndarray = counts[:, true == predicted].sum(axis=1) / counts.sum(axis=1)
    return share


def _macro_f1(counts: np.ndarray, true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Macro F1 `[draws]` of the same: 2 hits / (rows of the class + answers of the class); 0 where that is 0 / 0."""
    import numpy as np

    right = true == predicted
    hits = _by_class(counts[:, right], true[right], classes)
    rows_and_answers = _by_class(counts, true, classes) + _by_class(counts, predicted, classes)
    mean_f1: np.ndarray = (2 * hits / np.maximum(rows_and_answers, 1)).mean(axis=1)
    return mean_f1


def _by_class(counts: np.ndarray, of_class: np.ndarray, classes: int) -> np.ndarray:
    """Sums the kinds of rows `[draws, kinds]` that belong to each class: `[draws, classes]`."""
    import numpy as np
    from scipy.sparse import csr_array

    kinds = np.arange(len(of_class))
    sums: np.ndarray = counts @ csr_array((np.ones(len(kinds)), (kinds, of_class)), shape=(len(kinds), classes))
    return sums


def _slices(rows: int, width: int) -> Iterator[slice]:
    """Parts of `rows` rows of `width` numbers, each of at most `CHUNK` numbers (or of one row)."""
    step = max(1, CHUNK // width)
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))
