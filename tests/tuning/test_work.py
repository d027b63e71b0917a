"""Which part a process takes in a search, by keras-tuner's variables."""

import threading

import pytest

from tf_finetune.errors import ConfigError, RunError, TrainingStopped, TuningError
from tf_finetune.training.stopping import StopRequest
from tf_finetune.tuning.work import ONLY, is_worker, tuner_name, work


def variables(name, ip="127.0.0.1", port="8888"):
    found = {"KERASTUNER_TUNER_ID": name, "KERASTUNER_ORACLE_IP": ip, "KERASTUNER_ORACLE_PORT": port}
    return {key: value for key, value in found.items() if value}


@pytest.mark.parametrize(
    ("name", "works"), [(None, False), ("chief", False), ("my-chief", False), ("worker1", True), ("tuner0", False)]
)
def test_the_part(monkeypatch, name, works):
    for key, value in variables(name).items() if name else ():
        monkeypatch.setenv(key, value)
    assert is_worker() is works


def test_alone_without_the_variables():
    assert tuner_name({"HOME": "/"}) == ONLY


@pytest.mark.parametrize("lacking", ["KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"])
def test_a_variable_that_is_missing_is_named(lacking):
    given = {key: value for key, value in variables("worker1").items() if key != lacking}
    with pytest.raises(ConfigError, match=f"Not set: {lacking}"):
        tuner_name(given)


@pytest.mark.parametrize("name", ["../worker", "a b", "-x", "x" * 70])
def test_a_name_is_a_file_name(name):
    with pytest.raises(ConfigError, match="expected a name"):
        tuner_name(variables(name))


def test_a_worker_does_not_wait_for_ever(tmp_path, monkeypatch):
    for key, value in variables("worker1").items():
        monkeypatch.setenv(key, value)
    with pytest.raises(RunError, match="No chief has begun a search"):
        work(tmp_path, wait_seconds=0.0)


class Stands:
    """Stands for a tuner whose loop goes on until the test ends, or fails."""

    def __init__(self, error=None):
        self.error, self.over = error, threading.Event()

    def search(self, verbose):
        if self.error is not None:
            raise self.error
        self.over.wait(60)


def test_a_chief_stops_when_it_is_asked_to():
    from tf_finetune.tuning.take_part import _serve

    tuner, stop = Stands(), StopRequest()
    stop.reason, stop.exit_code = "SIGTERM", 75
    with pytest.raises(TrainingStopped) as caught:
        _serve(tuner, stop)
    tuner.over.set()
    assert caught.value.exit_code == 75


def test_a_chief_that_cannot_serve_says_so():
    from tf_finetune.tuning.take_part import _serve

    with pytest.raises(TuningError, match="cannot serve its workers: the port is taken"):
        _serve(Stands(RuntimeError("the port is taken")), StopRequest())


def test_a_worker_whose_chief_is_gone_says_what_to_do(tmp_path, monkeypatch):
    import tf_finetune.tuning.take_part as take_part

    gone = type("_InactiveRpcError", (Exception,), {"__module__": "grpc._channel"})

    def fails(*_, **__):
        raise gone

    monkeypatch.setattr(take_part, "take_part", fails)
    monkeypatch.setattr("tf_finetune.tuning.work._wait_for_search", lambda *_: None)
    with pytest.raises(RunError, match="The chief does not answer any more"):
        work(tmp_path)
