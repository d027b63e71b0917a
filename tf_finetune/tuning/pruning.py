"""`is_hopeless`: the median rule, which stops a trial that is worse than half of the others at the same epoch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from tf_finetune.tuning.objective import direction

__all__ = ["LEAST_TRIALS", "is_hopeless"]

LEAST_TRIALS = 4
"""As many others must have come as far, or nothing is stopped: the median of a few says little."""

History = Sequence[Mapping[str, float]]


def is_hopeless(history: History, others: Sequence[History], objective: str) -> bool:
    """Whether the best value so far is worse than the median of the others' best values at the same epoch.

    The median stopping rule of Google Vizier (Golovin et al. 2017, 3.2.1), with the best value in place of the running
    mean, since the weights of the best epoch are kept.

    Args:
        history: Values of the trial's epochs so far.
        others: Values of the epochs of the trials that were finished; those that have not come as far do not count.
        objective: The value that decides.
    """
    epoch = len(history)
    peers = [_best(other[:epoch], objective) for other in others if len(other) >= epoch]
    if len(peers) < LEAST_TRIALS:
        return False
    middle, own = statistics.median(peers), _best(history, objective)
    return own < middle if direction(objective) == "max" else own > middle


def _best(history: History, objective: str) -> float:
    """The best value; of none that is a number, the worst there is."""
    values = [row[objective] for row in history if math.isfinite(row[objective])]
    return max(values, default=-math.inf) if direction(objective) == "max" else min(values, default=math.inf)
