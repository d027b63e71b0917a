"""The client against a server that answers by script: well, late, wrongly, hugely, or not at all."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tf_finetune.errors import ConfigError, DataError, ServingError
from tf_finetune.serving.clients import exchange, rest
from tf_finetune.serving.clients.addresses import base_url, is_loopback
from tf_finetune.serving.clients.client import Client, VersionStatus
from tf_finetune.serving.clients.prediction import Prediction

SIGNATURES = {"serving_default": ["text"], "text": ["text"], "token_ids": ["input_ids", "attention_mask"]}


def predict(texts):
    """Predictions that tell which texts were sent."""
    return [
        {
            "label": text[:1],
            "label_id": len(text) % 2,
            "confidence": 0.75,
            "probabilities": [0.25, 0.75],
            "logits": [-0.5, len(text)],
        }
        for text in texts
    ]


def metadata(signatures):
    inputs = {name: {"inputs": dict.fromkeys(taken, {})} for name, taken in signatures.items()}
    return {"model_spec": {"version": "3"}, "metadata": {"signature_def": {"signature_def": inputs}}}


class Script:
    """Answers each request with the next step: (status, body, headers), or a function of the handler."""

    def __init__(self):
        self.steps, self.seen, self.signatures = [], [], SIGNATURES

    def answer(self, handler, body):
        self.seen.append((handler.command, handler.path, body, dict(handler.headers)))
        if handler.path.endswith("/metadata"):
            return 200, json.dumps(metadata(self.signatures)), {}
        step = self.steps.pop(0) if self.steps else (200, None, {})
        if isinstance(step, tuple) and step[1] is None:
            return step[0], json.dumps({"predictions": predict([row["text"] for row in body["instances"]])}), step[2]
        return step


@pytest.fixture
def script():
    return Script()


@pytest.fixture
def url(script, monkeypatch):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self):
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            step = script.answer(self, json.loads(raw) if raw else None)
            if callable(step):
                step(self)
                self.close_connection = True
                return
            status, text, headers = step
            data = text if isinstance(text, bytes) else text.encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = handle_one

        def log_message(self, *args):
            pass

    monkeypatch.setattr(rest, "FIRST_WAIT", 0.001)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def waits(monkeypatch):
    """Seconds that were waited for; none of them really."""
    found = []
    monkeypatch.setattr(rest.time, "sleep", found.append)
    return found


def failing(url, texts=("a",), **options):
    """The message with which a prediction fails."""
    with Client(url, "m", **{"retries": 0, **options}) as client, pytest.raises(ServingError) as error:
        client.predict(texts)
    return str(error.value)


def test_texts_are_sent_in_batches_and_answered_in_order(url, script):
    texts = [f"{i} {'x' * (i % 3)}" for i in range(10)] + ["", 'ü"\\\u2028\x00\U0001f600']
    with Client(url + "/", "m", batch_size=5, headers={"Authorization": "Bearer x"}) as client:
        answers = client.predict(texts)
        assert client.predict([]) == []
    assert [(answer.label, answer.logits[1]) for answer in answers] == [(text[:1], len(text)) for text in texts]
    assert answers[0] == Prediction("0", 0, 0.75, (0.25, 0.75), (-0.5, 2.0))
    assert [body for _, _, body, _ in script.seen] == [
        {"instances": [{"text": text} for text in texts[start : start + 5]]} for start in (0, 5, 10)
    ]
    assert {(method, path) for method, path, _, _ in script.seen} == {("POST", "/v1/models/m:predict")}
    assert {headers["Authorization"] for *_, headers in script.seen} == {"Bearer x"}


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"version": 3}, "/v1/models/a%20b/versions/3:predict"),
        ({"label": "stable"}, "/v1/models/a%20b/labels/stable:predict"),
    ],
)
def test_version_label_signature_and_pairs_reach_the_server(url, script, options, path):
    with Client(url + "/v1", "a b", signature="text", **options) as client:
        client.predict(["x", "y"], pairs=["1", "2"])
    ((_, seen, body, _),) = script.seen
    assert seen == path
    rows = [{"text": "x", "text_pair": "1"}, {"text": "y", "text_pair": "2"}]
    assert body == {"instances": rows, "signature_name": "text"}


def test_busy_servers_and_dropped_connections_are_tried_again(url, script, waits):
    def drop(handler):
        handler.connection.shutdown(socket.SHUT_RDWR)

    def drop_in_the_middle(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")

    script.steps = [(429, "{}", {}), drop, drop_in_the_middle, (503, "{}", {"Retry-After": "2"}), (200, None, {})]
    with Client(url, "m") as client:
        assert client.predict(["abc"])[0].label == "a"
    assert len(script.seen) == 5
    assert waits == [0.001, 0.002, 0.004, 2.0]


def test_it_gives_up_after_the_retries(url, script, waits):
    script.steps = [(503, '{"error": "queue is full"}', {})] * 9
    assert "the server answered 503: queue is full" in failing(url, retries=2)
    assert len(script.seen) == 3 and len(waits) == 2


@pytest.mark.parametrize("after", ["3600", "99999999", "Fri, 31 Dec 2999 23:59:59 GMT"])
def test_a_long_retry_after_is_not_waited_for(url, script, waits, after):
    script.steps = [(429, '{"error": "slow down"}', {"Retry-After": after})]
    assert "429: slow down" in failing(url, retries=4)
    assert waits == []


@pytest.mark.parametrize(
    "after", ["soon", "-1", "Fri, 31 Dec 1999 23:59:59 GMT", "1e9", "Fri, 31 Dec 1999 23:59:59 +9" + "9" * 13]
)
def test_a_retry_after_that_says_nothing_is_no_reason_to_fail(url, script, waits, after):
    script.steps = [(429, "{}", {"Retry-After": after})]
    with Client(url, "m") as client:
        client.predict(["a"])
    assert waits == [0.001]


def test_other_errors_are_not_tried_again(url, script, waits):
    script.steps = [(500, '{"error": "boom"}', {})] * 3
    assert "/v1/models/m:predict: the server answered 500: boom" in failing(url, retries=4)
    assert waits == []


def test_a_slow_answer_is_given_up(url, script):
    release = threading.Event()

    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not release.wait(0.02):
            handler.wfile.write(b"1\r\n \r\n")

    script.steps = [lambda handler: release.wait(5)]
    assert "did not answer within 0.2 seconds" in failing(url, timeout=0.2, retries=4)
    script.steps = [drip]
    assert "did not answer within 0.3 seconds" in failing(url, timeout=0.3, retries=4)
    release.set()
    assert len([path for _, path, _, _ in script.seen if path.endswith(":predict")]) == 2


@pytest.mark.parametrize(
    ("head", "dripping"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"HTTP/1.1 200 OK\r\nA: ", b"b"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"predictions": []}', b" "),
    ],
    ids=["body", "length of a chunk", "header", "continue", "body without length"],
)
def test_an_answer_that_drips_is_given_up(url, script, head, dripping):
    release = threading.Event()

    def drip(handler):
        try:
            handler.wfile.write(head)
            while not release.wait(0.02):
                handler.wfile.write(dripping)
        except OSError:
            pass

    script.steps = [drip]
    with Client(url, "m", timeout=0.3, retries=0) as client:
        asked = threading.Thread(target=lambda: answers.append(pytest.raises(ServingError, client.predict, ["a"])))
        answers = []
        asked.start()
        asked.join(20)
        release.set()
        asked.join()
        assert "did not answer within 0.3 seconds" in str(answers[0].value)
        assert client.predict(["a"])[0].label == "a"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_no_proxy_is_asked_for_this_machine(url, monkeypatch, name):
    for other in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody is there
    for here in (url, url.replace("127.0.0.1", "LOCALHOST")):
        with Client(here, "m", retries=0) as client:
            assert client.predict(["a"])[0].label == "a"
    with Client("http://10.255.255.1", "m", retries=0) as client, pytest.raises(ServingError, match="[Pp]roxy"):
        client.predict(["a"])


def test_hosts_that_are_this_machine():
    assert all(map(is_loopback, ["localhost", "LocalHost", "localhost.", "127.0.0.1", "127.9.9.9", "::1"]))
    assert not any(map(is_loopback, ["", "localhost.example", "10.0.0.1", "0.0.0.0", "::", "127.0.0.1.example"]))


def test_a_server_that_is_not_there(waits):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        assert "cannot be reached, tried 2 times: Connection refused. Is the server running" in failing(url, retries=1)


def test_an_unknown_model_tells_where_to_look(url, script):
    script.steps = [(404, '{"error": "Servable not found for request: Latest(m)"}', {})]
    message = failing(url)
    assert "404: Servable not found for request: Latest(m)" in message
    assert f"curl {url}/v1/models/m" in message


@pytest.mark.parametrize(
    ("signatures", "options", "words"),
    [
        ({"serving_default": ["input_ids", "attention_mask"]}, {}, "This export has no text signature"),
        ({"serving_default": ["input_ids"], "text": ["text"]}, {}, "takes no texts; give signature='text'"),
        ({"serving_default": ["text", "text_pair"]}, {}, "The model takes pairs of texts: give pairs."),
        ({"serving_default": ["text"]}, {"signature": "txet"}, "no signature txet; it has serving_default"),
    ],
)
def test_a_wrong_signature_is_explained(url, script, signatures, options, words):
    script.signatures = signatures
    script.steps = [(400, '{"error": "input size does not match signature"}', {})]
    message = failing(url, **options)
    assert words in message and "400: input size does not match signature" in message


@pytest.mark.parametrize(
    ("status", "text", "words"),
    [
        (200, "", "expected JSON of TensorFlow Serving's REST API"),
        (200, "<html>hello</html>", "Received status 200: '<html>hello</html>'. Is this a model server?"),
        (502, "<html>bad gateway</html>", "Received status 502"),
        (200, "[1]", "expected JSON"),
        (200, "[" * 100_000, "expected JSON"),
        (200, b"\xff\xfe", "expected JSON"),
        (200, '{"error": "odd"}', "odd"),
        (200, '{"predictions": []}', "answers 1 texts with other predictions than one a text: 0 of them"),
        (200, '{"outputs": {"label": ["a"]}}', "other predictions than one a text: \"{'outputs'"),
        (200, '{"predictions": {"0": 1}}', "other predictions than one a text"),
        (200, '{"predictions": [0.1]}', "Expected label, label_id, confidence, probabilities, logits."),
        (200, '{"predictions": [{"label": "a"}]}', "something else than our exports do"),
        (301, "", "redirection to http://elsewhere. Give that URL"),
    ],
)
def test_garbage_is_told_from_an_answer(url, script, status, text, words):
    script.steps = [(status, text, {"Location": "http://elsewhere"} if status == 301 else {})]
    assert words in failing(url)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("label", None, "label None in row 1"),
        ("label_id", True, "label_id True in row 1"),
        ("label_id", -1, "label_id -1 in row 1"),
        ("label_id", 2, "rows of [2] classes, and label_id 2"),
        ("confidence", float("nan"), "confidence nan in row 1"),
        ("logits", [1, float("inf")], "logits [1, inf] in row 1"),
        ("logits", [1, 10**400], "logits [1, 1000"),
        ("logits", [1], "rows of [1, 2] classes"),
        ("logits", {"0": 1}, "logits {'0': 1} in row 1"),
        ("probabilities", [], "probabilities [] in row 1"),
        ("probabilities", [1, "2"], "probabilities [1, '2'] in row 1"),
    ],
)
def test_answers_that_are_not_as_they_should_be(url, script, name, value, words):
    first, second = predict(["a", "b"])
    script.steps = [(200, json.dumps({"predictions": [first, second | {name: value}]}), {})]
    assert words in failing(url, texts=["a", "b"])


def test_a_huge_answer_is_not_read_to_its_end(url, script, monkeypatch):
    monkeypatch.setattr(exchange, "LARGEST_ANSWER", 1 << 20)
    sent = []

    def flood(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        try:
            for _ in range(1000):
                handler.wfile.write(b" " * (1 << 18))
                sent.append(1)
        except OSError:
            pass

    script.steps = [flood]
    assert "more than 1048576 bytes" in failing(url)
    assert len(sent) < 500


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8501", "must be http://HOST:PORT"),
        ("ftp://host", "must be http://HOST:PORT"),
        ("file:///etc/passwd", "must be http://HOST:PORT"),
        ("http://", "must be http://HOST:PORT"),
        ("http://user:secret@host:8501", "user name or a password"),
        ("http://host:8501?x=1", "at most a path"),
        ("http://ho st:8501", "at most a path"),
        ("http://host:99999", "is no URL"),
        ("http://[::1", "is no URL"),
        ("http://" + "a" * 64, "is no URL"),
        ("http://a..b", "is no URL"),
        ("http://host/v1/models/m", "without /v1/models/"),
    ],
)
def test_urls_that_are_refused(url, words):
    with pytest.raises(ConfigError) as error:
        Client(url, "m")
    assert words in str(error.value) and "secret" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/", " http://h:1//", "http://h:1/v1//"]
)
def test_url_forms(url):
    assert base_url(url) == "http://h:1"
    assert base_url(url.strip().replace(":1", ":1/proxy", 1)) == "http://h:1/proxy"


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("", {}),
        ("a/b", {}),
        ("m", {"version": 1, "label": "stable"}),
        ("m", {"batch_size": 0}),
        ("m", {"timeout": 0}),
        ("m", {"timeout": float("nan")}),
        ("m", {"retries": -1}),
        ("m", {"headers": {"Authorization": "secret \u20ac"}}),
        ("m", {"headers": {"Authorization": "secret\r\nHost: x"}}),
        ("m", {"headers": {"Authorization": b"secret"}}),
    ],
)
def test_wrong_arguments(model, options):
    with pytest.raises(ConfigError) as error:
        Client("http://h", model, **options)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("texts", "pairs", "words"),
    [
        ("one text", None, r"give \[text\]"),
        (["a", None], None, "text 1 must be a string. Received: NoneType"),
        (["a"], ["b", "c"], "1 texts and 2 pairs"),
        (["a"], [b"b"], "text_pair 0 must be a string"),
        (["a\ud800"], None, "half a character"),
        (iter(["a"]), None, "a list of texts. Received: list_iterator"),
        (["a"], iter(["b"]), "a list of texts. Received: list_iterator"),
    ],
)
def test_texts_that_cannot_be_sent(texts, pairs, words):
    with Client("http://h", "m") as client, pytest.raises(DataError, match=words):
        client.predict(texts, pairs)


def test_status_and_metadata(url, script):
    rows = [
        {"version": "1", "state": "END", "status": {"error_code": "OK", "error_message": ""}},
        {"version": "2", "state": "AVAILABLE", "status": {"error_code": "NOT_FOUND", "error_message": "gone"}},
    ]
    script.steps = [(200, json.dumps({"model_version_status": rows}), {})]
    with Client(url, "m", label="stable") as client:
        assert client.status() == [VersionStatus(2, "AVAILABLE", "gone"), VersionStatus(1, "END", "")]
        assert client.metadata()["model_spec"] == {"version": "3"}
        assert client.signature_inputs()["token_ids"] == {"input_ids", "attention_mask"}
        assert [path for _, path, _, _ in script.seen] == ["/v1/models/m/labels/stable"] + [
            "/v1/models/m/labels/stable/metadata"
        ] * 2
        for rows in (None, 7, [{"version": "x"}], [{"version": 1, "state": "END", "status": None}]):
            script.steps = [(200, json.dumps({"model_version_status": rows}), {})]
            with pytest.raises(ServingError, match="no status of versions"):
                client.status()


def test_it_needs_no_tensorflow():
    import subprocess
    import sys

    heavy = "{'tensorflow', 'numpy', 'transformers'}"
    code = f"import sys, tf_finetune.serving.clients.client; print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
