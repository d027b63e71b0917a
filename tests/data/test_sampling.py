from __future__ import annotations

import numpy as np
import pytest

from tf_finetune.data import Examples, sample_examples
from tf_finetune.data.sampling import mix
from tf_finetune.errors import DataError


def examples(counts: dict[str, int]) -> Examples:
    labels = [label for label, count in counts.items() for _ in range(count)]
    return Examples.from_lists([f"text {i}" for i in range(len(labels))], labels)


@pytest.mark.parametrize(
    "counts, size, expected",
    [
        ({"a": 60, "b": 40}, 10, {"a": 6, "b": 4}),
        ({"a": 500, "b": 1}, 10, {"a": 9, "b": 1}),
        ({"a": 1, "b": 1, "c": 98}, 3, {"a": 1, "b": 1, "c": 1}),
        ({"a": 5, "b": 5, "c": 5}, 4, {"a": 2, "b": 1, "c": 1}),
        ({"a": 7, "b": 3}, 9, {"a": 6, "b": 3}),
    ],
)
def test_classes_stay_in_proportion(counts: dict[str, int], size: int, expected: dict[str, int]) -> None:
    assert sample_examples(examples(counts), size=size, seed=1).label_counts == expected


def test_the_sample_is_random_seeded_and_in_order() -> None:
    data = examples({"a": 100, "b": 100})
    sample = sample_examples(data, size=50, seed=3)
    assert sample.rows.tolist() == sample_examples(data, size=50, seed=3).rows.tolist()
    assert sample.rows.tolist() == sorted(sample.rows.tolist())
    assert sample.rows.tolist() != sample_examples(data, size=50, seed=4).rows.tolist()
    assert sample.rows.tolist() != list(range(25)) + list(range(100, 125))


def test_a_smaller_sample_lies_in_a_larger_one() -> None:
    data = examples({"a": 100, "b": 100})
    small, large = (set(sample_examples(data, size=size, seed=3).rows.tolist()) for size in (20, 60))
    assert small < large


def test_enough_is_enough() -> None:
    data = examples({"a": 3, "b": 3})
    assert sample_examples(data, size=6, seed=0) is data
    assert sample_examples(data, size=100, seed=0) is data


def test_a_sample_smaller_than_the_classes_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"A sample of 2 rows \(--max-train-samples\) cannot hold .* each of the 3 classes"
    ):
        sample_examples(examples({"a": 3, "b": 3, "c": 1}), size=2, seed=0)


def test_mixed_numbers_never_change() -> None:
    assert mix(np.arange(3, dtype=np.uint64), seed=0).tolist() == [
        16294208416658607535,
        10451216379200822465,
        10905525725756348110,
    ]
    assert len(np.unique(mix(np.arange(10_000, dtype=np.uint64), seed=2**31 - 1))) == 10_000
