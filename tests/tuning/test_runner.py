"""What becomes of a trial's process: its result, its reason, or the end of the search."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.tuning.search_process import TRAINER
from tf_finetune.config import Config, FitConfig, RunConfig
from tf_finetune.errors import TrainingStopped, TuningError
from tf_finetune.run import ModelFolder
from tf_finetune.training.stopping import StopRequest
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.runner import TrialRunner

VALUES = {"fit.batch_size": 8}


@pytest.fixture
def make_runner(tmp_path, monkeypatch):
    """Makes the runner of a search with a command of its own; the fake trainer by default."""
    monkeypatch.setattr("tf_finetune.tuning.runner.POLL_SECONDS", 0.005)

    def make(command=tuple(TRAINER), *, epochs=3, orders=None, **options):
        monkeypatch.setenv("FAKE_TRAINER", json.dumps(orders or {}))
        config = Config(fit=FitConfig(epochs=epochs), run=RunConfig(output=str(tmp_path / "m")))
        folder = TuneFolder(ModelFolder(tmp_path / "m"))
        options = {"stop": StopRequest(), **options}
        return TrialRunner(folder, config, objective="val_accuracy", command=command, **options)

    return make


def program(text):
    """A command that runs a program of Python on the folder of a trial, in `sys.argv[1]`."""
    return [sys.executable, "-c", f"import json, os, pathlib, signal, sys\nfolder = pathlib.Path(sys.argv[1])\n{text}"]


def test_a_completed_trial(make_runner):
    runner = make_runner()
    found = runner.run("0001", VALUES)
    assert found["status"] == "completed"
    assert (found["best_epoch"], found["epochs"], found["planned"], found["pruned"]) == (3, 3, 3, False)
    assert found["score"] == 0.922  # the rate is the best one; three epochs, eight rows a batch
    trial = runner.folder.trial("0001")
    assert json.loads((trial.path / "result.json").read_text()) == found
    task = json.loads((trial.path / "trial.json").read_text())
    assert (task["config"]["fit"]["batch_size"], task["last_epoch"], task["keeps_checkpoints"]) == (8, None, False)
    assert task["config"]["run"]["output"] == str(trial.path)
    assert task["config"]["run"]["resume"] == "auto" and not task["config"]["export"]["export"]


def test_a_result_is_not_computed_again(make_runner):
    first = make_runner().run("0001", VALUES)
    assert make_runner(program("sys.exit(3)")).run("0001", VALUES) == first


def test_a_run_that_was_finished_before_its_result_was_written(make_runner):
    runner = make_runner()
    first = runner.run("0001", VALUES)
    (runner.folder.trial("0001").path / "result.json").unlink()
    again = make_runner(program("sys.exit(3)")).run("0001", VALUES)
    assert {**again, "seconds": 0} == {**first, "seconds": 0}


ENDS = [
    ("sys.exit(3)", "Its process ended with exit code 3. See "),
    ("sys.exit(0)", "Its process ended with exit code 0. See "),
    ("os.kill(os.getpid(), signal.SIGKILL)", "It was killed by the system, as a rule for lack of memory"),
    ("os.kill(os.getpid(), signal.SIGABRT)", "Its process was ended by SIGABRT. See "),
    ("print('Oh no'); sys.exit(1)", "Its process ended with exit code 1. See "),
]


@pytest.mark.parametrize(("text", "words"), ENDS)
def test_why_a_trial_has_failed(make_runner, text, words):
    runner = make_runner(program(text))
    found = runner.run("0001", VALUES)
    assert (found["status"], found["score"]) == ("failed", None)
    assert found["reason"].startswith(words)
    assert ("Oh no" in (runner.folder.trial("0001").path / "log.txt").read_text()) == ("Oh no" in text)


def test_an_old_reason_does_not_count(make_runner):
    runner = make_runner(program("sys.exit(3)"))
    path = runner.folder.trial("0001").path
    path.mkdir(parents=True)
    (path / "error.json").write_text('{"kind": "DataError", "message": "of another process"}')
    assert "exit code 3" in runner.run("0001", VALUES)["reason"]


def test_a_score_that_is_no_number(make_runner):
    text = (
        "run = folder / 'run'; run.mkdir()\n"
        "(run / 'history.csv').write_text('epoch,loss,val_accuracy\\n0,1.0,nan\\n1,nan,nan\\n')\n"
        "(run / 'complete.json').write_text('{\"format\": 1}')"
    )
    found = make_runner(program(text)).run("0001", VALUES)
    assert found["reason"] == "val_accuracy is no number in any epoch."


def test_hyperbands_trial_stops_and_another_goes_on_from_it(make_runner):
    runner = make_runner(epochs=9)
    first = runner.run("0001", {**VALUES, "tuner/epochs": 2, "tuner/initial_epoch": 0})
    assert (first["epochs"], first["planned"]) == (2, 2)
    assert json.loads((runner.folder.trial("0001").path / "trial.json").read_text())["keeps_checkpoints"]
    second = runner.run("0002", {**VALUES, "tuner/epochs": 6, "tuner/initial_epoch": 2, "tuner/trial_id": "0001"})
    assert second["epochs"] == 6
    assert (runner.folder.trial("0002").path / "begun.txt").read_text() == "2\n"
    last = runner.run("0003", {**VALUES, "tuner/epochs": 9, "tuner/trial_id": "0002"})
    assert last["epochs"] == 9
    assert not json.loads((runner.folder.trial("0003").path / "trial.json").read_text())["keeps_checkpoints"]


def test_what_a_trial_goes_on_from_is_whole_or_not_there(make_runner, monkeypatch):
    runner = make_runner(epochs=4)
    runner.run("0001", {**VALUES, "tuner/epochs": 2})
    with monkeypatch.context() as patched:
        patched.setattr("tf_finetune.tuning.runner.shutil.copytree", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runner.run("0002", {**VALUES, "tuner/epochs": 4, "tuner/trial_id": "0001"})
    assert not runner.folder.trial("0002").path.exists()
    assert runner.run("0002", {**VALUES, "tuner/epochs": 4, "tuner/trial_id": "0001"})["epochs"] == 4
    assert not list(runner.folder.trials.glob(".tmp*"))


def test_the_baseline_is_not_pruned(make_runner):
    runner = make_runner(prune=True)
    for number, prune in (("0000", False), ("0001", True)):
        runner.run(number, VALUES)
        assert json.loads((runner.folder.trial(number).path / "trial.json").read_text())["prune"] is prune


def test_a_mistake_in_the_baseline_is_one_in_all(make_runner):
    orders = {"fails": "all", "error": ["ModelError", "No such layer."]}
    with pytest.raises(TuningError, match="Trial 0000 cannot be trained, nor could any other: No such layer.\nSee "):
        make_runner(orders=orders).run("0000", VALUES)
    assert make_runner(orders=orders).run("0001", VALUES)["reason"] == "No such layer."
    assert not (make_runner().folder.trial("0000").path / "result.json").exists()


def test_a_stop_is_passed_on_and_the_trial_goes_on_later(make_runner):
    stop = StopRequest(max_hours=0.3 / 3600)
    runner = make_runner(orders={"seconds": 60}, stop=stop)
    with pytest.raises(TrainingStopped):
        runner.run("0001", VALUES)
    path = runner.folder.trial("0001").path
    assert not (path / "result.json").exists() and (path / "begun.txt").exists()
    assert make_runner().run("0001", VALUES)["status"] == "completed"


def test_a_trial_that_does_not_stop_is_killed(make_runner, monkeypatch):
    monkeypatch.setattr("tf_finetune.tuning.runner.GRACE_SECONDS", 0.2)
    text = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n(folder / 'began').touch()\nsignal.pause()"
    with pytest.raises(TrainingStopped):
        make_runner(program(text), stop=StopRequest(max_hours=0.5 / 3600)).run("0001", VALUES)


def test_a_trial_of_a_search_that_is_gone_sees_its_input_end(make_runner, tmp_path):
    """The pipe is all that is needed: no signal, no parent's number."""
    runner = make_runner()
    runner.run("0001", VALUES)
    path = runner.folder.trial("0002").path
    path.mkdir()
    (path / "trial.json").write_text((runner.folder.trial("0001").path / "trial.json").read_text())
    environment = {**os.environ, "FAKE_TRAINER": '{"seconds": 60}'}
    process = subprocess.Popen([*TRAINER, str(path)], stdin=subprocess.PIPE, env=environment)
    while not (path / "begun.txt").exists():
        time.sleep(0.01)
    process.stdin.close()
    assert process.wait(20) == 75


def test_a_trial_inherits_the_lock(make_runner, tmp_path):
    """The lock of a search that was killed is free when its trial has ended, too."""
    (tmp_path / "lock").touch()
    with open(tmp_path / "lock") as lock:
        text = f"os.fstat({lock.fileno()}); (folder / 'seen').touch()"
        runner = make_runner(program(text), lock=lock.fileno())
        runner.run("0001", VALUES)
        assert (runner.folder.trial("0001").path / "seen").exists()
