from __future__ import annotations

import numpy as np
import pytest

from tf_finetune.data import Examples, split_examples
from tf_finetune.errors import DataError


def texts_of(examples: Examples) -> set[tuple[str, str]]:
    return {
        (text, pair)
        for texts, pairs in examples.batches()
        for text, pair in zip(texts, pairs or [""] * len(texts), strict=True)
    }


def random_examples(rng: np.random.Generator, rows: int, texts: int, classes: int, noise: float) -> Examples:
    """Texts that repeat; with probability `noise` a row has another label than its text."""
    drawn = rng.integers(texts, size=rows)
    labels = np.where(rng.random(rows) < noise, rng.integers(classes, size=rows), drawn % classes)
    return Examples.from_lists([f"text {i}" for i in drawn], [f"class {i}" for i in labels])


def test_the_split_is_stratified_and_keeps_the_order() -> None:
    data = Examples.from_lists([f"text {i}" for i in range(1000)], ["a"] * 700 + ["b"] * 300)
    train, validation = split_examples(data, fraction=0.1, seed=0)
    assert validation.label_counts == {"a": 70, "b": 30}
    assert train.label_counts == {"a": 630, "b": 270}
    assert sorted([*train.rows.tolist(), *validation.rows.tolist()]) == list(range(1000))
    assert train.rows.tolist() == sorted(train.rows.tolist())
    assert validation.rows.tolist() == sorted(validation.rows.tolist())
    assert validation.rows.tolist()[:70] != list(range(70))


def test_the_split_depends_on_content_and_seed_only() -> None:
    labels = ["a"] * 50 + ["b"] * 50
    data = Examples.from_lists([f"text {i}" for i in range(100)], labels)
    first = texts_of(split_examples(data, fraction=0.2, seed=7)[1])
    assert texts_of(split_examples(data, fraction=0.2, seed=7)[1]) == first
    assert texts_of(split_examples(data.take(np.arange(100)[::-1].copy()), fraction=0.2, seed=7)[1]) == first
    assert texts_of(split_examples(data, fraction=0.2, seed=8)[1]) != first
    assert sorted(text for text, _ in first)[:4] == ["text 11", "text 13", "text 16", "text 26"]


@pytest.mark.parametrize("seed", range(40))
def test_no_text_is_on_both_sides_and_no_class_is_lost(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = random_examples(rng, int(rng.integers(10, 300)), int(rng.integers(6, 100)), 3, float(rng.choice([0, 0.3])))
    train, validation = split_examples(data, fraction=float(rng.choice([0.01, 0.1, 0.5, 0.9])), seed=seed)
    assert not texts_of(train) & texts_of(validation)
    assert len(train) + len(validation) == len(data)
    for i, name in enumerate(data.label_names):
        distinct = len(texts_of(data.take(np.flatnonzero(data.labels == i))))
        assert train.label_counts[name] > 0
        assert validation.label_counts[name] > 0 or distinct < 2


def test_duplicates_do_not_blow_up_the_validation_data() -> None:
    texts = ["the same"] * 500 + [f"text {i}" for i in range(500)] + [f"other {i}" for i in range(100)]
    data = Examples.from_lists(texts, ["a"] * 1000 + ["b"] * 100)
    _, validation = split_examples(data, fraction=0.1, seed=1)
    assert validation.label_counts == {"a": 100, "b": 10}


def test_pairs_count_as_one_text() -> None:
    data = Examples.from_lists(["same"] * 20, ["a", "b"] * 10, pairs=[f"pair {i // 4}" for i in range(20)])
    train, validation = split_examples(data, fraction=0.3, seed=0)
    assert len(validation)
    assert not texts_of(train) & texts_of(validation)


def test_a_class_with_one_text_stays_in_training() -> None:
    data = Examples.from_lists(["one"] * 5 + [f"text {i}" for i in range(20)], ["rare"] * 5 + ["common"] * 20)
    train, validation = split_examples(data, fraction=0.1, seed=0)
    assert train.label_counts == {"common": 18, "rare": 5}
    assert validation.label_counts == {"common": 2, "rare": 0}


def test_a_class_that_only_shares_texts_is_on_both_sides() -> None:
    texts = [f"text {i}" for i in range(20)]
    data = Examples.from_lists(texts * 2 + texts[:4], ["a"] * 40 + ["b"] * 4)
    for seed in range(20):
        train, validation = split_examples(data, fraction=0.05, seed=seed)
        assert train.label_counts["b"] and validation.label_counts["b"]
        assert not texts_of(train) & texts_of(validation)


def test_an_impossible_split_is_refused() -> None:
    with pytest.raises(DataError, match="every class has only one distinct text. Give more rows, or .* --validation"):
        split_examples(Examples.from_lists(["a", "a", "b"], ["x", "x", "y"]), fraction=0.5, seed=0)
    # three texts, each with two of three labels: one side always lacks a class
    ring = Examples.from_lists(["p", "p", "q", "q", "r", "r"], ["x", "y", "y", "z", "z", "x"])
    with pytest.raises(
        DataError, match="No split has rows of .* on both sides: too many texts occur with several labels"
    ):
        split_examples(ring, fraction=0.5, seed=0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_the_fraction_must_leave_something(fraction: float) -> None:
    with pytest.raises(DataError, match="`fraction` must be above 0 and below 1"):
        split_examples(Examples.from_lists(["a", "b"], ["x", "y"]), fraction=fraction, seed=0)
