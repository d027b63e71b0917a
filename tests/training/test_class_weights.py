"""Class weights, with class names of any kind."""

import numpy as np
import pytest

from tf_finetune.errors import ConfigError
from tf_finetune.training.class_weights import parse_class_weights

NAMES = ("a", "a,b", "x=y;z", 'say "hi"', "new\nline", "1")
LABELS = np.array([0, 0, 0, 1, 2, 3, 4, 5], np.int32)


def parse(value):
    return parse_class_weights(value, LABELS, NAMES)


def test_balanced_is_the_definition_of_scikit_learn():
    from sklearn.utils.class_weight import compute_class_weight

    expected = compute_class_weight("balanced", classes=np.arange(6), y=LABELS)
    assert parse("balanced") == pytest.approx(dict(enumerate(expected)))
    assert parse(None) is None


def test_names_may_hold_what_separates_entries():
    assert parse("a,b=2, x=y;z=3,a=.5") == {0: 0.5, 1: 2.0, 2: 3.0, 3: 1.0, 4: 1.0, 5: 1.0}
    assert parse('say "hi"=2,new\nline=0,1=7') == {0: 1.0, 1: 1.0, 2: 1.0, 3: 2.0, 4: 0.0, 5: 7.0}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a", "'a' does not begin with a class and '='"),
        ("b=2", "'b=2' does not begin with a class"),
        ("a=1,", "'' does not begin with a class"),
        ("a=1,a=2", "the class 'a' occurs more than once"),
        ("a=two", "a weight is a number of at least 0. Received: 'two'"),
        ("a=-1", "Received: '-1'"),
        ("a=nan", "Received: 'nan'"),
        ("a=1e999", "Received: '1e999'"),
        ('a=0,a,b=0,x=y;z=0,say "hi"=0,new\nline=0,1=0', "all classes weigh 0"),
    ],
)
def test_a_wrong_value_is_named(value, message):
    with pytest.raises(ConfigError) as caught:
        parse(value)
    assert message in str(caught.value)
    assert repr(value) in str(caught.value)
