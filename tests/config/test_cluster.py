"""TF_CONFIG names the workers; what is wrong in it is said."""

import json

import pytest

from tf_finetune.config.cluster import Cluster, read_cluster
from tf_finetune.errors import ConfigError


def environment(cluster, task):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def test_without_several_workers_there_is_no_cluster():
    assert read_cluster({}) is None
    assert read_cluster({"TF_CONFIG": ""}) is None
    assert read_cluster(environment({"worker": ["a:1"]}, {"type": "worker", "index": 0})) is None


@pytest.mark.parametrize(
    ("task", "index"), [(("chief", 0), 0), (("worker", 0), 1), (("worker", 1), 2)], ids=["chief", "first", "second"]
)
def test_the_chief_comes_first(task, index):
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    found = read_cluster(environment(cluster, dict(zip(("type", "index"), task))))
    assert found == Cluster(("a:1", "b:1", "c:1"), index)
    assert found.is_chief == (index == 0)


def test_without_a_chief_the_first_worker_is_it():
    cluster = {"worker": ["a:1", "b:1"]}
    assert read_cluster(environment(cluster, {"type": "worker", "index": 0})).is_chief
    assert not read_cluster(environment(cluster, {"type": "worker", "index": 1})).is_chief


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"TF_CONFIG is not of the form .*host0:2222"),
        ("[]", "TF_CONFIG is not of the form"),
        ('{"cluster": {"worker": "a:1"}}', r"expected a list of host:port, received 'a:1'"),
        ('{"cluster": {"worker": ["a", "b"]}}', "expected a list of host:port"),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
            "there is no task 'worker' 2",
        ),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": "0"}}', "no whole number"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "evaluator", "index": 0}}', "no task 'evaluator'"),
        ('{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"index": 0}}', "of the kind ps"),
    ],
)
def test_what_is_wrong_in_it_is_said(text, message):
    with pytest.raises(ConfigError, match=message):
        read_cluster({"TF_CONFIG": text})
