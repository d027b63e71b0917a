"""The median rule, by cases that were computed by hand."""

import pytest

from tf_finetune.tuning.pruning import LEAST_TRIALS, is_hopeless


def history(*values, name="val_accuracy"):
    return [{"loss": 1.0, name: value} for value in values]


OTHERS = [history(0.5, 0.6), history(0.6, 0.7), history(0.7, 0.8), history(0.8, 0.9)]
CASES = [
    (history(0.64), True, "below the median of 0.5, 0.6, 0.7 and 0.8, which is 0.65"),
    (history(0.65), False, "equal to it"),
    (history(0.66), False, "above it"),
    (history(0.66, 0.7), True, "at the second epoch the median is 0.75"),
    (history(0.76, 0.1), False, "the best value so far counts, not the last"),
    (history(0.1, 0.76), False, "the same"),
    (history(0.1, 0.1, 0.1), False, "nobody has come as far"),
    ([], False, "it has not trained"),
]


@pytest.mark.parametrize(("own", "expected", "why"), CASES)
def test_the_median_of_the_others_decides(own, expected, why):
    assert is_hopeless(own, OTHERS, "val_accuracy") == expected, why


def test_of_an_odd_number_it_is_the_one_in_the_middle():
    others = [*OTHERS, history(0.9, 0.9)]
    assert is_hopeless(history(0.69), others, "val_accuracy")
    assert not is_hopeless(history(0.7), others, "val_accuracy")


def test_of_a_loss_the_smallest_is_the_best():
    others = [history(*values, name="val_loss") for values in ([0.5, 0.9], [0.6, 0.4], [0.7, 0.3], [0.8, 0.2])]
    assert is_hopeless(history(0.66, name="val_loss"), others, "val_loss")
    assert not is_hopeless(history(0.64, name="val_loss"), others, "val_loss")
    assert is_hopeless(history(0.66, 0.36, name="val_loss"), others, "val_loss")  # 0.5, 0.4, 0.3, 0.2
    assert not is_hopeless(history(0.35, 0.66, name="val_loss"), others, "val_loss")


def test_few_others_stop_nothing():
    assert LEAST_TRIALS == len(OTHERS) == 4
    assert not is_hopeless(history(0.0), OTHERS[1:], "val_accuracy")
    assert not is_hopeless(history(0.0, 0.0), [*OTHERS[1:], history(0.9)], "val_accuracy")  # one has not come as far
    assert is_hopeless(history(0.0), [*OTHERS[1:], history(0.9)], "val_accuracy")


def test_others_count_with_as_many_epochs_as_it_has():
    late = [history(0.1, 0.9)] * 4
    assert not is_hopeless(history(0.2), late, "val_accuracy")
    assert is_hopeless(history(0.2, 0.2), late, "val_accuracy")


def test_a_value_that_is_no_number_is_the_worst():
    nan = float("nan")
    assert is_hopeless(history(nan), OTHERS, "val_accuracy")
    assert is_hopeless(history(nan, name="val_loss"), [history(0.5, name="val_loss")] * 4, "val_loss")
    assert not is_hopeless(history(0.7, nan), OTHERS[:3] + [history(nan, nan)], "val_accuracy")
    assert is_hopeless(history(0.1), [*OTHERS, history(nan)], "val_accuracy")
