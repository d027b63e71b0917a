"""The commands as a user gives them, over a tiny checkpoint: fit, evaluate, predict, export, dry run, Ctrl-C."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import tiny_rows, write_csv
from tf_finetune.run import ModelFolder


@pytest.fixture
def words(tiny_checkpoint, reviews_csv, tmp_path):
    """A complete `fit` command line."""
    return [
        *("fit", "--data", str(reviews_csv), "--model", str(tiny_checkpoint), "--output", str(tmp_path / "m")),
        *("--max-length", "16", "--epochs", "2", "--learning-rate", "3e-3", "--validation-split", "0.25"),
    ]


def test_fit_trains_scores_and_exports(run, words, tmp_path):
    outcome = run(*words)
    assert outcome.code == 0, outcome.err
    assert "accuracy" in outcome.out and str(tmp_path / "m" / "1") in outcome.out
    for said in ("train: 72 rows", "tokens a text (percentiles)", "padding:", "epoch 2/2", "freshly initialised"):
        assert said in outcome.err
    assert "epoch" not in outcome.out
    assert outcome.err.count("exported") == 1


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(run, words, tmp_path):
    before = sorted(os.listdir(tmp_path))
    outcome = run(*words, "--dry-run")
    assert outcome.code == 0, outcome.err
    for said in (
        "negative 36",
        "percentiles",
        "padding",
        "steps: 2 epochs of 5 updates",
        "schedule",
        "parameters",
        "memory",
        "time",
    ):
        assert said in outcome.out
    assert sorted(os.listdir(tmp_path)) == before


def test_fit_without_data_says_that_it_uses_the_embedded_sample(run, tiny_checkpoint, tmp_path):
    outcome = run(
        *("fit", "--model", str(tiny_checkpoint), "--output", str(tmp_path / "m"), "--max-length", "16"),
        *("--epochs", "1", "--max-train-samples", "32", "--no-export"),
    )
    assert outcome.code == 0, outcome.err
    assert "embedded sample" in outcome.err
    assert "Test" in outcome.out


def test_evaluate_gives_a_table_and_json(run, tiny_run, reviews_csv):
    table = run("evaluate", str(tiny_run.run.path), "--data", str(reviews_csv))
    assert table.code == 0 and "macro F1" in table.out
    outcome = run("evaluate", str(tiny_run.run.path), "--data", str(reviews_csv), "--json")
    assert json.loads(outcome.out)["rows"] == 96


def test_predict_writes_a_file_and_names_renamed_columns(run, tiny_run, reviews_csv, tmp_path):
    outcome = run("predict", str(tiny_run.run.path), "--data", str(reviews_csv), "--output", str(tmp_path / "o.csv"))
    assert outcome.code == 0, outcome.err
    assert "input_label" in outcome.err
    with open(tmp_path / "o.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 96
    assert set(rows[0]) == {"text", "input_label", "label", "confidence", "prob_negative", "prob_positive"}


def test_predict_reads_lines_from_standard_input(run, tiny_run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"the film was great .\nthe meal was awful .\n")))
    outcome = run("predict", str(tiny_run.run.path), "--data", "-")
    assert outcome.code == 0, outcome.err
    answers = [json.loads(line) for line in outcome.out.splitlines()]
    assert [answer["text"] for answer in answers] == ["the film was great .", "the meal was awful ."]
    assert set(answers[0]["probabilities"]) == {"negative", "positive"}


def test_export_prints_the_version_folder(run, tiny_run, tmp_path):
    shutil.copytree(tiny_run.run.run, tmp_path / "m" / "run")
    outcome = run("export", str(tmp_path / "m"), "--version", "41", "--signatures", "token_ids")
    assert outcome.code == 0, outcome.err
    assert outcome.out.strip() == str(tmp_path / "m" / "41")


def test_an_error_is_one_line_and_writes_nothing(run, words, tmp_path):
    broken = tmp_path / "broken.csv"
    broken.write_text('text,label\n"good,positive\nbad,negative\n')
    before = sorted(os.listdir(tmp_path))
    outcome = run(*words, "--data", str(broken))
    assert outcome.code == 1
    assert outcome.err.startswith("error: ") and "broken.csv" in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.slow
def test_ctrl_c_leaves_a_readable_run_and_says_how_to_go_on(words, tmp_path):
    data = write_csv(tmp_path / "many.csv", tiny_rows(4000))
    words[2] = str(data)
    command = [sys.executable, "-m", "tf_finetune", *words, "--epochs", "500"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    folder = ModelFolder(tmp_path / "m")
    deadline = time.monotonic() + 120
    while not (folder.history.is_file() and folder.history.read_text().count("\n") > 1):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "To train on from them" in err and "Traceback" not in err
    assert (folder.model / "model.safetensors").is_file()
    assert not folder.is_complete
