"""The ledger of a search, whole, torn and damaged."""

import json

import pytest

from tf_finetune.errors import RunError
from tf_finetune.tuning.assignment import failure
from tf_finetune.tuning.ledger import BEGIN, END, TrialLedger
from tf_finetune.tuning.trial import COMPLETED, FAILED, RUNNING

VALUES = {"fit.batch_size": 8, "model.freeze": "größte"}
DONE = {**failure("", seconds=1.5), "status": COMPLETED, "score": 0.5, "best_epoch": 2, "epochs": 3, "planned": 3}


@pytest.fixture
def ledger(tmp_path):
    """Three trials: a completed one, one that failed, and one that was promoted and is running."""
    found = TrialLedger(tmp_path / "trials.jsonl")
    found.append({"event": BEGIN, "trial": "0000", "worker": "worker0", "values": VALUES})
    found.append({"event": BEGIN, "trial": "0001", "worker": "worker1", "values": VALUES})
    found.append({"event": END, "trial": "0001", "result": failure("No luck.", seconds=2)})
    found.append({"event": END, "trial": "0000", "result": DONE})
    promoted = {**VALUES, "tuner/epochs": 2, "tuner/trial_id": "0000"}
    found.append({"event": BEGIN, "trial": "0002", "worker": "worker1", "values": promoted})
    return found


def test_no_file_is_no_trial(tmp_path):
    assert TrialLedger(tmp_path / "trials.jsonl").trials() == []
    assert not list(tmp_path.iterdir())


def test_trials_in_the_order_in_which_they_began(ledger):
    first, second, third = ledger.trials()
    assert [trial.status for trial in (first, second, third)] == [COMPLETED, FAILED, RUNNING]
    assert (first.score, first.best_epoch, first.epochs, first.seconds, first.worker) == (0.5, 2, 3, 1.5, "worker0")
    assert (second.reason, second.score) == ("No luck.", None)
    assert third.values == VALUES and third.parent == "0000"
    assert first.is_baseline and not third.is_baseline


def test_a_trial_that_is_handed_over_has_its_new_worker(ledger):
    ledger.append({"event": BEGIN, "trial": "0002", "worker": "worker2", "values": VALUES})
    assert [trial.worker for trial in ledger.trials()] == ["worker0", "worker1", "worker2"]


def test_a_torn_last_line_counts_as_not_written_wherever_it_is_torn(ledger):
    content = ledger.path.read_bytes()
    whole, last = ledger.events()[:-1], len(content.splitlines()[-1])
    for cut in range(1, last + 2):
        ledger.path.write_bytes(content[: len(content) - cut])
        assert ledger.events() == whole


def test_what_is_torn_is_overwritten(ledger):
    whole = ledger.events()
    with open(ledger.path, "ab") as file:
        file.write(b'{"event": "beg\x00\x00')
    ledger.append({"event": END, "trial": "0002", "result": DONE})
    assert ledger.events()[:-1] == whole
    assert ledger.events()[-1]["event"] == END
    assert ledger.path.read_bytes().count(b"\n") == 6


DAMAGES = [
    (b"nonsense", "trials.jsonl:2 is damaged"),
    (b"\xff\xfe", "trials.jsonl:2 is damaged"),
    (b"[]", "trials.jsonl:2 is damaged"),
    (b'"begin"', "trials.jsonl:2 is damaged"),
    (b'{"event": "burn", "trial": "0001"}', "no event of a trial"),
    (b'{"event": "begin", "trial": 1, "worker": "worker0", "values": {}}', "no event of a trial"),
    (b'{"event": "begin", "trial": "0001", "worker": "worker0", "values": []}', "no event of a trial"),
    (b'{"event": "begin"}', "trials.jsonl:2 is damaged"),
    (b'{"event": ["begin"], "trial": "0001"}', "no event of a trial"),
    (b"", "trials.jsonl:2 is damaged"),
    (b'{"event": "begin", "trial": "0001"}', "trials.jsonl:2 is damaged"),
    (b'{"event": "end", "trial": "0000", "result": []}', "trials.jsonl:2 is damaged"),
    (b'{"event": "end", "trial": "0000", "result": {"luck": 1}}', "trials.jsonl:2 is damaged"),
]


@pytest.mark.parametrize(("line", "words"), DAMAGES)
def test_a_damaged_line_is_named(ledger, line, words):
    lines = ledger.path.read_bytes().splitlines()
    lines[1] = line
    ledger.path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(RunError, match=words):
        ledger.trials()


def test_each_line_has_its_time_and_is_on_the_disk(ledger, monkeypatch):
    synced = []
    monkeypatch.setattr("tf_finetune.tuning.ledger.os.fsync", synced.append)
    ledger.append({"event": END, "trial": "0002", "result": DONE})
    assert len(synced) == 1
    times = [json.loads(line)["at"] for line in ledger.path.read_text().splitlines()]
    assert times == sorted(times) and times[0] > 1.7e9


def test_what_is_no_number_is_not_written(ledger):
    before = ledger.path.read_bytes()
    with pytest.raises(ValueError):
        ledger.append({"event": END, "trial": "0002", "result": {**DONE, "score": float("nan")}})
    assert ledger.path.read_bytes() == before
