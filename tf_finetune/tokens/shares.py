"""`Share`: which rows of each batch the replicas of one worker compute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Share"]


@dataclass(frozen=True)
class Share:
    """The part of one worker.

    Attributes:
        first: Number of the worker's first replica among those of all workers.
        replicas: Replicas of the worker.
        total: Replicas of all workers.
    """

    first: int
    replicas: int
    total: int

    def rows(self, batch: np.ndarray, replica: int) -> np.ndarray:
        """Rows of a batch for one of the worker's replicas: every `total`-th, so that their lengths are alike.

        Args:
            batch: int64 `[rows]`.
            replica: Number among the worker's, from 0.
        """
        return batch[self.first + replica :: self.total]
