"""What lies beside the graph: recorded answers, warm-up requests, batching parameters, and who may write a number."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.conftest import tiny_rows
from tf_finetune.errors import ExportError, ModelError, RunError
from tf_finetune.files import publish_folder, staging_folder
from tf_finetune.run import ModelFolder
from tf_finetune.serving.batching import batching_parameters
from tf_finetune.serving.export import export
from tf_finetune.serving.exported import Answer, ExportFolder, find_export
from tf_finetune.serving.formats.models_config import read_models_config
from tf_finetune.serving.formats.tfrecord import read_records


@pytest.fixture
def model_folder(tiny_run, tmp_path):
    """A copy of the finished run alone."""
    shutil.copytree(tiny_run.run.run, tmp_path / "m" / "run")
    return tmp_path / "m"


@pytest.fixture(scope="module")
def exported(tiny_run):
    return ExportFolder(tiny_run.export)


@pytest.fixture(scope="module")
def signatures(tiny_run):
    from tf_finetune.backend import tf

    return tf.saved_model.load(str(tiny_run.export)).signatures


def test_recorded_answers_are_the_keras_models_own(exported, tiny_run):
    from tf_finetune.evaluation.predictor import load_predictor

    answers = exported.read_answers()
    predictor = load_predictor(tiny_run.run.path)
    expected = np.concatenate([predictor.probabilities([answer.text]) for answer in answers])
    assert np.allclose([answer.probabilities for answer in answers], expected, atol=1e-5)
    assert [answer.label for answer in answers] == [("negative", "positive")[i] for i in expected.argmax(1)]
    for answer in answers:
        assert list(answer.token_ids["input_ids"]) == predictor.encoder.encode([answer.text]).ids.tolist()
        assert set(answer.token_ids["attention_mask"]) == {1}


def test_an_export_keeps_as_many_validation_texts_as_asked(exported, tiny_run, model_folder):
    rows = {json.loads(line)["text"] for line in tiny_run.run.validation_texts.read_text().splitlines()}
    assert rows <= {text for text, _ in tiny_rows()}
    own = [answer.text for answer in exported.read_answers() if answer.text in rows]
    assert len(own) == 8
    assert max(map(len, own)) == max(map(len, rows))
    kept = ExportFolder(export(model_folder, keep_texts=0, signatures=["token_ids"])).read_answers()
    assert not [answer for answer in kept if answer.text in rows]
    assert "" in [answer.text for answer in kept]


def test_the_information_is_complete(exported, tiny_run):
    info = exported.read_info()
    rows = tiny_run.run.validation_texts.read_text().splitlines()
    assert (info.version, info.name) == (1, "tiny")
    assert info.weights_sha256 == tiny_run.run.read_manifest().weights_sha256
    assert info.validation_texts == len(rows) == 24
    assert 0 <= info.padding_difference < 1e-5
    assert info.padding == {"input_ids": 0, "attention_mask": 0}
    assert set(info.packages) == {"tf_finetune", "tensorflow", "tf-keras", "transformers", "tokenizers"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda values: values.pop("run_id"), "expected the keys"),
        (lambda values: values.update(max_length="16"), "max_length is '16', expected int"),
        (lambda values: values.update(pairs=1), "pairs is 1, expected bool"),
        (lambda values: values.update(version=True), "version is True, expected int"),
        (lambda values: values.update(label_names=[1, 2]), "label_names is [1, 2], expected tuple[str, ...]"),
        (lambda values: values.update(signatures=[["text"]]), "signatures is [['text']], expected tuple[str, ...]"),
        (lambda values: values.update(padding={"input_ids": None}), "expected Mapping[str, int]"),
        (lambda values: values.update(format=2), "of another format than 1"),
        (lambda values: values.update(extra=0), "expected the keys"),
    ],
)
def test_damaged_information_is_refused(exported, tmp_path, damage, message):
    values = json.loads(exported.info.read_text())
    damage(values)
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "export.json").write_text(json.dumps(values))
    with pytest.raises(ExportError, match=re.escape(message)):
        ExportFolder(tmp_path).read_info()


def test_information_that_cannot_be_read_to_its_end_is_refused(tmp_path):
    (tmp_path / "assets.extra").mkdir()
    file = tmp_path / "assets.extra" / "export.json"
    file.write_text("[" * 100_000)
    with pytest.raises(ExportError, match="no export of ours, or it is damaged"):
        ExportFolder(tmp_path).read_info()
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ExportError, match="no regular file"):
        ExportFolder(tmp_path).read_info()


def test_a_disk_that_is_full_is_told_of(model_folder, monkeypatch):
    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tf_finetune.serving.warmup.write_records", full)
    with pytest.raises(ExportError, match="cannot be written into .*No space left on device. Nothing was published"):
        export(model_folder)
    assert ModelFolder(model_folder).versions() == []
    assert not list(model_folder.glob(".tmp-*"))


def test_tensorflow_that_cannot_write_is_told_of(model_folder, monkeypatch):
    from tf_finetune.backend import tf

    def full(*_args, **_options):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(ExportError, match="cannot write the SavedModel: No space left on device"):
        export(model_folder)


def test_exports_are_found_by_model_folder_or_version(tiny_run, model_folder, tmp_path):
    assert find_export(tiny_run.run.path).path == tiny_run.export
    assert find_export(tiny_run.export).version == 1
    with pytest.raises(ExportError, match="no exported version. Write one: tf-finetune export"):
        find_export(model_folder)
    with pytest.raises(ExportError, match="There is no folder"):
        find_export(tmp_path / "nothing")


def test_the_longest_input_can_be_shortened(model_folder):
    from tf_finetune.backend import tf

    folder = export(model_folder, max_length=6)
    tokenize = tf.saved_model.load(str(folder)).signatures["tokenize"]
    assert tokenize(text=tf.constant(["good " * 50]))["input_ids"].shape == (1, 6)
    assert ExportFolder(folder).read_info().max_length == 6


def test_a_length_beyond_the_positions_is_refused_before_anything_is_loaded(model_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf_finetune.model.trained", None)  # importing it would fail
    with pytest.raises(ModelError, match="--max-length 65 is more than the 64 tokens"):
        export(model_folder, max_length=65)


def test_any_text_is_answered(signatures):
    from tf_finetune.backend import tf

    texts = [b"", b"\xff\xfe broken \xc3", b"good " * 20_000, b"x" * 100_000, "\U0001f600".encode() * 25_000, b"\x00"]
    answer = signatures["serving_default"](text=tf.constant(texts))
    assert answer["logits"].shape == (6, 2)
    assert np.isfinite(answer["logits"].numpy()).all()
    empty = signatures["serving_default"](text=tf.constant([], tf.string))
    assert {name: tensor.shape.as_list() for name, tensor in empty.items()} == {
        "label": [0],
        "label_id": [0],
        "confidence": [0],
        "logits": [0, 2],
        "probabilities": [0, 2],
    }


def test_warmup_requests_are_what_the_server_reads(exported):
    from tensorflow_serving.apis import prediction_log_pb2

    from tf_finetune.backend import tf

    requests = []
    for record in read_records(exported.warmup):
        log = prediction_log_pb2.PredictionLog.FromString(record)
        request = log.predict_log.request
        assert request.model_spec.name == "tiny"
        arrays = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        requests.append((request.model_spec.signature_name, arrays))
    texts = [arrays["text"][0].decode() for name, arrays in requests if name == "serving_default"]
    assert [len(text.split()) for text in texts] == [1, 8, 16]
    ids = [arrays["input_ids"].shape for name, arrays in requests if name == "token_ids"]
    assert ids == [(1, 3), (1, 10), (1, 16)]
    assert {name for name, _ in requests} == {"serving_default", "text", "token_ids", "classify"}
    same = [record.numpy() for record in tf.data.TFRecordDataset(str(exported.warmup))]
    assert same == list(read_records(exported.warmup))


def test_a_warmup_request_that_fails_is_not_published(model_folder, monkeypatch):
    import tf_finetune.serving.warmup as module

    whole = module.write_predict_log
    broken = lambda model, name, inputs: whole(model, "no_such_signature", inputs)  # noqa: E731
    monkeypatch.setattr(module, "write_predict_log", broken)
    with pytest.raises(ExportError, match=r"warm-up record 1 \(no_such_signature\) fails"):
        export(model_folder)
    assert {path.name for path in model_folder.iterdir()} == {"run"}


def test_a_tokenizer_that_differs_is_not_published(model_folder, monkeypatch):
    import tf_finetune.serving.graph.graph_tokenizer as module
    from tf_finetune.backend import tf

    whole = module.GraphTokenizer.__call__

    def unlike(self, *columns):
        ids, mask, types = whole(self, *columns)
        return tf.where(ids == 7, 8, ids), mask, types  # "film" becomes "book"

    monkeypatch.setattr(module.GraphTokenizer, "__call__", unlike)
    with pytest.raises(ExportError) as error:
        export(model_folder)
    lines = str(error.value).split("\n")
    assert "differs from the run's on" in lines[0]
    assert "in the graph: book=8 " in lines[1]
    assert "in the run:   film=7 " in lines[2]
    assert {path.name for path in model_folder.iterdir()} == {"run"}


def test_batching_parameters_follow_from_the_lengths():
    def rows(lengths):
        return int(re.search(r"max_batch_size { value: (\d+) }", batching_parameters(lengths, max_length=512))[1])

    assert rows(np.full(100, 20)) == 128
    assert rows(np.full(100, 256)) == 64
    assert rows(np.full(100, 512)) == rows(np.array([], int)) == 32
    text = batching_parameters(np.arange(1, 101), max_length=512)
    assert "half of them have at most 50 tokens, 95 % at most 95" in text
    assert "pad_variable_length_inputs" not in text
    assert "allowed_batch_sizes" not in text


def test_what_is_served_is_not_changed_by_an_export(model_folder):
    export(model_folder, signatures=["token_ids"])
    config = ModelFolder(model_folder).models_config
    written = read_models_config(config)
    assert (written.name, written.base_path, written.versions) == ("m", str(model_folder), None)
    config.write_text(config.read_text() + "# mine\n")
    export(model_folder, signatures=["token_ids"])
    assert config.read_text().endswith("# mine\n")
    assert ModelFolder(model_folder).versions() == [1, 2]


def test_a_run_without_its_validation_texts_is_damaged(model_folder):
    ModelFolder(model_folder).validation_texts.unlink()
    with pytest.raises(RunError, match="the run's validation texts"):
        export(model_folder)


def test_folders_published_at_once_get_different_numbers(tmp_path):
    """The step that two exporters share: many writers, each takes the next free number until one is its own."""

    def publish(writer):
        with staging_folder(tmp_path, "export") as staging:
            (staging / "saved_model.pb").write_text(str(writer))
            while True:
                number = max(ModelFolder(tmp_path).versions(), default=0) + 1
                try:
                    publish_folder(staging, tmp_path / str(number))
                    return number
                except RunError:
                    continue

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(publish, range(24)))
    assert sorted(numbers) == list(range(1, 25))
    assert [(tmp_path / str(n) / "saved_model.pb").read_text() for n in numbers] == [str(w) for w in range(24)]
    assert {path.name for path in tmp_path.iterdir()} == {str(n) for n in numbers}


EXPORTER = """
import os, signal, sys
moment, calls, fsync = int(sys.argv[2]), 0, os.fsync
def dying(descriptor):
    global calls
    calls += 1
    if calls == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)
os.fsync = dying
from tf_finetune.serving.export import export
print(export(sys.argv[1]))
"""


def kill_at(folder, moment):
    """Runs an exporter that dies at a given write to the disk."""
    words = [sys.executable, "-c", EXPORTER, str(folder), str(moment)]
    return subprocess.run(words, capture_output=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}).returncode


def assert_whole(folder):
    """Every numeric folder is a whole export."""
    for version in ModelFolder(folder).versions():
        exported = ExportFolder(folder / str(version))
        assert exported.read_info().version == version
        assert exported.read_answers()
        assert len(list(read_records(exported.warmup))) == 12
        assert exported.batching.is_file()


def test_an_exporter_that_is_killed_leaves_no_number(model_folder):
    assert kill_at(model_folder, 8) == -signal.SIGKILL
    assert ModelFolder(model_folder).versions() == []
    assert [path.name for path in model_folder.iterdir() if path.name.startswith(".tmp-export-")]
    assert export(model_folder).name == "1"
    assert_whole(model_folder)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [1, 3, 5, 12, 16, 17, 18])
def test_an_exporter_can_be_killed_at_every_write(model_folder, moment):
    kill_at(model_folder, moment)
    assert_whole(model_folder)


@pytest.mark.slow
def test_two_exporters_at_once_write_two_versions(model_folder):
    words = [sys.executable, "-m", "tf_finetune", "export", str(model_folder)]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = {process.communicate()[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert folders == {str(model_folder / "1"), str(model_folder / "2")}
    assert_whole(model_folder)


def test_an_answer_survives_its_file(tmp_path, exported):
    answer = Answer("näive \U0001f600\n", None, {"input_ids": [1], "attention_mask": [1]}, [0.1], [1.0], 0, "ja")
    ExportFolder(tmp_path).write(exported.read_info(), [answer])
    (same,) = ExportFolder(tmp_path).read_answers()
    assert (same.text, same.label, list(same.logits)) == (answer.text, "ja", [0.1])
