"""Rows drawn anew: what all bootstrap intervals here have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tf_finetune.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from tf_finetune.evaluation.class_counts import ClassCounts

__all__ = ["LEVEL", "RESAMPLES", "check_resamples", "draw_counts", "draw_weights", "quantiles", "slices"]

LEVEL = 0.95

RESAMPLES = 2000
"""By default: the ends of the interval then stray by about a tenth of a standard error."""

LEAST_RESAMPLES = 100
"""With fewer, the ends of the interval would be mere extremes."""

CHUNK = 1 << 22
"""Most numbers of an array that is computed at once: 32 MB of float64."""


def check_resamples(resamples: int) -> None:
    """Refuses too few.

    Raises:
        DataError: They are fewer than `LEAST_RESAMPLES`.
    """
    if resamples < LEAST_RESAMPLES:
        raise DataError(f"`resamples` must be at least {LEAST_RESAMPLES}. Received: {resamples}.")


def quantiles(draws: np.ndarray) -> np.ndarray:
    """Ends of the percentile interval, float64 `[2, ...]`, of scores in each resample `[resamples, ...]`."""
    import numpy as np

    ends: np.ndarray = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return ends


def draw_counts(
    labels: np.ndarray, predicted: np.ndarray, classes: int, resamples: int, generator: np.random.Generator
) -> ClassCounts:
    """Hits, rows and answers of each class in resamples: float64 `[resamples, classes]` each.

    Rows with the same true class and the same answer are interchangeable: a resample is one draw of how often each such
    kind of row occurs, from the multinomial distribution.

    Args:
        labels: integers `[n]`, the true classes.
        predicted: integers `[n]`, the answers.
        classes: How many classes there are.
        resamples: How often the rows are drawn anew.
        generator: Of the draws.
    """
    import numpy as np

    from tf_finetune.evaluation.class_counts import ClassCounts, count_kinds

    kinds, counts = np.unique(labels.astype(np.int64) * classes + predicted, return_counts=True)
    shares = counts / len(labels)
    drawn = ClassCounts(*(np.empty((resamples, classes)) for _ in range(3)))
    for part in slices(resamples, max(len(kinds), classes)):
        found = generator.multinomial(len(labels), shares, part.stop - part.start)
        of_part = count_kinds(found, kinds // classes, kinds % classes, classes)
        drawn.hits[part], drawn.rows[part], drawn.answers[part] = of_part.hits, of_part.rows, of_part.answers
    return drawn


def draw_weights(rows: int, resamples: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """How often each of `rows` rows occurs in one resample after another, float64 `[rows]`."""
    import numpy as np

    for _ in range(resamples):
        drawn = generator.integers(0, rows, rows, np.int32 if rows < 1 << 31 else np.int64)
        yield np.bincount(drawn, minlength=rows).astype(np.float64)


def slices(rows: int, width: int) -> Iterator[slice]:
    """Parts of `rows` rows of `width` numbers, each of at most `CHUNK` numbers (or of one row)."""
    step = max(1, CHUNK // width)
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))
