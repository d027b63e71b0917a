"""The processes that train together, as one of them sees them."""

from types import SimpleNamespace

import pytest

from tf_finetune.config.cluster import Cluster


@pytest.mark.parametrize(
    ("cluster", "batches"),
    [(None, 12), (Cluster(("a:1", "b:1"), 1), 6), (Cluster(("a:1", "b:1", "c:1", "d:1"), 0), 12)],
)
def test_batches_have_a_part_for_each_replica_of_this_process(cluster, batches):
    from tf_finetune.backend import tf
    from tf_finetune.training.workers import Workers

    workers = Workers(cluster, SimpleNamespace(num_replicas_in_sync=4))
    dataset = tf.data.Dataset.range(12)
    assert workers.batches(dataset) == batches
    assert workers.batches(dataset.filter(lambda x: True)) < 0  # unknown
