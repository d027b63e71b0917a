"""Which part a process takes in a search, by keras-tuner's variables."""

import pytest

from tf_finetune.errors import ConfigError, RunError
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
