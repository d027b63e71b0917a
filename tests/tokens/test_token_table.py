import json
import threading

import numpy as np
import pytest

from tests.tokens.families import random_texts
from tf_finetune.data import Examples
from tf_finetune.errors import DataError, RunError
from tf_finetune.tokens import table as table_module
from tf_finetune.tokens.encoder import TextEncoder
from tf_finetune.tokens.table import TokenTable, encode

TEXTS = [*random_texts(4, count=40), "superb", "the plot is thin"]
LABELS = ["yes" if i % 3 else "no" for i in range(len(TEXTS))]


@pytest.fixture
def examples():
    return Examples.from_lists(TEXTS, LABELS)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_FINETUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tokens"


@pytest.fixture
def encoded_rows(monkeypatch):
    """Numbers of texts that were tokenized, the encoder's own two probes left out."""
    counts = []
    plain = TextEncoder.encode

    def counting(self, texts, pairs=None):
        if len(texts) > 1:
            counts.append(len(texts))
        return plain(self, texts, pairs)

    monkeypatch.setattr(TextEncoder, "encode", counting)
    return counts


def content(table):
    return [
        np.array(column).tolist()
        for column in (table.ids, table.types, table.lengths, table.full_lengths, table.labels)
    ]


def test_rows_are_the_encoders(load, examples, cache, monkeypatch):
    monkeypatch.setattr(table_module, "BATCH_TEXTS", 16)
    tokenizer = load("xlnet")
    table = encode(examples, tokenizer, max_length=12)
    expected = TextEncoder(tokenizer, max_length=12).encode(TEXTS)
    assert len(table) == len(TEXTS)
    assert content(table) == [
        *(column.tolist() for column in (expected.ids, expected.types, expected.lengths, expected.full_lengths)),
        examples.labels.tolist(),
    ]


def test_ids_are_memory_mapped(load, examples, cache):
    table = encode(examples, load("wordpiece"), max_length=12)
    assert isinstance(table.ids, np.memmap) and isinstance(table.types, np.memmap)
    assert (table.ids.dtype, table.types.dtype, table.labels.dtype) == (np.int32, np.int8, np.int32)
    assert not table.ids.flags.writeable
    again = encode(examples, load("wordpiece"), max_length=12)
    assert isinstance(again.ids, np.memmap) and isinstance(again.types, np.memmap)
    assert again.labels is examples.labels


def test_the_second_call_does_not_tokenize(load, examples, cache, encoded_rows):
    first = encode(examples, load("wordpiece"), max_length=12)
    assert sum(encoded_rows) == len(TEXTS)
    encoded_rows.clear()
    second = encode(Examples.from_lists(TEXTS, LABELS), load("wordpiece"), max_length=12)
    assert encoded_rows == []
    assert content(first) == content(second)


def test_whatever_decides_the_rows_makes_another_table(load, examples, cache, encoded_rows):
    encode(examples, load("wordpiece"), max_length=12)
    others = [
        lambda: encode(Examples.from_lists([*TEXTS[:-1], "other"], LABELS), load("wordpiece"), max_length=12),
        lambda: encode(Examples.from_lists(TEXTS, ["no", *LABELS[1:-1], "no"]), load("wordpiece"), max_length=12),
        lambda: encode(Examples.from_lists(TEXTS, LABELS, pairs=TEXTS), load("wordpiece"), max_length=12),
        lambda: encode(examples, load("roberta"), max_length=12),
        lambda: encode(examples, load("wordpiece"), max_length=13),
        lambda: encode(examples, load("wordpiece"), max_length=12, truncate="tail"),
        lambda: encode(examples, load("wordpiece"), max_length=12, truncate="head"),
    ]
    for number, other in enumerate(others, start=2):
        encoded_rows.clear()
        other()
        assert encoded_rows, number
        assert len(list(cache.iterdir())) == number


def truncate_ids(folder):
    (folder / "ids").write_bytes((folder / "ids").read_bytes()[:-4])


def remove_types(folder):
    (folder / "types").unlink()


def remove_meta(folder):
    (folder / "table.json").unlink()


def break_meta(folder):
    (folder / "table.json").write_text("{")


def foreign_meta(folder):
    (folder / "table.json").write_text(json.dumps({"sizes": ["ids"]}))


def with_sizes(folder):
    """The sizes in table.json become those of the files."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.name != "table.json"}
    (folder / "table.json").write_text(json.dumps({"sizes": sizes}))


def fewer_tokens(folder):
    truncate_ids(folder)
    with_sizes(folder)


def fewer_rows(folder):
    for name in ("lengths", "full_lengths"):
        (folder / name).write_bytes((folder / name).read_bytes()[:-4])
    with_sizes(folder)


def no_rows(folder):
    for name in ("ids", "types", "lengths", "full_lengths"):
        (folder / name).write_bytes(b"")
    with_sizes(folder)


def change_lengths(folder, changes):
    lengths = np.fromfile(folder / "lengths", np.int32)
    lengths[: len(changes)] += np.array(changes, np.int32)
    lengths.tofile(folder / "lengths")


def other_lengths(folder):
    change_lengths(folder, [1])


def negative_lengths(folder):
    change_lengths(folder, [-1000, 1000])  # the sum is right


TEARS = [
    *(truncate_ids, remove_types, remove_meta, break_meta, foreign_meta),
    *(fewer_tokens, fewer_rows, no_rows, other_lengths, negative_lengths),
]


@pytest.mark.parametrize("tear", TEARS)
def test_a_torn_table_is_made_again(load, examples, cache, tear):
    first = content(encode(examples, load("wordpiece"), max_length=12))
    (folder,) = cache.iterdir()
    tear(folder)
    assert content(encode(examples, load("wordpiece"), max_length=12)) == first
    assert list(cache.iterdir()) == [folder]  # nothing of the torn one is left


def test_a_failure_leaves_nothing_behind(load, examples, cache, monkeypatch):
    tokenizer = load("wordpiece")
    plain = TextEncoder.encode

    def failing(self, texts, pairs=None):
        if len(texts) > 1:
            raise KeyboardInterrupt
        return plain(self, texts, pairs)

    with monkeypatch.context() as patch:
        patch.setattr(TextEncoder, "encode", failing)
        with pytest.raises(KeyboardInterrupt):
            encode(examples, tokenizer, max_length=12)
    assert list(cache.iterdir()) == []


def test_another_writer_may_be_faster(load, examples, cache, monkeypatch):
    """The table appears while it is being written here."""
    plain = TextEncoder.encode
    faster = []

    def racing(self, texts, pairs=None):
        if len(texts) > 1 and not faster:
            faster.append(True)
            encode(examples, load("wordpiece"), max_length=12)
        return plain(self, texts, pairs)

    monkeypatch.setattr(TextEncoder, "encode", racing)
    table = encode(examples, load("wordpiece"), max_length=12)
    assert faster and len(table) == len(TEXTS)
    assert len(list(cache.iterdir())) == 1


def test_a_whole_table_is_not_taken_for_a_torn_one(load, examples, cache, monkeypatch):
    """Another writer is done between the first look and the removal of what seemed torn."""
    table = encode(examples, load("wordpiece"), max_length=12)
    (folder,) = cache.iterdir()
    inode = folder.stat().st_ino
    plain, looks = table_module._is_whole, []

    def late(*arguments):
        looks.append(arguments)
        return len(looks) > 1 and plain(*arguments)

    monkeypatch.setattr(table_module, "_is_whole", late)
    assert content(encode(examples, load("wordpiece"), max_length=12)) == content(table)
    assert folder.stat().st_ino == inode


@pytest.mark.parametrize("torn", [False, True])
def test_many_at_once_get_one_table(load, examples, cache, torn):
    expected = content(encode(examples, load("wordpiece"), max_length=12))
    (folder,) = cache.iterdir()
    if torn:
        truncate_ids(folder)
    else:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    tokenizers, start = [load("wordpiece") for _ in range(6)], threading.Barrier(6)
    results = []

    def work(tokenizer):
        start.wait()
        try:
            results.append(content(encode(examples, tokenizer, max_length=12)))
        except Exception as error:  # shown by the assertion below
            results.append(error)

    threads = [threading.Thread(target=work, args=(tokenizer,)) for tokenizer in tokenizers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 6
    assert list(cache.iterdir()) == [folder]


def test_an_unusable_cache_folder_is_named(load, examples, tmp_path):
    (tmp_path / "tokens").write_text("a file")
    with pytest.raises(RunError, match="Cannot write the token table .*--cache-dir"):
        encode(examples, load("wordpiece"), max_length=12, cache_dir=str(tmp_path))


def test_no_examples_are_refused(load, cache):
    with pytest.raises(DataError, match="no texts to encode"):
        encode(Examples.from_lists([], []), load("wordpiece"), max_length=12)
    assert not cache.exists()


def table_of(lengths, *, max_length, side="right"):
    lengths = np.array(lengths, np.int32)
    return TokenTable(
        ids=np.concatenate([np.arange(n) + 10 * (i + 1) for i, n in enumerate(lengths)]).astype(np.int32),
        types=np.concatenate([np.full(n, i % 2) for i, n in enumerate(lengths)]).astype(np.int8),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        full_lengths=lengths,
        labels=np.zeros(len(lengths), np.int32),
        max_length=max_length,
        pad_id=5,
        pad_type=3,
        padding_side=side,
    )


def test_padding_on_the_right():
    ids, mask, types = table_of([2, 3, 1], max_length=64).pad(np.array([2, 1]), multiple=4)
    assert ids.tolist() == [[30, 5, 5, 5], [20, 21, 22, 5]]
    assert mask.tolist() == [[1, 0, 0, 0], [1, 1, 1, 0]]
    assert types.tolist() == [[0, 3, 3, 3], [1, 1, 1, 3]]
    assert ids.dtype == mask.dtype == types.dtype == np.int32


def test_padding_on_the_left():
    ids, mask, types = table_of([2, 3, 1], max_length=64, side="left").pad(np.array([0, 1]), multiple=4)
    assert ids.tolist() == [[5, 5, 10, 11], [5, 20, 21, 22]]
    assert mask.tolist() == [[0, 0, 1, 1], [0, 1, 1, 1]]
    assert types.tolist() == [[3, 3, 0, 0], [3, 1, 1, 1]]


@pytest.mark.parametrize(
    ("longest", "max_length", "expected"), [(1, 64, 8), (8, 64, 8), (9, 64, 16), (9, 12, 12), (12, 12, 12), (5, 6, 6)]
)
def test_lengths_are_multiples_of_eight_up_to_the_maximum(longest, max_length, expected):
    ids, mask, types = table_of([longest, 1], max_length=max_length).pad(np.array([0, 1]))
    assert ids.shape == mask.shape == types.shape == (2, expected)


def test_a_table_in_memory_for_prediction(load):
    tokenizer = load("xlnet")
    encoder = TextEncoder(tokenizer, max_length=12, truncate="head")
    table = TokenTable.of_texts(encoder, TEXTS)
    padded = tokenizer(TEXTS, truncation=True, max_length=12, padding="max_length")
    assert {name: values.tolist() for name, values in table.inputs().items()} == dict(padded)
    assert table.inputs(np.array([1]))["input_ids"].shape[0] == 1 and table.labels.tolist() == [0] * len(TEXTS)
