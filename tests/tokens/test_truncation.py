import itertools

import numpy as np
import pytest

from tf_finetune.tokens.truncation import budget_pair, keep


def test_pair_budgets_are_those_of_the_tokenizers_library():
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    for budget in range(2, 13):
        tokenizer.enable_truncation(budget, strategy="longest_first")
        for first, second in itertools.product(range(11), repeat=2):
            ids = tokenizer.encode("a " * first, "b " * second).ids
            assert budget_pair(first, second, budget) == (ids.count(0), ids.count(1)), (first, second, budget)


@pytest.mark.parametrize(
    ("truncate", "budget", "expected"),
    [
        ("head", 4, [0, 1, 2, 3]),
        ("tail", 4, [6, 7, 8, 9]),
        ("head+tail", 4, [0, 7, 8, 9]),
        ("head+tail", 3, [7, 8, 9]),
        ("head+tail", 9, [0, 1, 3, 4, 5, 6, 7, 8, 9]),
        ("head", 10, list(range(10))),
        ("tail", 11, list(range(10))),
        ("head", 0, []),
        ("tail", 0, []),
        ("head+tail", 0, []),
    ],
)
def test_what_is_kept(truncate, budget, expected):
    assert keep(np.arange(10), budget, truncate).tolist() == expected
