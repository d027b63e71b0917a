"""The shares of all replicas are each batch, once."""

import numpy as np
import pytest

from tests.tokens.families import random_texts
from tf_finetune.data import Examples
from tf_finetune.tokens.shares import Share
from tf_finetune.tokens.table import encode


@pytest.mark.parametrize(("workers", "replicas"), [(2, 1), (3, 1), (2, 2), (5, 1)])
@pytest.mark.parametrize("rows", [1, 3, 8, 17])
def test_the_replicas_have_all_rows_once_and_as_many_each(workers, replicas, rows):
    batch, parts = np.arange(rows) + 40, []
    for worker in range(workers):
        share = Share(first=worker * replicas, replicas=replicas, total=workers * replicas)
        parts += [share.rows(batch, replica) for replica in range(replicas)]
    assert sorted(np.concatenate(parts)) == list(batch)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_datasets_of_shares_hold_the_batches_of_the_whole(load):
    from tf_finetune.backend import tf
    from tf_finetune.tokens.pipeline import make_dataset

    texts = random_texts(5, count=21)
    examples = Examples.from_lists(texts, [str(i) for i in range(21)], label_names=[str(i) for i in range(21)])
    table = encode(examples, load("wordpiece"), max_length=20)  # the label is the row's number
    spec = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in ("input_ids", "attention_mask")}
    settings = {"batch_size": 4, "order": "bucketed", "seed": 3, "epochs": 2, "start": 4}
    whole = [sorted(labels.numpy()) for _, labels in make_dataset(table, spec, **settings)]
    shares = [Share(0, 2, 3), Share(2, 1, 3)]  # the last batch of an epoch has one row for three replicas
    parts = [[], []]
    for place, share in enumerate(shares):
        dataset = make_dataset(table, spec, share=share, **settings)
        assert int(dataset.cardinality()) == len(whole) * share.replicas
        for inputs, labels in dataset:
            assert inputs["input_ids"].shape[0] == labels.shape[0]
            parts[place].append(labels.numpy())
    for step, expected in enumerate(whole):
        mine = [*parts[0][2 * step : 2 * step + 2], parts[1][step]]
        assert sorted(np.concatenate(mine)) == expected
    assert len(whole) == 8 and min(map(len, whole)) == 1
