"""Confident learning: cases computed by hand, a simulation, and what is refused."""

import numpy as np
import pytest

from tf_finetune.errors import DataError
from tf_finetune.noise import confident_joint, confident_learning

TWO = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9], [0.2, 0.8], [0.4, 0.6], [0.75, 0.25]])
LABELS = np.array([0, 0, 0, 0, 1, 1, 1])
"""Thresholds: (0.9 + 0.8 + 0.7 + 0.1) / 4 = 0.625 for class 0, (0.8 + 0.6 + 0.25) / 3 = 0.55 for class 1."""


def simulated(rows=2000, classes=4, flipped=0.05, sharpness=3.0, seed=0):
    """Labels of which some are flipped, and probabilities of a model that is mostly right about the true ones."""
    chance = np.random.default_rng(seed)
    true = chance.integers(classes, size=rows)
    logits = chance.normal(size=(rows, classes)) + sharpness * np.eye(classes)[true]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wrong = chance.random(rows) < flipped
    labels = np.where(wrong, (true + chance.integers(1, classes, size=rows)) % classes, true)
    return labels, probabilities, wrong


def test_the_joint_of_a_case_by_hand():
    assert confident_joint(LABELS, TWO).tolist() == [[3, 1], [1, 2]]


def test_the_rows_of_a_case_by_hand():
    # one of four rows of class 0, one of three of class 1: those with the largest margin, 0.8 and 0.5
    assert confident_learning(LABELS, TWO).tolist() == [3, 6]


def test_three_classes_by_hand():
    labels = np.array([0, 0, 1, 1, 2, 2, 2])
    probabilities = np.array(
        [
            [0.8, 0.1, 0.1],
            [0.6, 0.3, 0.1],
            [0.1, 0.8, 0.1],
            [0.2, 0.6, 0.2],
            [0.1, 0.1, 0.8],
            [0.75, 0.15, 0.1],  # reaches 0.7, the threshold of class 0
            [0.3, 0.4, 0.3],  # reaches none: 0.7, 0.7 and 0.4
        ]
    )
    # [0.6, ...] and [..., 0.6, ...] do not reach the thresholds of their own classes either
    assert confident_joint(labels, probabilities).tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]
    # of three rows of class 2, 3 * 1 / 2 = 1.5 are of class 0: two, of which the second is more likely 1 than 2
    assert confident_learning(labels, probabilities).tolist() == [5, 6]  # 0.1 and 0.3 for the label that they have


def test_a_label_that_is_the_most_probable_class_is_never_suspected():
    labels = np.array([0, 0, 1, 1, 1, 1])
    probabilities = np.array([[0.55, 0.45], [0.6, 0.4], [0.3, 0.7], [0.9, 0.1], [0.8, 0.2], [0.85, 0.15]])
    found = confident_learning(labels, probabilities)
    assert set(found.tolist()) <= {3, 4, 5} and found[0] == 3


def test_equal_probabilities_reach_their_own_mean():
    labels = np.repeat([0, 1], 7)
    probabilities = np.where(labels[:, None] == np.arange(2), 0.1 + 0.7, 0.2)
    assert confident_joint(labels, probabilities).tolist() == [[7, 0], [0, 7]]
    assert len(confident_learning(labels, probabilities)) == 0


def test_a_class_without_rows_is_never_suggested():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.6, 0.1, 0.3], [0.2, 0.1, 0.7], [0.1, 0.6, 0.3], [0.1, 0.8, 0.1]])
    assert confident_joint(labels, probabilities)[:, 2].tolist() == [0, 0, 0]
    assert len(confident_learning(labels, probabilities)) == 0


@pytest.mark.parametrize("classes", [2, 4])
def test_flipped_labels_are_found(classes):
    labels, probabilities, wrong = simulated(classes=classes, sharpness=5.0)
    found = confident_learning(labels, probabilities)
    assert wrong[found].mean() > 0.9
    assert wrong[found].sum() / wrong.sum() > 0.9
    first = found[: len(found) // 2]
    assert wrong[first].mean() == 1.0


def test_rows_are_ranked_by_their_own_label_and_the_order_of_rows_has_no_effect():
    labels, probabilities, _ = simulated(sharpness=2.0)
    found = confident_learning(labels, probabilities)
    own = probabilities[found, labels[found]]
    assert (np.diff(own) >= 0).all() and (own < probabilities[found].max(axis=1)).all()
    order = np.random.default_rng(1).permutation(len(labels))
    assert order[confident_learning(labels[order], probabilities[order])].tolist() == found.tolist()


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="these look like logits"):
        confident_learning(np.array([0, 1]), np.array([[2.0, 1.0], [0.5, 0.5]]))
    with pytest.raises(DataError, match="must lie in 0..1"):
        confident_learning(np.array([0, 2]), np.array([[0.5, 0.5], [0.5, 0.5]]))
    with pytest.raises(DataError, match="must be floats"):
        confident_learning(np.array([0, 1]), np.array([0.5, 0.5]))
