"""A server is compared with what was recorded: over REST, and over gRPC with TensorFlow Serving's own messages."""

import dataclasses
import json
import shutil
from concurrent import futures

import numpy as np
import pytest

from tf_finetune.cli.main import main
from tf_finetune.errors import ConfigError, DependencyError, ExportError, ServingError
from tf_finetune.serving.clients import rest
from tf_finetune.serving.clients.addresses import ModelPath, grpc_target
from tf_finetune.serving.clients.client import Client
from tf_finetune.serving.clients.grpc_call import GrpcServer
from tf_finetune.serving.clients.rest_call import rest_classify, rest_columns, rest_rows
from tf_finetune.serving.clients.smoke import smoke
from tf_finetune.serving.exported import ExportFolder

REST_CHECKS = [
    "serving_default, row format",
    "serving_default, column format",
    "text, row format",
    "text, column format",
    "token_ids, row format",
    "token_ids, column format",
    ":classify",
    "tokenize, row format",
    "tokenize, column format",
]
GRPC_CHECKS = ["serving_default, Predict", "text, Predict", "token_ids, Predict", "Classify", "tokenize, Predict"]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(rest, "FIRST_WAIT", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def model(tiny_run):
    """Name and folder of the tiny model."""
    return tiny_run.run.name, tiny_run.run.path


@pytest.fixture(scope="module")
def url(model):
    """A running server of the tiny model."""
    from tf_finetune.serving.server import running_server

    with running_server(model[1]) as url:
        yield url


@pytest.fixture
def copy(tiny_run, tmp_path):
    """The version folder once more, without its weights: for recorded answers that are not the served ones."""
    shutil.copytree(tiny_run.export, tmp_path / "copy" / "1", ignore=shutil.ignore_patterns("variables*"))
    return ExportFolder(tmp_path / "copy" / "1")


def change(folder, place, **values):
    answers = folder.read_answers()
    answers[place] = dataclasses.replace(answers[place], **values)
    folder.write(folder.read_info(), answers)
    return answers[place]


def relabel(folder, place):
    """Gives an answer the other of the two labels."""
    other = 1 - folder.read_answers()[place].label_id
    return change(folder, place, label_id=other, label=folder.read_info().label_names[other])


def missed(report):
    return [check.name for check in report.checks if not check.ok]


def test_the_server_of_an_export_answers_as_recorded(model, url, tiny_run):
    said = []
    report = smoke(url, model[0], export=model[1], on_check=said.append)
    assert report.ok, report.checks
    assert [check.name for check in report.checks] == REST_CHECKS
    assert tuple(said) == report.checks and report.export == tiny_run.export
    count = len(ExportFolder(tiny_run.export).read_answers())
    assert count > 5 and all(check.details["texts"] == count for check in report.checks)
    assert all(check.details["largest_difference"] < 5e-6 for check in report.checks)  # other batches, other sums
    assert str(report.checks[0]).startswith(f"ok    serving_default, row format: {count} texts, largest difference ")
    assert json.loads(json.dumps(report.to_dict()))["ok"] is True


def test_another_logit_is_a_miss_that_names_the_text(model, url, copy):
    place, answer = 3, copy.read_answers()[3]
    change(copy, place, logits=[answer.logits[0] + 1e-3, *answer.logits[1:]])
    report = smoke(url, model[0], export=copy.path)
    assert missed(report) == [name for name in REST_CHECKS if "tokenize" not in name and "classify" not in name]
    assert repr(answer.text[:100]) in report.checks[0].message and "1.0e-03" in report.checks[0].message
    assert smoke(url, model[0], export=copy.path, tolerance=1e-2).ok


def test_damaged_answers_are_an_error_of_ours(model, url, copy):
    for damage in ({"label": "neutral"}, {"token_ids": {}}, {"text": "\ud800"}, {"logits": [10**400, 0]}):
        answer = copy.read_answers()[0]
        values = {name: getattr(answer, name) for name in damage}
        raw = json.loads(copy.answers.read_text())
        raw["answers"][0].update(damage)
        copy.answers.write_text(json.dumps(raw))
        with pytest.raises(ExportError, match=r"answers.json is damaged: answer 1: "):
            smoke(url, model[0], export=copy.path)
        raw["answers"][0].update(values)
        copy.answers.write_text(json.dumps(raw))


def test_another_label_is_a_miss_everywhere(model, url, copy):
    relabel(copy, 0)
    assert missed(smoke(url, model[0], export=copy.path)) == [name for name in REST_CHECKS if "tokenize" not in name]


def test_other_token_ids_are_a_miss(model, url, copy):
    ids = copy.read_answers()[0].token_ids
    change(copy, 0, token_ids={**ids, "input_ids": [*ids["input_ids"][:-1], 7]})
    found = missed(smoke(url, model[0], export=copy.path))
    assert set(found) >= {"tokenize, row format", "tokenize, column format"}
    assert not set(found) & {"text, row format", ":classify"}


def test_where_padding_changes_the_answers_none_is_sent(model, url, copy, monkeypatch):
    info = dataclasses.replace(copy.read_info(), padding_difference=0.1)
    copy.write_info(info)
    lengths = []
    post = rest.RestServer.post

    def record(self, path, body, **options):
        if body.get("signature_name") == "token_ids":
            rows = (
                body["inputs"]["attention_mask"]
                if "inputs" in body
                else [r["attention_mask"] for r in body["instances"]]
            )
            lengths.append({sum(row) - len(row) for row in rows})
        return post(self, path, body, **options)

    monkeypatch.setattr(rest.RestServer, "post", record)
    assert smoke(url, model[0], export=copy.path).ok
    assert len(lengths) > 4 and all(padding == {0} for padding in lengths)


def test_signatures_are_those_of_the_export(model, url, copy):
    copy.write_info(dataclasses.replace(copy.read_info(), signatures=("text",)))
    names = [check.name for check in smoke(url, model[0], export=copy.path).checks]
    assert {name.split(",")[0] for name in names} == {"serving_default", "text", "tokenize"}
    for signatures in ((), ("text", "later")):
        copy.write_info(dataclasses.replace(copy.read_info(), signatures=signatures))
        with pytest.raises(ServingError, match="The export has the signatures"):
            smoke(url, model[0], export=copy.path)


def test_the_export_is_the_version_that_is_served(model, url, tmp_path, monkeypatch):
    name, folder = model
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ServingError, match="holds no export to compare with"):
        smoke(url, name)
    (tmp_path / "saved_models").mkdir()
    (tmp_path / "saved_models" / name).symlink_to(folder)
    assert smoke(url, name, version=1).ok
    (tmp_path / "other" / "7").mkdir(parents=True)
    with pytest.raises(ServingError, match="The server serves version 1; .*other has 7"):
        smoke(url, name, export=tmp_path / "other")


def test_servers_that_do_not_have_what_is_asked_for(model, url):
    name, folder = model
    for options in ({"version": 9}, {"label": "stable"}):
        with pytest.raises(ServingError, match="the server answered 4"):
            smoke(url, name, export=folder, **options)
    with pytest.raises(ServingError, match="404"):
        smoke(url, "other", export=folder)
    with pytest.raises(ConfigError, match="a version or a label, not both"):
        smoke(url, name, export=folder, version=1, label="stable")
    for tolerance in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="--tolerance must be a positive number"):
            smoke(url, name, export=folder, tolerance=tolerance)


def test_the_client_answers_as_recorded(model, url, tiny_run):
    answers = ExportFolder(tiny_run.export).read_answers()
    with Client(url, model[0], batch_size=3) as client:
        found = client.predict([answer.text for answer in answers])
        assert [(one.label, one.label_id) for one in found] == [(one.label, one.label_id) for one in answers]
        for name in ("logits", "probabilities"):
            expected = [getattr(answer, name) for answer in answers]
            assert np.allclose([getattr(one, name) for one in found], expected, atol=1e-6)
        assert [status.state for status in client.status()] == ["AVAILABLE"]
        with pytest.raises(ServingError, match="The model takes single texts: leave pairs out"):
            client.predict(["a"], pairs=["b"])
    with (
        Client(url, model[0], signature="token_ids") as client,
        pytest.raises(ServingError, match="takes no texts; give signature='serving_default'"),
    ):
        client.predict(["a"])


def test_the_command(model, url, copy, capsys):
    words = ["smoke", url, "--model", model[0], "--export", str(model[1])]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()][:2] == [
        "ok    serving_default, row format",
        "ok    serving_default, column format",
    ]
    assert err.endswith(f"{url}: 9 checks, 0 missed\n")
    relabel(copy, 0)
    words[-1] = str(copy.path)
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert out.startswith("MISS  serving_default, row format: ") and "checks, 7 missed" in err
    assert main([*words, "--json"]) == 1
    report = json.loads(capsys.readouterr()[0])
    assert report["ok"] is False and len(report["checks"]) == 9
    assert main([*words, "--grpc"]) == 2
    assert "gRPC takes HOST:PORT" in capsys.readouterr()[1]


class Answering:
    """Stands for a `RestServer`: one answer to every request."""

    def __init__(self, answer):
        self.answer, self.bodies = answer, []

    def post(self, path, body):
        self.bodies.append((path, body))
        return self.answer


def texts(*values):
    array = np.empty(len(values), object)
    array[:] = [value.encode() for value in values]
    return array


def test_what_is_sent():
    path, ids = ModelPath("m", label="l"), np.array([[1, 2], [3, 0]], np.int32)
    rows, columns = Answering({"predictions": [{"a": 1}] * 2}), Answering({"outputs": {"a": [1, 2]}})
    rest_rows(rows, path, "s")({"text": texts("ü\x00", "b")})
    rest_rows(rows, path, None)({"text": texts("a", "b"), "text_pair": texts("c", "d")})
    rest_rows(rows, path, "s")({"inputs": texts("a", "bc")})
    rest_columns(columns, path, "s")({"input_ids": ids, "attention_mask": ids})
    url = "/v1/models/m/labels/l:predict"
    assert rows.bodies == [
        (url, {"signature_name": "s", "instances": ["ü\x00", "b"]}),
        (url, {"instances": [{"text": "a", "text_pair": "c"}, {"text": "b", "text_pair": "d"}]}),
        (url, {"signature_name": "s", "instances": [{"b64": "YQ=="}, {"b64": "YmM="}]}),
    ]
    assert columns.bodies[0][1]["inputs"]["input_ids"] == [[1, 2], [3, 0]]
    results = Answering({"results": [[["no", 0.25], ["yes", 0.75]]]})
    found = rest_classify(results, path)({"text": texts("a")})
    assert results.bodies == [
        ("/v1/models/m/labels/l:classify", {"signature_name": "classify", "examples": [{"text": "a"}]})
    ]
    assert found["classes"].tolist() == [[b"no", b"yes"]] and found["scores"].tolist() == [[0.25, 0.75]]


@pytest.mark.parametrize(
    ("make", "answer", "words"),
    [
        (rest_rows, {"predictions": [[1.0], [2.0]]}, "one object a row"),
        (rest_rows, {"predictions": [{"logits": [1.0]}]}, "logits for 1 rows; 2 were sent"),
        (rest_rows, {"predictions": [{"logits": [1.0]}, {"label": "a"}]}, "different outputs"),
        (rest_columns, {"outputs": [1]}, "object of outputs"),
        (rest_columns, {"outputs": {"logits": 1.0}}, "logits for float rows"),
        (rest_columns, {"outputs": {"logits": [[1.0], [1.0, 2.0]]}}, "different lengths"),
        (rest_columns, {"outputs": {"logits": [[1.0], 2.0]}}, "different lengths"),
        (rest_columns, {"outputs": {"logits": [[[1.0]], [[2.0]]]}}, "something else than numbers"),
        (rest_columns, {"outputs": {"logits": [True, False]}}, "something else than numbers"),
        (rest_columns, {"outputs": {"logits": [float("nan"), 1.0]}}, "something else than numbers"),
        (rest_columns, {"outputs": {"logits": [10**400, 1]}}, "something else than numbers"),
        (rest_columns, {"outputs": {"label": ["a", 1]}}, "something else than text"),
        (lambda server, path, name: rest_classify(server, path), {"results": [[1], [2]]}, r"rows of \[label, score\]"),
        (lambda server, path, name: rest_classify(server, path), {}, r"rows of \[label, score\]"),
    ],
)
def test_answers_that_are_no_arrays(make, answer, words):
    with pytest.raises(ServingError, match=words):
        make(Answering(answer), ModelPath("m"), None)({"text": texts("a", "b")})


@pytest.fixture(scope="module")
def grpc_server(tiny_run):
    """A gRPC server in this process that calls the SavedModel: its target, and what is to be changed in its answers."""
    import grpc
    from tensorflow_serving.apis import (
        classification_pb2,
        get_model_metadata_pb2,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    from tf_finetune.backend import tf

    signatures = tf.saved_model.load(str(tiny_run.export)).signatures
    spoil = []

    class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
        def check(self, request, context):
            spec = request.model_spec
            if spec.name != "tiny" or spec.version.value not in (0, 1) or spec.version_label not in ("", "stable"):
                context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request")

        def GetModelMetadata(self, request, context):
            self.check(request, context)
            answer = get_model_metadata_pb2.GetModelMetadataResponse()
            answer.model_spec.version.value = 1
            return answer

        def Predict(self, request, context):
            self.check(request, context)
            signature = signatures[request.model_spec.signature_name or "serving_default"]
            inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
            answer = predict_pb2.PredictResponse()
            for name, value in signature(**inputs).items():
                answer.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
            for change in spoil:
                change(answer)
            return answer

        def Classify(self, request, context):
            self.check(request, context)
            rows = [example.SerializeToString() for example in request.input.example_list.examples]
            found = signatures[request.model_spec.signature_name](inputs=tf.constant(rows))
            answer = classification_pb2.ClassificationResponse()
            for classes, scores in zip(found["classes"].numpy(), found["scores"].numpy()):
                row = answer.result.classifications.add()
                for label, score in zip(classes, scores):
                    row.classes.add(label=label.decode(), score=score)
            for change in spoil:
                change(answer)
            return answer

    server = grpc.server(futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", spoil
    server.stop(None)


def test_grpc_answers_as_recorded(grpc_server, tiny_run, copy):
    target, _ = grpc_server
    for options in ({}, {"version": 1}, {"label": "stable"}):
        report = smoke(f"grpc://{target}", "tiny", export=tiny_run.run.path, grpc=True, **options)
        assert report.ok, report.checks
        assert [check.name for check in report.checks] == GRPC_CHECKS
    relabel(copy, 1)
    assert missed(smoke(target, "tiny", export=copy.path, grpc=True)) == GRPC_CHECKS[:-1]


def test_grpc_asks_no_proxy_for_this_machine(grpc_server, monkeypatch):
    from tf_finetune.serving.clients.grpc_call import GrpcServer

    for name in ("no_grpc_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody is there
    with GrpcServer(grpc_server[0], "tiny", timeout=20) as server:
        assert server.served_version() == 1


def grow(answer):
    """One value that stands for a tensor of terabytes."""
    for tensor in getattr(answer, "outputs", {}).values():
        tensor.dtype, tensor.tensor_content = 1, b""
        tensor.float_val[:] = [1.0]
        tensor.tensor_shape.dim.add(size=1 << 40)


def shorten(answer):
    for tensor in getattr(answer, "outputs", {}).values():
        tensor.tensor_shape.dim[0].size = 1
    if hasattr(answer, "result"):
        del answer.result.classifications[-1]


def retype(answer):
    for name, tensor in getattr(answer, "outputs", {}).items():
        tensor.dtype = 1 if name == "label" else 7
    if hasattr(answer, "result"):
        del answer.result.classifications[0].classes[-1]


@pytest.mark.parametrize("spoiler", [grow, shorten, retype])
def test_answers_over_grpc_that_are_no_arrays(grpc_server, tiny_run, spoiler):
    target, spoil = grpc_server
    spoil.append(spoiler)
    try:
        report = smoke(target, "tiny", export=tiny_run.export, grpc=True)
    finally:
        spoil.clear()
    assert missed(report) == [name for name in GRPC_CHECKS if spoiler is not grow or name != "Classify"]


def test_grpc_errors_say_what_to_look_at(grpc_server, tiny_run):
    import socket

    with pytest.raises(ServingError, match=r"NOT_FOUND: Servable not found for request. Look at the name of the model"):
        smoke(grpc_server[0], "other", export=tiny_run.export, grpc=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ServingError, match=r"UNAVAILABLE.*Is the server running"):
            smoke(f"127.0.0.1:{free.getsockname()[1]}", "tiny", export=tiny_run.export, grpc=True, timeout=5.0)
        free.listen()  # takes connections and never answers
        with pytest.raises(ServingError, match=r"DEADLINE_EXCEEDED|UNAVAILABLE"):
            smoke(f"127.0.0.1:{free.getsockname()[1]}", "tiny", export=tiny_run.export, grpc=True, timeout=0.3)


@pytest.mark.parametrize("target", ["http://h:8500", "h", "h:0", "h:99999", "user:secret@h:1", "h:1/x", ""])
def test_grpc_targets_that_are_refused(target):
    with pytest.raises(ConfigError, match="HOST:PORT") as error:
        grpc_target(target)
    assert "secret" not in str(error.value)
    assert grpc_target("grpc://[::1]:8500") == "[::1]:8500"


def test_grpc_without_its_package_says_how_to_get_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    with pytest.raises(DependencyError, match=r"pip install 'tf_finetune\[grpc\]'"):
        GrpcServer("h:8500", "m")
