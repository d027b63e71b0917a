"""Folds: stratified, of equal size, the same for the same texts, and never one text in two of them."""

import numpy as np
import pytest

from tf_finetune.data import Examples
from tf_finetune.errors import ConfigError, DataError
from tf_finetune.noise.folds import ALWAYS_TRAINED, make_folds


def examples_of(counts):
    """Examples with so many rows of each class, all of different texts."""
    labels = [name for name, count in counts.items() for _ in range(count)]
    return Examples.from_lists([f"{name} {i}" for i, name in enumerate(labels)], labels)


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_each_fold_has_its_share_of_each_class(folds):
    places = make_folds(examples := examples_of({"a": 60, "b": 31, "c": 10}), folds=folds, seed=1)
    assert set(places) == set(range(folds))
    for label, count in enumerate(examples.label_counts.values()):
        sizes = np.bincount(places[examples.labels == label], minlength=folds)
        assert sizes.sum() == count and sizes.max() - sizes.min() <= 1


def test_equal_texts_share_a_fold():
    texts = [f"text {i % 20}" for i in range(60)]
    places = make_folds(Examples.from_lists(texts, ["ab"[i % 2] for i in range(60)]), folds=3, seed=1)
    assert all(len(set(places[i::20])) == 1 for i in range(20))


def test_the_seed_and_the_texts_decide_and_not_the_order():
    examples = examples_of({"a": 40, "b": 40})
    places = make_folds(examples, folds=3, seed=1)
    order = np.random.default_rng(0).permutation(80)
    assert np.array_equal(make_folds(examples.take(order), folds=3, seed=1), places[order])
    assert not np.array_equal(make_folds(examples, folds=3, seed=2), places)


def test_a_class_with_one_text_is_always_trained_on():
    examples = Examples.from_lists(["x", "x", *map(str, range(12))], ["rare"] * 2 + ["a", "b"] * 6)
    places = make_folds(examples, folds=3, seed=1)
    assert (places[:2] == ALWAYS_TRAINED).all() and set(places[2:]) == {0, 1, 2}


def test_a_class_with_two_texts_is_known_to_every_model():
    examples = examples_of({"a": 30, "b": 2})
    places = make_folds(examples, folds=3, seed=1)
    for fold in range(3):
        assert set(examples.labels[places != fold]) == {0, 1}


def test_what_cannot_be_dealt_is_refused():
    with pytest.raises(ConfigError, match="`folds` must be 2 or more. Received: 1"):
        make_folds(examples_of({"a": 9, "b": 9}), folds=1, seed=1)
    with pytest.raises(DataError, match="two classes at least must have two different texts"):
        make_folds(examples_of({"a": 9, "b": 1}), folds=3, seed=1)
