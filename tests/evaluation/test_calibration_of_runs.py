"""A calibrated run: the run, its export and its server say the same; what is not of this state does not answer."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import tiny_rows, unseen_rows, write_csv
from tests.evaluation.test_calibration import drawn
from tf_finetune.cli.main import main
from tf_finetune.config import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
from tf_finetune.errors import ConfigError, ExportError, RunError
from tf_finetune.evaluation.calibration import calibrate
from tf_finetune.evaluation.found_model import find_model
from tf_finetune.evaluation.logits import read_logits, softmax, write_logits
from tf_finetune.evaluation.metrics import compute_scores
from tf_finetune.evaluation.predict import predict, predict_lines
from tf_finetune.files import write_json
from tf_finetune.run import ModelFolder
from tf_finetune.serving.exported import ExportFolder
from tf_finetune.serving.verification.files import look_at_run
from tf_finetune.serving.verification.with_run import checks

TEXTS = [*(text for text, _ in tiny_rows(30)), "", "the meal was good . it was bad .", "naïve 良い"]
TARGET = "precision=0.9"


def copy_of(tiny_run, folder: Path, *, rows: int = 300) -> ModelFolder:
    """A copy of the tiny run, whose validation rows are others: the model is twice as sure of them as it should be."""
    shutil.copytree(tiny_run.run.path, folder)
    copied = ModelFolder(folder)
    labels, logits = drawn(rows, 2, 2.0)
    write_logits(copied.validation_logits, labels, logits)
    scores = compute_scores(labels, softmax(logits), copied.read_manifest().label_names)
    write_json(copied.metrics, {"validation": scores.to_dict()})
    return copied


@pytest.fixture(scope="module")
def model(tiny_run, tmp_path_factory) -> ModelFolder:
    """A calibrated run with two exports: 1 from before, 2 as it is."""
    from tf_finetune.serving.export import export

    copied = copy_of(tiny_run, tmp_path_factory.mktemp("models") / "calibrated")
    calibrate(copied.path, threshold_for=TARGET)
    assert export(copied.path, encoder="model", keep_texts=2).name == "2"  # the quicker one to trace
    return copied


@pytest.fixture
def fresh(tiny_run, tmp_path) -> ModelFolder:
    """A run that is not calibrated."""
    return copy_of(tiny_run, tmp_path / "fresh")


@pytest.fixture(scope="module")
def of_the_run(model):
    from tf_finetune.evaluation.predictor import load_predictor

    return load_predictor(model.path).probabilities(TEXTS)


@pytest.fixture(scope="module")
def signature(model):
    from tf_finetune.backend import tf

    return tf.saved_model.load(str(model.path / "2")).signatures["text"]


def decisions_of(model: ModelFolder, probabilities: np.ndarray) -> list[str]:
    names, thresholds = ("negative", "positive"), model.read_manifest().thresholds
    best = probabilities.argmax(axis=1)
    return [names[i] if row[i] >= thresholds[i] else "uncertain" for row, i in zip(probabilities, best)]


def test_the_file_says_what_was_found_and_beware(model):
    values = json.loads(model.calibration.read_text())
    manifest = model.read_manifest()
    assert manifest.temperature == values["temperature"]["value"] == pytest.approx(2.0, rel=0.3)
    assert values["validation"]["after"]["ece"] < values["validation"]["before"]["ece"]
    assert [len(values["validation"][when]["bins"]) for when in ("before", "after")] == [15, 15]
    assert "flatter the model" in values["note"] and values["test"] is None
    found = values["operating_point"]["classes"]
    assert manifest.thresholds == tuple(found[name]["threshold"] for name in manifest.label_names)
    assert all(0.5 < threshold < 1 for threshold in manifest.thresholds)


def test_the_run_divides_its_logits(tiny_run, model, of_the_run):
    from tf_finetune.evaluation.predictor import load_predictor

    before = load_predictor(tiny_run.run.path).probabilities(TEXTS)
    odds = [np.log(found[:, 1] / found[:, 0]) for found in (before, of_the_run)]
    assert np.allclose(odds[0], odds[1] * model.read_manifest().temperature, atol=1e-3)
    assert (before.argmax(1) == of_the_run.argmax(1)).all()


def test_the_export_answers_as_the_run_does(model, signature, of_the_run):
    from tf_finetune.backend import tf

    answer = signature(text=tf.constant(TEXTS))
    assert np.abs(answer["probabilities"].numpy() - of_the_run).max() < 1e-6
    assert np.allclose(answer["confidence"].numpy(), of_the_run.max(axis=1), atol=1e-6)
    decisions = decisions_of(model, of_the_run)
    assert 0 < decisions.count("uncertain") < len(TEXTS)
    assert [one.decode() for one in answer["decision"].numpy()] == decisions
    logits = answer["logits"].numpy() / model.read_manifest().temperature
    assert np.allclose(np.log(of_the_run[:, 1] / of_the_run[:, 0]), logits[:, 1] - logits[:, 0], atol=1e-3)


def test_predict_asks_the_export_that_is_calibrated_as_the_run_is(model, of_the_run, tmp_path):
    assert find_model(model.path).export == ExportFolder(model.path / "2")
    data = write_csv(tmp_path / "in.csv", [(text,) for text in TEXTS], header=("text",))
    predict(str(model.path), [str(data)], str(tmp_path / "out.csv"))
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["text", "label", "confidence", "decision", "prob_negative", "prob_positive"]
    assert [row["decision"] for row in rows] == decisions_of(model, of_the_run)
    assert [float(row["prob_positive"]) for row in rows] == pytest.approx(of_the_run[:, 1].tolist(), abs=1e-6)


def test_the_server_answers_as_the_run_does_and_its_answers_are_checked(model, of_the_run, monkeypatch):
    from tf_finetune.serving.clients.client import Client
    from tf_finetune.serving.clients.smoke import smoke
    from tf_finetune.serving.server import running_server

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running_server(model.path / "2") as url:
        found = Client(url, model=model.name).predict(TEXTS)
        report = smoke(url, model.name, export=model.path)
    assert [one.decision for one in found] == decisions_of(model, of_the_run)
    assert np.abs(np.array([one.probabilities for one in found]) - of_the_run).max() < 1e-5
    assert report.ok


def test_a_recorded_decision_that_differs_is_found(model, signature):
    from tf_finetune.backend import tf
    from tf_finetune.serving.comparison import compare

    exported = ExportFolder(model.path / "2")

    def call(inputs):
        return {name: one.numpy() for name, one in signature(text=tf.constant(inputs["text"])).items()}

    info, answers = exported.read_info(), exported.read_answers()
    assert compare(call, ["text"], answers, info, tolerance=1e-5) < 1e-5
    with pytest.raises(ExportError, match="gets the decision '.*' instead of 'uncertain'"):
        compare(call, ["text"], answers, dataclasses.replace(info, thresholds=(None, None)), tolerance=1e-5)


def test_an_export_from_before_does_not_answer_for_the_run(model, tmp_path, caplog):
    caplog.set_level("INFO", logger="tf_finetune")
    shutil.copytree(model.path, tmp_path / "model", ignore=lambda folder, names: {"2"} & set(names))
    found = find_model(tmp_path / "model")
    assert found.export is None and found.thresholds == model.read_manifest().thresholds
    assert "version 1 has another calibration than the run has now (to export the run as it is: " in caplog.text
    with pytest.raises(ExportError, match="another calibration than the run.*Export it again, or .*--no-against-run"):
        look_at_run(ExportFolder(tmp_path / "model" / "1"))
    assert find_model(tmp_path / "model" / "1").thresholds == ()  # a version stands for itself


def test_verify_compares_the_recorded_probabilities_with_the_run(model, tmp_path):
    shutil.copytree(model.path, tmp_path / "model")
    exported = ExportFolder(tmp_path / "model" / "2")
    answers = exported.read_answers()[:2]
    exported.write(exported.read_info(), answers)
    assert [check.ok for check in checks(exported.path, 1e-5)] == [True]
    exported.write(exported.read_info(), [dataclasses.replace(answers[0], probabilities=[0.5, 0.5]), answers[1]])
    (check,) = checks(exported.path, 1e-5)
    assert not check.ok and "The probabilities recorded for 'Great.' differ by" in check.message


def test_lines_have_the_decision_after_the_confidence(predictor):
    predictor.thresholds = (0.9, 0.7)
    lines: list[str] = []
    predict_lines("saved_models/none", io.StringIO("good\na\n\n"), lines.append)
    found = [json.loads(line) for line in lines]
    assert list(found[0]) == ["text", "label", "confidence", "decision", "probabilities"]
    assert [(one["label"], one["decision"]) for one in found] == [
        ("positive", "positive"),
        ("negative", "uncertain"),
        ("negative", "negative"),
    ]


def test_a_run_without_the_file_is_as_before(tiny_run):
    manifest, info = tiny_run.run.read_manifest(), ExportFolder(tiny_run.export).read_info()
    assert (manifest.temperature, manifest.thresholds) == (info.temperature, info.thresholds) == (1.0, ())
    assert find_model(tiny_run.run.path).export == ExportFolder(tiny_run.export)


def test_an_export_of_an_older_release_is_read(fresh):
    exported = ExportFolder(fresh.path / "1")
    values = json.loads(exported.info.read_text())
    exported.info.write_text(json.dumps({k: v for k, v in values.items() if k not in ("temperature", "thresholds")}))
    assert (exported.read_info().temperature, exported.read_info().thresholds) == (1.0, ())
    exported.info.write_text(json.dumps({**values, "thresholds": [0.5]}))
    with pytest.raises(ExportError, match="damaged: temperature 1.0, 1 thresholds of 2 classes"):
        exported.read_info()


def test_calibrating_again_begins_anew_and_names_outdated_exports(fresh, caplog):
    found = calibrate(fresh.path, threshold_for=TARGET)
    assert found.operating_point is not None
    assert "version 1 was exported with another calibration" in caplog.text
    assert calibrate(fresh.path).operating_point is None
    assert fresh.read_manifest().thresholds == ()
    fresh.calibration.write_text("{")
    calibrate(fresh.path)  # mends a damaged one
    assert fresh.read_manifest().temperature == found.temperature.value


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.update(weights_sha256="0" * 64),
        lambda values: values.update(format=2),
        lambda values: values["temperature"].update(value=0),
        lambda values: values["temperature"].update(value=float("nan")),
        lambda values: values["temperature"].update(value=True),
        lambda values: values["operating_point"]["classes"].pop("negative"),
        lambda values: values["operating_point"]["classes"]["negative"].update(threshold=1.5),
        lambda values: values.pop("operating_point"),
    ],
)
def test_a_calibration_that_is_damaged_or_of_another_run_is_refused(fresh, change):
    calibrate(fresh.path, threshold_for=TARGET)
    values = json.loads(fresh.calibration.read_text())
    change(values)
    fresh.calibration.write_text(json.dumps(values))
    with pytest.raises(RunError, match="calibration.json is damaged, or of another run.*tf-finetune calibrate.*remove"):
        find_model(fresh.path)


@pytest.mark.parametrize("damage", [lambda raw: b"no archive", lambda raw: raw[: len(raw) // 2], lambda raw: raw[40:]])
def test_logits_that_are_damaged_are_told(fresh, damage):
    fresh.validation_logits.write_bytes(damage(fresh.validation_logits.read_bytes()))
    with pytest.raises(RunError, match="Cannot read .*validation_logits.npz: it is no .npz archive"):
        calibrate(fresh.path)


def test_what_cannot_be_calibrated_is_refused(fresh):
    with pytest.raises(ConfigError, match="--threshold-for f1=0.9: expected precision="):
        calibrate(fresh.path, threshold_for="f1=0.9")
    labels, logits = read_logits(fresh.validation_logits)
    write_logits(fresh.validation_logits, labels, np.repeat(logits, 2, axis=1))
    with pytest.raises(RunError, match="is not of this run: it has 4 classes, the run has 2"):
        calibrate(fresh.path)
    write_logits(fresh.validation_logits, labels, -logits)
    with pytest.raises(RunError, match="not of the same run"):
        calibrate(fresh.path)
    fresh.validation_logits.unlink()
    with pytest.raises(
        RunError, match="an older release have not kept.*tf-finetune reproduce .*train with --calibrate"
    ):
        calibrate(fresh.path)
    fresh.complete.unlink()
    with pytest.raises(RunError, match="unfinished"):
        calibrate(fresh.path)
    assert not fresh.calibration.exists()


def test_the_command_needs_no_tensorflow(fresh):
    code = (
        "import sys; from tf_finetune.cli.main import main; code = main(sys.argv[1:]); "
        "print(code, 'tensorflow' in sys.modules)"
    )
    words = ["calibrate", str(fresh.path), "--threshold-for", TARGET]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=os.environ)
    assert done.stdout.splitlines()[-1] == "0 False"
    assert "Temperature" in done.stdout and f"Operating point {TARGET}" in done.stdout and "positive" in done.stdout


def test_the_command_prints_what_it_writes(fresh, capsys):
    assert main(["calibrate", str(fresh.path), "--json"]) == 0
    written = json.loads(fresh.calibration.read_text())
    assert json.loads(capsys.readouterr().out) == {
        name: value for name, value in written.items() if name not in ("format", "weights_sha256")
    }
    assert main(["calibrate", str(fresh.path), "--threshold-for", "precision=2"]) == 2


def test_fit_calibrates_before_it_says_that_it_is_complete(tiny_checkpoint, tmp_path, caplog):
    from tf_finetune.training.fit import fit

    caplog.set_level("INFO", logger="tf_finetune")
    data, test = (
        write_csv(tmp_path / name, [(text, f"{label} {i // 2 % 2}") for i, (text, label) in enumerate(rows)])
        for name, rows in (("four.csv", tiny_rows()), ("test.csv", unseen_rows(40)))
    )
    result = fit(
        Config(
            data=DataConfig(data=(str(data),), test=(str(test),), validation_split=0.4),
            tokens=TokensConfig(max_length=16, cache_dir=str(tmp_path)),
            model=ModelConfig(model=str(tiny_checkpoint), encoder="model"),
            fit=FitConfig(epochs=1, batch_size=16, learning_rate=3e-3, calibrate=True, threshold_for="coverage=0.5"),
            export=ExportConfig(export=False),
            run=RunConfig(output=str(tmp_path / "four")),
        )
    )
    values = json.loads(result.run.calibration.read_text())
    labels, _ = read_logits(result.run.validation_logits)
    assert values["validation"]["rows"] == len(labels) and values["test"]["rows"] == 40
    assert values["validation"]["before"]["log_loss"] == result.scores.log_loss
    assert values["test"]["before"]["ece"] == result.test_scores.ece
    assert len(result.run.read_manifest().thresholds) == 4
    assert "Operating point coverage=0.5" in caplog.text
    again = calibrate(result.run.path, threshold_for="coverage=0.5").to_dict()
    assert {**again, "test": values["test"]} == {name: values[name] for name in again}


def test_fit_refuses_a_class_called_uncertain_before_it_trains(tiny_checkpoint, tmp_path):
    from tf_finetune.training.fit import fit

    data = write_csv(
        tmp_path / "odd.csv", [(text, "uncertain" if i % 2 else "sure") for i, (text, _) in enumerate(tiny_rows())]
    )
    config = Config(
        data=DataConfig(data=(str(data),)),
        tokens=TokensConfig(max_length=16),
        model=ModelConfig(model=str(tiny_checkpoint)),
        fit=FitConfig(calibrate=True, threshold_for=TARGET),
        run=RunConfig(output=str(tmp_path / "odd")),
    )
    with pytest.raises(ConfigError, match="a class is called 'uncertain'"):
        fit(config)
    assert not (tmp_path / "odd").exists()


def test_a_threshold_without_calibration_is_refused():
    with pytest.raises(ConfigError, match="--threshold-for precision=0.9 has no effect without --calibrate"):
        Config(fit=FitConfig(threshold_for=TARGET))
    with pytest.raises(ConfigError, match="--threshold-for precision=9: expected a number above 0 and below 1"):
        Config(fit=FitConfig(calibrate=True, threshold_for="precision=9"))
