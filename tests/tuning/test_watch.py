"""What is shown of a search while it runs."""

import io

import pytest

from tf_finetune.config import Config
from tf_finetune.run import ModelFolder
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.ledger import BEGIN, END, TrialLedger
from tf_finetune.tuning.search import Search
from tf_finetune.tuning.settings import TuneConfig
from tf_finetune.tuning.space import Space
from tf_finetune.tuning.watch import watching

RESULT = {"status": "completed", "score": 0.9, "best_epoch": 2, "epochs": 3, "planned": 3, "seconds": 60.0}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def folder(tmp_path):
    found = TuneFolder(ModelFolder(tmp_path))
    found.path.mkdir()
    return found


@pytest.fixture
def search():
    return Search.new(Config(), Space.from_dict({"fit.batch_size": [8, 16]}), TuneConfig(max_trials=5), {})


def begin(folder, number, size=8):
    values = {"fit.batch_size": size, "fit.learning_rate": 1.5e-5}
    TrialLedger(folder.ledger).append({"event": BEGIN, "trial": number, "worker": "tuner0", "values": values})


def end(folder, number, **result):
    result = {**RESULT, "pruned": False, "reason": "", **result}
    TrialLedger(folder.ledger).append({"event": END, "trial": number, "result": result})


def test_a_line_for_each_event(folder, search):
    begin(folder, "0000")
    end(folder, "0000", score=0.5)
    stream = io.StringIO()
    with watching(folder, search, stream):
        begin(folder, "0001", 16)
        end(folder, "0001")
        begin(folder, "0002")
        end(folder, "0002", status="failed", score=None, reason="Out of memory.\nMuch more.")
        begin(folder, "0003")
        end(folder, "0003", score=0.7, epochs=1, best_epoch=1, pruned=True)
        begin(folder, "0004")
    assert stream.getvalue().splitlines() == [
        "trial 0001: batch_size=16 learning_rate=1.5e-05",
        "trial 0001: val_accuracy 0.9000 (epoch 2 of 3, 60 s); best so far 0.9000 (trial 0001)",
        "trial 0002: batch_size=8 learning_rate=1.5e-05",
        "trial 0002 failed after 60 s: Out of memory.",
        "trial 0003: batch_size=8 learning_rate=1.5e-05",
        "trial 0003: val_accuracy 0.7000 (epoch 1 of 1, pruned, 60 s); best so far 0.9000 (trial 0001)",
        "trial 0004: batch_size=8 learning_rate=1.5e-05",
    ], "what had ended before is not told again"


def test_a_table_on_a_terminal(folder, search):
    begin(folder, "0000")
    end(folder, "0000")
    begin(folder, "0001")
    trial = folder.trial("0001")
    trial.run.mkdir(parents=True)
    trial.history.write_text("epoch,val_accuracy\n0,0.75\n")
    begin(folder, "0002")
    end(folder, "0002", status="failed", score=None, reason="[bold]Out of memory.")
    stream = Terminal()
    with watching(folder, search, stream):
        pass
    text = stream.getvalue()
    for words in (
        "baseline: batch_size=8",
        "1/3",
        "0.7500",
        "[bold]Out of memory.",
        "2 of 5 trials",
        "about 3 min left",
    ):
        assert words in text, words


def test_nothing_without_a_stream_and_no_harm_by_damage(folder, search):
    with watching(folder, search, None):
        pass
    folder.ledger.write_text("damaged\n")
    stream = io.StringIO()
    with watching(folder, search, stream):
        pass
    assert stream.getvalue() == ""
