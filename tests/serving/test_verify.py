"""`verify` proves a whole export, and misses none of the ways in which one can be broken."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from tf_finetune.cli.main import main
from tf_finetune.errors import ConfigError, ExportError
from tf_finetune.serving.exported import ExportFolder
from tf_finetune.serving.formats.prediction_log import write_predict_log
from tf_finetune.serving.formats.saved_model_file import read_saved_model
from tf_finetune.serving.formats.tfrecord import read_records, write_records
from tf_finetune.serving.verification import with_c_api, with_python, with_run
from tf_finetune.serving.verification.c_api import Library, find_libraries
from tf_finetune.serving.verification.c_session import Session
from tf_finetune.serving.verification.files import look_at_files, look_at_ops, look_at_run, look_at_warmup
from tf_finetune.serving.verification.fresh_process import run_fresh
from tf_finetune.serving.verification.report import attempt
from tf_finetune.serving.verification.signatures import check_signatures
from tf_finetune.serving.verification.verify import verify

SIGNATURES = ["classify", "serving_default", "text", "token_ids", "tokenize"]


@pytest.fixture
def exported(tiny_run, tmp_path):
    """A copy of an export with three of its answers, and with its run."""
    shutil.copytree(tiny_run.run.path, tmp_path / "model")
    copied = ExportFolder(tmp_path / "model" / tiny_run.export.name)
    rewrite(copied, answers=lambda answers: answers[:3])
    return copied


def rewrite(exported, *, answers=lambda answers: answers, **info):
    """Writes export.json and answers.json again, changed."""
    exported.write(dataclasses.replace(exported.read_info(), **info), answers(exported.read_answers()))


def first_changed(**values):
    return lambda answers: [dataclasses.replace(answers[0], **values), *answers[1:]]


@pytest.fixture(scope="module")
def ask(tiny_run):
    """Asks the export, loaded once, about the files of a copy."""
    with Session(Library(*find_libraries()), tiny_run.export) as session:
        columns = {name: list(signature.inputs) for name, signature in session.signatures.items()}
        yield lambda exported: check_signatures("C API", columns, session.run, exported, 1e-5)


def missed(checks):
    """Name to message of the checks that do not hold; less those that no test process can pass."""
    return {check.name: check.message for check in checks if not check.ok and "was imported" not in check.message}


def test_a_whole_export_is_proven(exported):
    lines = []
    proven = verify(exported.path.parent, on_check=lambda check: lines.append(str(check)))
    names = ["files", *(f"python, signature {name}" for name in SIGNATURES), "python", "warm-up"]
    names += [*(f"C API, signature {name}" for name in SIGNATURES), "C API, warm-up", "C API", "run", "run, Keras"]
    assert [line.split(":")[0] for line in lines] == [f"ok    {name}" for name in [*names, "ops"]]
    assert "TensorFlow Serving 2.10 or newer" in lines[-1]
    report = json.loads(json.dumps(proven.to_dict()))
    assert report["ok"]
    assert [check["name"] for check in report["checks"]] == [*names, "ops"]
    details = {check["name"]: check["details"] for check in report["checks"]}
    assert details["C API, signature text"]["inputs"] == len(exported.read_answers())
    assert 0 <= details["C API, signature text"]["largest_difference"] < 1e-5
    assert "StringSplitV2" in details["ops"]["ops"]


BROKEN_FILES = {
    "labels swapped": ({"label_names": ("positive", "negative")}, "label .* is not number"),
    "answers gone": ({"answers": lambda answers: []}, "holds no answer"),
    "a logit too few": ({"answers": first_changed(logits=[1.0])}, "answer 1: logits is .* expected 2 numbers"),
    "a text as logit": ({"answers": first_changed(logits=["1", 2.0])}, "logits is .* expected Sequence"),
    "huge token ids": (
        {"answers": first_changed(token_ids={"input_ids": [2**31], "attention_mask": [1]})},
        "no int32 values",
    ),
    "ragged token ids": (
        {"answers": first_changed(token_ids={"input_ids": [1, 2], "attention_mask": [1]})},
        "no int32 values of one length",
    ),
    "padding in the middle": ({"padding_side": "middle"}, "export.json is damaged: it pads middle with"),
    "a huge padding": (
        {"padding": {"input_ids": 2**31, "attention_mask": 0}},
        "export.json is damaged: it pads right with .*2147483648",
    ),
    "a pair": ({"answers": first_changed(text_pair="two")}, "single texts"),
    "another signature": ({"signatures": ("text", "token_ids")}, r"same signatures: \['classify'\]"),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_broken_files_are_missed_before_anything_is_loaded(exported, capsys, name):
    change, message = BROKEN_FILES[name]
    rewrite(exported, **change)
    assert main(["verify", str(exported.path)]) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("MISS  files: ")
    assert shown.out.count("\n") == 1
    assert "1 checks, 1 missed" in shown.err
    assert main(["verify", str(exported.path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [(check["name"], check["ok"]) for check in report["checks"]] == [("files", False)]
    assert not report["ok"]
    with pytest.raises(ExportError, match=message):
        look_at_files(exported)


@pytest.mark.parametrize(
    "file", ["saved_model.pb", "variables/variables.index", "assets.extra/export.json", "assets.extra/answers.json"]
)
def test_missing_files_are_missed(exported, file):
    (exported.path / file).unlink()
    check = attempt("files", lambda: look_at_files(exported))
    assert not check.ok
    assert file.split("/")[-1] in check.message


def test_a_savedmodel_without_the_tag_serve_is_missed(exported):
    data = exported.saved_model.read_bytes()
    assert data.count(b"\x22\x05serve") == 1
    exported.saved_model.write_bytes(data.replace(b"\x22\x05serve", b"\x22\x05train"))
    for name, look in {"files": look_at_files, "ops": look_at_ops}.items():
        check = attempt(name, lambda look=look: look(exported))
        assert "has no graph with the tag serve" in check.message
    assert "cannot load" in missed(with_c_api.checks(exported.path, 1e-5))["C API"]
    assert "cannot load" in missed(with_python.checks(exported.path, 1e-5))["python"]


def test_a_flipped_byte_of_the_weights_is_missed_by_both_loaders(exported):
    path = exported.path / "variables" / "variables.data-00000-of-00001"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)
    assert attempt("files", lambda: look_at_files(exported)).ok
    assert "cannot load" in missed(with_c_api.checks(exported.path, 1e-5))["C API"]
    assert "cannot load" in missed(with_python.checks(exported.path, 1e-5))["python"]


CHANGED_ANSWERS = {
    "a logit": (lambda a: first_changed(logits=[a[0].logits[0] + 1e-3, a[0].logits[1]])(a), "token_ids", "allowed are"),
    "the label": (
        lambda a: first_changed(label_id=1 - a[0].label_id, label={"positive": "negative"}.get(a[0].label, "positive"))(
            a
        ),
        "classify",
        "instead of",
    ),
    "a token id": (
        lambda a: first_changed(token_ids={**a[0].token_ids, "input_ids": [9, *a[0].token_ids["input_ids"][1:]]})(a),
        "tokenize",
        "token",
    ),
}


@pytest.mark.parametrize("name", CHANGED_ANSWERS)
def test_a_changed_answer_is_missed(exported, ask, name):
    change, signature, word = CHANGED_ANSWERS[name]
    rewrite(exported, answers=change)
    assert attempt("files", lambda: look_at_files(exported)).ok
    assert word in missed(ask(exported))[f"C API, signature {signature}"]


def test_a_changed_answer_is_missed_by_python_and_the_run_too(exported):
    rewrite(exported, answers=CHANGED_ANSWERS["a logit"][0])
    checks = with_python.checks(exported.path, 1e-5)
    assert set(missed(checks)) == {f"python, signature {name}" for name in ("serving_default", "text", "token_ids")}
    assert "allowed are 1e-05" in missed(with_run.checks(exported.path, 1e-5))["run, Keras"]
    assert not missed(with_run.checks(exported.path, 1e-2))
    [modules] = [check for check in checks if check.name == "python"]
    assert not modules.ok and "transformers" in modules.message  # this process has them


def test_another_run_is_missed_unless_it_is_left_out(exported, capsys, monkeypatch):
    rewrite(exported, run_id="0123")
    with pytest.raises(ExportError, match="was replaced: .* leave the run out: --no-against-run"):
        look_at_run(exported)
    monkeypatch.setattr("tf_finetune.serving.verification.verify.run_fresh", lambda *args, **kwargs: [])
    assert main(["verify", str(exported.path), "--no-c-api"]) == 1
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("MISS  run: The run in")]
    assert main(["verify", str(exported.path), "--no-c-api", "--no-against-run"]) == 0
    assert "run:" not in capsys.readouterr().out
    monkeypatch.chdir(exported.path)
    assert main(["verify", ".", "--no-c-api"]) == 1
    assert "was replaced" in capsys.readouterr().out
    shutil.rmtree(exported.path.parent / "run")
    assert main(["verify", str(exported.path)]) == 0
    assert "run: there is none beside the export" in capsys.readouterr().out


@pytest.mark.parametrize("change", [{"weights_sha256": "00"}, {"truncate": "tail"}, {"label_names": ("a", "b")}])
def test_an_export_that_disagrees_with_its_run_is_missed(exported, change):
    rewrite(exported, **change)
    with pytest.raises(ExportError, match=f"has {next(iter(change))} .* the run has"):
        look_at_run(exported)


def test_a_damaged_warm_up_file_is_missed(exported):
    records = list(read_records(exported.warmup))
    data = exported.warmup.read_bytes()
    exported.warmup.write_bytes(data[:-7])
    assert "warm-up" in missed([attempt("warm-up", lambda: look_at_warmup(exported))])
    for bad, message in [
        ([b"\x0a\x00"], "request 1: Expected the record of a predict request"),
        (records[:1] * 1001, "more than 1000 requests"),
    ]:
        write_records(exported.warmup, bad)
        with pytest.raises(ExportError, match=message):
            look_at_warmup(exported)
    exported.warmup.write_bytes(b"")
    with pytest.raises(ExportError, match="has no request"):
        look_at_warmup(exported)
    rewrite(exported, signatures=("classify",))
    assert look_at_warmup(exported)[1] == {"requests": 0, "signatures": []}
    exported.warmup.unlink()
    with pytest.raises(ExportError, match="Cannot read"):
        look_at_warmup(exported)


def test_a_warm_up_request_that_fails_is_missed(exported):
    ids = np.ones((1, 65), np.int32)
    request = write_predict_log("tiny", "token_ids", {"input_ids": ids, "attention_mask": ids})
    write_records(exported.warmup, [*read_records(exported.warmup), request])
    assert attempt("warm-up", lambda: look_at_warmup(exported)).ok
    checks = with_c_api.checks(exported.path, 1e-5)
    message = missed(checks)["C API, warm-up"]
    assert f"Request {len(list(read_records(exported.warmup)))} " in message
    assert "longer than the 64 tokens" in message
    assert "TensorFlow's Python was imported" in checks[-1].message


@pytest.fixture(scope="module")
def served(tiny_run):
    """Calls a signature of the export."""
    from tf_finetune.backend import tf

    signatures = tf.saved_model.load(str(tiny_run.export)).signatures

    def call(name, inputs):
        tensors = {column: tf.constant(values) for column, values in inputs.items()}
        return {output: tensor.numpy() for output, tensor in signatures[name](**tensors).items()}

    return call


def one_row_for_nothing(inputs, outputs):
    return outputs if len(inputs["text"]) else {**outputs, "label": np.array([b"positive"], object)}


def nan_for_empty(inputs, outputs):
    return {**outputs, "logits": outputs["logits"] * np.nan} if inputs["text"].tolist() == [b""] else outputs


def other_logits_for_invalid(inputs, outputs):
    odd = any(b"\xff" in text for text in inputs["text"])
    return {**outputs, "logits": outputs["logits"] + 0.01} if odd else outputs


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (one_row_for_nothing, r"An empty batch gets the output label with the shape \[1\]"),
        (nan_for_empty, "nan"),
        (other_logits_for_invalid, "A byte that is no UTF-8 gets another output logits than U[+]FFFD"),
        (lambda inputs, outputs: {k: v for k, v in outputs.items() if k != "confidence"}, "the output confidence"),
    ],
)
def test_odd_inputs_are_asked(exported, served, spoil, message):
    def call(name, inputs):
        outputs = served(name, inputs)
        return spoil(inputs, outputs) if name == "text" else outputs

    columns = {name: list(spec.inputs) for name, spec in read_saved_model(exported.saved_model).signatures.items()}
    assert not missed(check_signatures("here", columns, served, exported, 1e-5))
    wrong = check_signatures("here", columns, call, exported, 1e-5)
    assert set(missed(wrong)) == {"here, signature text"}
    with pytest.raises(ExportError, match=message):
        raise ExportError(missed(wrong)["here, signature text"])
    del columns["text"]
    assert (
        "no such signature" in missed(check_signatures("here", columns, served, exported, 1e-5))["here, signature text"]
    )


CRASHES = {
    "import os; print('so long'); sys.stdout.flush(); os.abort()": "signal SIGABRT. The last it said: .*so long",
    "raise RuntimeError('oh no')": "exit code 1. The last it said: .*RuntimeError: oh no",
    "sys.exit(3)": "exit code 3. It said nothing",
    "import time; time.sleep(600)": "did not end within 1 seconds",
}


@pytest.mark.parametrize("code", CRASHES)
def test_a_process_that_fails_is_a_miss(tmp_path, monkeypatch, code):
    (tmp_path / "crashing_checks.py").write_text(f"import sys\ndef checks(folder, tolerance):\n    {code}\n")
    monkeypatch.syspath_prepend(tmp_path)
    [check] = run_fresh("it", "crashing_checks", tmp_path, tolerance=1e-5, timeout=1)
    assert not check.ok
    with pytest.raises(ExportError, match=CRASHES[code]):
        raise ExportError(check.message)


def test_a_fresh_process_looks_for_modules_where_we_do(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise RuntimeError('numpy of the current folder')\n")
    (tmp_path / "modules").mkdir()
    source = (
        "import os, numpy\n"
        "from tf_finetune.serving.verification.report import Check\n"
        "def checks(folder, tolerance): return [Check(str(folder), True, os.getcwd(), dict(os.environ))]\n"
    )
    (tmp_path / "modules" / "plain_checks.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    monkeypatch.chdir(tmp_path)
    [check] = run_fresh("it", "plain_checks", tmp_path / "3", tolerance=1e-5, timeout=60)
    assert (check.name, check.ok, check.message) == (str(tmp_path / "3"), True, str(tmp_path))
    assert check.details["HF_HUB_OFFLINE"] == "1"
    assert "TF_USE_LEGACY_KERAS" not in check.details


def test_wrong_calls_are_refused(exported, tmp_path):
    for tolerance in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="--tolerance must be a positive number"):
            verify(exported.path, tolerance=tolerance)
    with pytest.raises(ExportError, match="There is no folder"):
        verify(tmp_path / "none")
