from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from tf_finetune.data import Examples
from tf_finetune.errors import DataError


def chunked(texts: list[str], size: int) -> Examples:
    columns = {"text": texts, "origin": ["f.csv"] * len(texts), "row": list(range(2, len(texts) + 2))}
    table = pa.concat_tables(
        [pa.table({name: values[i : i + size] for name, values in columns.items()}) for i in range(0, len(texts), size)]
    )
    return Examples(table, np.arange(len(texts)), np.zeros(len(texts), dtype=np.int32), ("a", "b"))


def test_batches_keep_the_order_of_rows_across_chunks() -> None:
    texts = [f"text {i}" for i in range(57)]
    order = np.random.default_rng(0).permutation(57)
    shuffled = chunked(texts, 5).take(order)
    assert [text for batch, _ in shuffled.batches(7) for text in batch] == [texts[i] for i in order]
    assert [len(batch) for batch, _ in shuffled.batches(7)] == [7] * 8 + [1]


def test_rows_may_repeat_and_be_none() -> None:
    examples = chunked(["x", "y", "z"], 2)
    assert examples.take(np.array([2, 0, 2])).texts() == ["z", "x", "z"]
    assert examples.take(np.array([], dtype=np.int64)).texts() == []


def test_a_batch_costs_memory_for_its_rows_only() -> None:
    examples = chunked(["x" * 10_000] * 2_000, 100)
    before = pa.total_allocated_bytes()
    pool = pa.default_memory_pool()
    for batch, _ in examples.take(np.arange(0, 2000, 40)).batches(10):
        assert len(batch) == 10
    assert pa.total_allocated_bytes() <= before + 1_000_000
    assert pool.max_memory() < before + 5_000_000


def test_where_names_file_and_row() -> None:
    assert chunked(["x", "y", "z"], 2).take(np.array([2])).where(0) == "f.csv:4"


def test_pairs_come_along() -> None:
    examples = Examples.from_lists(["a", "b"], ["x", "y"], pairs=["c", "d"])
    assert list(examples.batches()) == [(["a", "b"], ["c", "d"])]


def test_fingerprint_is_the_same_in_every_process() -> None:
    code = (
        "from tf_finetune.data import Examples;"
        "print(Examples.from_lists(['schön', 'b'], ['x', 'ÿ'], pairs=['c', 'd']).fingerprint)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == "dca48cb1786e8d0570745cef3109b75f61a5ea7609c7098a5ccade924b0701ab"


@pytest.mark.parametrize(
    "other",
    [
        Examples.from_lists(["b", "a"], ["y", "x"]),
        Examples.from_lists(["a", "b"], ["y", "x"]),
        Examples.from_lists(["a", "b"], ["x", "z"]),
        Examples.from_lists(["a", "b"], ["x", "y"], label_names=["x", "y", "z"]),
        Examples.from_lists(["a", "b"], ["x", "y"], pairs=["", ""]),
    ],
)
def test_fingerprint_tells_contents_apart(other: Examples) -> None:
    assert other.fingerprint != Examples.from_lists(["a", "b"], ["x", "y"]).fingerprint


def test_fingerprint_does_not_depend_on_chunks() -> None:
    texts = [f"text {i}" for i in range(9)]
    assert chunked(texts, 2).fingerprint == chunked(texts, 9).fingerprint


def test_hashes_tell_pairs_with_the_same_letters_apart() -> None:
    examples = Examples.from_lists(["ab", "a", "ab"], ["x", "y", "x"], pairs=["c", "bc", "c"])
    hashes = examples.row_hashes
    assert hashes[0] != hashes[1]
    assert hashes[0] == hashes[2]


def test_from_lists_refuses_what_is_no_string() -> None:
    with pytest.raises(DataError, match="`labels` must hold strings only. Received int at index 1"):
        Examples.from_lists(["a", "b"], ["x", 1])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"must have one length. Received lengths \[1, 2\]"):
        Examples.from_lists(["a", "b"], ["x"])
    with pytest.raises(DataError, match=r"\['z'\], which `label_names` \['x', 'y'\] lacks"):
        Examples.from_lists(["a"], ["z"], label_names=["x", "y"])


def test_taken_rows_keep_the_hashes_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = Examples.from_lists(["a", "b", "c"], ["x", "y", "x"])
    fresh = examples.take(np.array([2, 0])).fingerprint
    known = examples.row_hashes
    taken = examples.take(np.array([2, 0]))
    monkeypatch.setattr(Examples, "batches", lambda self, size=0: pytest.fail("the texts are read again"))
    assert (taken.row_hashes == known[[2, 0]]).all()
    assert taken.fingerprint == fresh
