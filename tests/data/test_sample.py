"""The embedded reviews: enough, balanced, varied, and held out without overlap."""

import csv
from collections import Counter

import pytest

from tf_finetune.data import sample_files


@pytest.fixture(scope="module")
def rows():
    read = []
    for path in sample_files():
        with open(path, newline="", encoding="utf-8") as file:
            read.append(list(csv.DictReader(file)))
    return read


def test_there_are_enough_and_both_labels_are_as_frequent(rows):
    train, test = rows
    assert len(train) >= 600 and len(test) >= 100
    for part in rows:
        assert list(part[0]) == ["text", "label"]
        counts = Counter(row["label"] for row in part)
        assert set(counts) == {"negative", "positive"}
        assert abs(counts["negative"] - counts["positive"]) <= 0.05 * len(part)


def test_no_review_stands_twice(rows):
    texts = [row["text"].casefold() for part in rows for row in part]
    assert len(set(texts)) == len(texts)


def test_lengths_run_from_a_few_words_to_two_hundred(rows):
    lengths = [len(row["text"].split()) for row in rows[0]]
    assert min(lengths) <= 3 and max(lengths) >= 150


def test_no_opening_is_a_template(rows):
    openings = Counter(" ".join(row["text"].casefold().split()[:4]) for row in rows[0])
    assert openings.most_common(1)[0][1] <= 0.005 * len(rows[0])
