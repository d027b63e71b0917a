"""The sizes that training batches are rounded up to."""

import itertools

import numpy as np
import pytest

from tf_finetune.backend import tf
from tf_finetune.model.unpadded.sizes import COMPILE_OPERATIONS, GRID, choose_sizes, round_size, round_up


def cost(counts, sizes, compiling):
    """Tokens computed, and the time of compilation in tokens."""
    used = [min(size for size in sizes if size > count) for count in counts]
    return sum(used) + compiling * len(set(used))


@pytest.mark.parametrize("compiling", [1, 100, 1000, 100_000])
@pytest.mark.parametrize("seed", range(5))
def test_no_other_sizes_are_cheaper(seed, compiling):
    counts = np.random.default_rng(seed).integers(1, 500, 12)
    sizes = choose_sizes(counts, token_operations=COMPILE_OPERATIONS / compiling)
    grid = sorted({-(-(int(count) + 1) // GRID) * GRID for count in counts})
    others = [[*some, grid[-1]] for number in range(len(grid)) for some in itertools.combinations(grid[:-1], number)]
    assert sizes == tuple(sorted(sizes))
    assert cost(counts, sizes, compiling) == min(cost(counts, other, compiling) for other in others)


def test_a_long_run_has_more_sizes_than_a_short_one():
    counts = np.random.default_rng(0).integers(100, 4000, 100)
    short, long = (choose_sizes(np.tile(counts, times), token_operations=6e7) for times in (1, 50))
    assert 1 < len(short) < len(long)


def test_a_batch_is_rounded_up_to_the_next_size_and_keeps_a_token_of_padding():
    sizes = choose_sizes(np.array([15, 16, 700]), token_operations=COMPILE_OPERATIONS / 10)
    assert sizes == (16, 32, 704)
    rounded = tf.function(lambda count: round_size(count + 1, sizes))
    assert [int(rounded(tf.constant(count))) for count in (0, 15, 16, 31, 32, 703)] == [16, 16, 32, 32, 704, 704]


def test_beyond_the_largest_size_and_without_sizes_there_are_sixteen_between_powers_of_two():
    for count in (705, 1000, 1024, 1025, 5000):
        assert int(round_size(tf.constant(count), (16, 704))) == int(round_up(count)) == int(round_size(count, ()))
    found = {int(round_up(tf.constant(count))) for count in range(1025, 2049)}
    assert found == set(range(1088, 2049, 64))
