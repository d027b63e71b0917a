"""Checkpoints on the disk: whole or not at all; what comes back is what was saved, or what was saved before that."""

import contextlib
import dataclasses
import functools
import json
import os
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from tf_finetune.errors import RunError
from tf_finetune.training.checkpoints.record import Record
from tf_finetune.training.checkpoints.store import CheckpointStore, Saved

WEIGHTS = 2
HISTORY = (
    {"loss": 1 / 3, "val_loss": 5e-324, "val_accuracy": 1.0},
    {"loss": float("inf"), "val_loss": float("-inf"), "val_accuracy": -0.0},
)


@functools.cache
def make_state(number):
    """Tensors of every type that a state has, with all kinds of values; other ones for each number."""
    from tf_finetune.backend import tf

    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324, np.pi + number], np.float32)
    odd[0:1].view(np.uint32)[0] |= 0x2A  # a NaN is more than one value
    return {
        "weights/0": tf.constant(np.random.default_rng(number).normal(size=(3, 2)), tf.float32),
        "weights/1": tf.constant(odd),
        "optimizer/0": tf.constant((1 << 62) + number, tf.int64),
        "optimizer/1": tf.constant(odd[::-1].copy(), tf.float16),
        "metrics/0": tf.constant(0.1 * number, tf.bfloat16),
        "dropout/0": tf.constant([[1, -(1 << 63), number]], tf.int64),
        "dropout/1": tf.constant(np.zeros([0, 3]), tf.float32),
    }


def make_saved(number, **record):
    """A checkpoint; other values for each number."""
    state = make_state(number)
    best = tuple(state[f"weights/{i}"].numpy() * 2 for i in range(WEIGHTS))
    values = {"step": number, "steps_per_epoch": 9, "history": HISTORY, "unvalidated": {"loss": 0.1 * number}}
    return Saved(Record(**values | {"resumed_at": (3, 7), "forced": ("fit.seed: 1, now 2",)} | record), state, best)


def bits(saved):
    """All of a checkpoint, to the last bit."""
    named = {**saved.state, **{f"best/{i}": value for i, value in enumerate(saved.best)}}
    arrays = {name: np.asarray(getattr(value, "numpy", lambda value=value: value)()) for name, value in named.items()}
    return repr(saved.record), {name: (x.dtype, x.shape, x.tobytes()) for name, x in arrays.items()}


def names(store):
    return sorted(path.name for path in store.folder.iterdir())


def load(store):
    """Loads into variables that hold other values."""
    return store.load(make_state(99), weights=WEIGHTS)


@pytest.fixture
def store(tmp_path):
    """A store with two checkpoints."""
    store = CheckpointStore(tmp_path / "run" / "checkpoints")
    for number in (1, 2):
        store.save(make_saved(number))
    return store


def files_of_the_newest(store):
    """Path to content of its five files."""
    content = {path: path.read_bytes() for path in sorted(store.checkpoints()[-1].iterdir())}
    assert sorted(path.name.partition(".data")[0] for path in content) == [
        "best",
        "best.index",
        "record.json",
        "state",
        "state.index",
    ]
    return content


def put_back(content):
    for path, data in content.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


@pytest.mark.parametrize("best", [True, False], ids=["best weights", "none yet"])
def test_what_comes_back_is_what_was_saved_to_the_last_bit(tmp_path, best):
    store = CheckpointStore(tmp_path / "deep" / "checkpoints")
    saved = make_saved(5)
    saved = saved if best else dataclasses.replace(saved, best=())
    assert store.save(saved) == store.checkpoints()[-1]
    found = load(store)
    assert bits(found) == bits(saved)
    assert found.record == saved.record and (found.record.history, found.record.resumed_at) == (HISTORY, (3, 7))


def test_values_that_are_no_numbers_come_back(tmp_path):
    store = CheckpointStore(tmp_path)
    store.save(make_saved(1, history=({"loss": float("nan")},), unvalidated=None, resumed_at=(), forced=()))
    assert repr(load(store).record) == (
        "Record(step=1, steps_per_epoch=9, history=({'loss': nan},), unvalidated=None, resumed_at=(), forced=())"
    )


def test_two_are_kept(store):
    newest = [store.save(make_saved(number)) for number in (3, 4, 5)][-2:]
    assert store.checkpoints() == newest and names(store) == [path.name for path in newest]
    assert bits(load(store)) == bits(make_saved(5))


def test_each_torn_file_leads_to_the_one_before(store, caplog):
    older, newest = store.checkpoints()
    content = files_of_the_newest(store)
    for path, data in content.items():
        for left in {0, 1, len(data) // 2, len(data) - 2, None}:
            put_back(content)
            caplog.clear()
            if left is None:
                path.unlink()
            else:
                path.write_bytes(data[:left])
            assert bits(load(store)) == bits(make_saved(1)), (path.name, left)
            (message,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
            assert message.startswith(f"the checkpoint {newest} is damaged (") and "before it is tried" in message
            assert store.checkpoints() == [older]


def test_a_changed_byte_never_gives_wrong_values(store):
    older, newest = (bits(make_saved(number)) for number in (1, 2))
    content = files_of_the_newest(store)
    chance = random.Random(3)
    fell_back = dict.fromkeys(content, 0)
    for path, data in content.items():
        for position in range(len(data)):
            changed = bytearray(data)
            changed[position] ^= chance.randint(1, 255)
            put_back({**content, path: changed})
            found = bits(load(store))
            assert found in (older, newest), (path.name, position, changed[position])
            fell_back[path] += found == older
    for path, data in content.items():  # some bytes of an index do not count
        assert fell_back[path] == len(data) if "index" not in path.name else fell_back[path] > len(data) / 2, path.name


@pytest.mark.parametrize(
    "change",
    [
        {"step": 3},
        {"steps_per_epoch": 8},
        {"history": []},
        {"unvalidated": None},
        {"resumed_at": []},
        {"forced": []},
        {"best": 0},
        {"best": 1},
        {"format": 2},
        {"more": 1},
        {"sha256": "0" * 64},
        {"sha256": None},
    ],
    ids=str,
)
def test_a_record_that_was_changed_by_hand_is_not_believed(store, change):
    path = store.checkpoints()[-1] / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert bits(load(store)) == bits(make_saved(1))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"sha256": {}}', "\udcff", "[" * 50])
def test_a_record_that_is_something_else_is_not_believed(store, text):
    (store.checkpoints()[-1] / "record.json").write_bytes(text.encode(errors="surrogateescape"))
    assert bits(load(store)) == bits(make_saved(1))


def test_a_record_may_be_written_in_another_way(store):
    path = store.checkpoints()[-1] / "record.json"
    path.write_text(json.dumps(dict(sorted(json.loads(path.read_text()).items()))))
    assert bits(load(store)) == bits(make_saved(2))


def test_what_a_killed_process_left_is_removed(store):
    for name in (".tmp-000000003-abc", ".tmp-000000002-def"):
        (store.folder / name / "below").mkdir(parents=True)
        (store.folder / name / "state.index").write_text("x")
    kept = [path.name for path in store.checkpoints()]
    assert bits(load(store)) == bits(make_saved(2))
    assert names(store) == kept


def test_without_a_sound_one_the_reasons_are_listed_and_nothing_is_removed(store):
    older, newest = store.checkpoints()
    (older / "record.json").write_text("{")
    (newest / "state.index").unlink()
    with pytest.raises(RunError) as caught:
        load(store)
    start, reasons = str(caught.value).split("none is sound (")
    assert start == f"The run cannot be gone on with: of the checkpoints in {store.folder}, "
    first, second = reasons.split("; ", 1)
    assert first.startswith(f"{newest.name}: ") and str(newest / "state") in first and "{{" not in first
    assert second.startswith(f"{older.name}: Cannot read {older / 'record.json'}: ")
    assert second.endswith("). Begin it again.")
    assert store.checkpoints() == [older, newest]


def test_a_store_without_any_says_so(tmp_path):
    store = CheckpointStore(tmp_path / "none")
    with pytest.raises(RunError, match=r"of the checkpoints in .*none, there is none\. Begin it again\.$"):
        load(store)
    assert not store.folder.exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"weights/1": ([5], "float32")}, r"weights/1 has the shape \(6,\), not \(5,\)"),
        ({"optimizer/1": ([6], "float32")}, r"(?i)optimizer/1.*dtype|dtype.*optimizer/1"),
        ({"optimizer/2": ([6], "float32")}, r"optimizer/2 not found"),
    ],
    ids=["shape", "type", "name"],
)
def test_a_checkpoint_of_another_model_is_refused(store, change, reason):
    from tf_finetune.backend import tf

    other = {name: tf.zeros(shape, dtype) for name, (shape, dtype) in change.items()}
    with pytest.raises(RunError, match=reason):
        store.load(make_state(1) | other, weights=WEIGHTS)
    with pytest.raises(RunError, match=r"record\.json counts 2 weights of the best epoch, not 3"):
        store.load(make_state(1), weights=3)
    assert len(store.checkpoints()) == 2


@contextlib.contextmanager
def largest_file(size):
    """Lets no file of this process grow beyond a size in bytes, as a full disk does."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_what_is_there_and_says_what_to_do(store):
    kept, newest = names(store), store.checkpoints()[-1]
    saved = make_saved(3)
    refused = []
    for size in range(0, 900, 15):  # from a disk without room for the first tensor to one that has all
        try:
            with largest_file(size):
                written = store.save(saved)
        except RunError as error:
            refused.append(size)
            message = str(error)
            assert message.startswith(f"The checkpoint of update 3 cannot be written to {store.folder}: ")
            assert "File too large" in message and "{{" not in message and "[Op" not in message
            advice = "Make room, or make the folder writable, and go on with --resume: the one before it stays, in"
            assert message.endswith(f". {advice} {newest}.")
            assert names(store) == kept, size
            assert bits(load(store)) == bits(make_saved(2))
        else:
            assert max(refused) < size
            assert bits(load(store)) == bits(saved), size
    sizes = {path.name: path.stat().st_size for path in written.iterdir()}
    assert max(sizes, key=sizes.get) == "record.json" and sizes["state.index"] < max(refused) < sizes["record.json"]


def test_a_disk_that_is_full_from_the_first_checkpoint_on_is_said_too(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints")
    with largest_file(10), pytest.raises(RunError, match=r"File too large.* and begin again\.$"):
        store.save(make_saved(1))
    assert names(store) == []


def test_what_cannot_be_brought_to_the_disk_is_not_published(store, monkeypatch):
    kept = names(store)

    def fail(descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch, pytest.raises(RunError, match=r"Input/output error\. Make room"):
        patch.setattr(os, "fsync", fail)
        store.save(make_saved(3))
    assert names(store) == kept


def test_everything_is_on_the_disk_before_it_gets_its_name(store, monkeypatch):
    synced, fsync, rename = set(), os.fsync, os.rename

    def note(descriptor):
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def check(source, target):
        inside = {path.stat().st_ino for path in (Path(source), *Path(source).iterdir())}
        assert len(inside) == 6 and inside <= synced
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "rename", check)
    assert bits(make_saved(3)) == bits((store.save(make_saved(3)), load(store))[1])


@contextlib.contextmanager
def without_privileges():
    """As a user that the permissions of folders hold for."""
    if not hasattr(os, "geteuid"):
        pytest.skip("folders have no permissions")
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_folder_that_cannot_be_written_keeps_what_is_there():
    with tempfile.TemporaryDirectory() as place:  # beside tmp_path, which others may not enter
        store = CheckpointStore(Path(place) / "checkpoints")
        newest = store.save(make_saved(1))
        Path(place).chmod(0o755)
        store.folder.chmod(0o555)
        try:
            with without_privileges(), pytest.raises(RunError) as caught:
                store.save(make_saved(2))
        finally:
            store.folder.chmod(0o755)
        assert "Permission denied" in str(caught.value) and "make the folder writable" in str(caught.value)
        assert names(store) == [newest.name]
        assert bits(load(store)) == bits(make_saved(1))


def test_clocks_that_go_back_change_nothing(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path)
    now = 2e9
    monkeypatch.setattr(time, "time", lambda: now)
    for number in range(1, 12):  # names get another digit on the way
        now -= 1e6
        newest = store.save(make_saved(number))
        os.utime(newest, (now, now))
        for path in newest.iterdir():
            os.utime(path, (now, now))
        assert store.checkpoints()[-1] == newest
        assert bits(load(store)) == bits(make_saved(number))
    assert len(names(store)) == 2
    (newest / "record.json").unlink()
    assert bits(load(store)) == bits(make_saved(10))
