"""`Workers`: the processes that train one model together, which decide together and of which one writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tf_finetune.backend import tf
from tf_finetune.config.cluster import Cluster
from tf_finetune.tokens.shares import Share

__all__ = ["Workers"]


class Workers:
    """This process among those that train together.

    Args:
        cluster: Which they are; None for this one alone.
        strategy: Their strategy.
    """

    def __init__(self, cluster: Cluster | None, strategy: Any) -> None:
        self.cluster, self.strategy = cluster, strategy
        self._total = tf.function(self._sum_over_replicas, autograph=False)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run."""
        return self.cluster is None or self.cluster.is_chief

    @property
    def share(self) -> Share | None:
        """Which rows of each batch this process computes; None for all."""
        if self.cluster is None:
            return None
        total = self.strategy.num_replicas_in_sync
        replicas = total // len(self.cluster.addresses)
        return Share(first=self.cluster.index * replicas, replicas=replicas, total=total)

    def any(self, *wishes: bool) -> list[bool]:
        """For each wish, whether any of the workers has it. All workers must ask at the same place."""
        if self.cluster is None:
            return list(wishes)
        return [bool(count) for count in self._sum([float(wish) for wish in wishes])]

    def wait(self) -> None:
        """Waits until all workers are here."""
        if self.cluster is not None:
            self._sum([0.0])

    def batches(self, dataset: Any) -> int:
        """How many batches a dataset from `make_dataset` holds this process' share of; negative if that is unknown."""
        return int(dataset.cardinality()) // (self.share.replicas if self.share else 1)

    def distribute(self, dataset: Any, class_weight: Mapping[int, float] | None = None) -> Any:
        """A dataset of this process' share, as `fit` takes it.

        Args:
            dataset: From `make_dataset`.
            class_weight: Class index to weight, which `fit` takes for one process alone: here it becomes a weight of
                each row.
        """
        if self.cluster is None:
            return dataset
        if class_weight:
            weights = tf.constant([class_weight[label] for label in range(len(class_weight))], tf.float32)
            dataset = dataset.map(lambda inputs, labels: (inputs, labels, tf.gather(weights, labels)))
        return self.strategy.distribute_datasets_from_function(lambda _: dataset)

    def _sum(self, values: list[float]) -> list[float]:
        """Sums over the workers' replicas, each of which has its worker's values."""
        return [float(value) for value in self._total(tf.constant(values)).numpy()]

    def _sum_over_replicas(self, values: Any) -> Any:
        replicas = self.strategy.run(tf.identity, args=(values,))
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, replicas, axis=None)
