"""The metric counts as scikit-learn's F1 score does."""

import numpy as np
import pytest

from tf_finetune.backend import keras, tf
from tf_finetune.model.macro_f1 import MacroF1


def score(labels, predicted, classes):
    from sklearn.metrics import f1_score

    return f1_score(labels, predicted, labels=range(classes), average="macro", zero_division=0)


@pytest.mark.parametrize(("classes", "rows"), [(2, 1), (2, 50), (3, 40), (7, 9)])
def test_equal_to_scikit_learn_over_batches(classes, rows):
    chance = np.random.default_rng(classes * rows)
    labels = chance.integers(0, classes, rows).astype(np.int32)
    logits = chance.normal(size=(rows, classes)).astype(np.float32)
    metric = MacroF1(classes)
    for start in range(0, rows, 8):
        metric.update_state(labels[start : start + 8], logits[start : start + 8])
    assert float(metric.result()) == pytest.approx(score(labels, logits.argmax(1), classes), abs=1e-7)


def test_a_class_that_is_absent_counts_as_zero():
    metric = MacroF1(3)
    metric.update_state(tf.constant([0, 0, 1]), tf.constant([[9.0, 0, 0], [9, 0, 0], [0, 9, 0]]))
    assert float(metric.result()) == pytest.approx(2 / 3)


def test_it_is_reset_between_epochs_and_takes_a_column_of_labels():
    inputs = keras.Input([2])
    model = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    model.compile(metrics=[MacroF1(2)])
    logits, labels = np.array([[9.0, 0], [0, 9], [9, 0]], np.float32), np.array([[0], [1], [1]])
    first, second = (model.evaluate(logits, labels, verbose=0, return_dict=True)["macro_f1"] for _ in range(2))
    assert first == second == pytest.approx(score([0, 1, 1], [0, 1, 0], 2))
