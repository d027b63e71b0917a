"""`predict` and `evaluate` through an export: the answers of the run, in TensorFlow alone."""

import csv
import dataclasses
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import tiny_rows, write_csv
from tf_finetune.errors import ExportError, RunError
from tf_finetune.evaluation.batches import cut
from tf_finetune.evaluation.evaluate import evaluate
from tf_finetune.evaluation.export_predictor import ExportPredictor, load_export_predictor
from tf_finetune.evaluation.found_model import find_model
from tf_finetune.evaluation.predict import predict
from tf_finetune.serving.exported import ExportFolder

TEXTS = [*(text for text, _ in tiny_rows(40)), "", "great " * 5000, "naïve 良い 🙂 [SEP] \x00 good", "bad " * 9]


@pytest.fixture
def model(tiny_run, tmp_path):
    """A copy of the tiny model folder, whose run may be changed; the exports are the same files."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_run.run.path, folder)
    return folder


def edit(export, **values):
    export.write_info(dataclasses.replace(export.read_info(), **values))


def only_export(folder):
    return ExportFolder(folder / "1")


@pytest.fixture(scope="module")
def of_the_run(tiny_run):
    from tf_finetune.evaluation.predictor import load_predictor

    return load_predictor(tiny_run.run.path).probabilities(TEXTS)


@pytest.fixture(scope="module")
def predictor(tiny_run):
    return load_export_predictor(ExportFolder(tiny_run.export))


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_the_answers_are_those_of_the_run_in_the_order_of_the_texts(predictor, of_the_run, batch_size):
    found = dataclasses.replace(predictor, batch_size=batch_size).probabilities(TEXTS)
    assert found.dtype == np.float32
    assert np.abs(found - of_the_run).max() < 1e-5
    assert (found.argmax(1) == of_the_run.argmax(1)).all()


@pytest.mark.parametrize("count", [0, 1])
def test_few_texts(predictor, of_the_run, count):
    found = predictor.probabilities(TEXTS[:count])
    assert found.shape == (count, 2)
    assert np.allclose(found, of_the_run[:count], atol=1e-5)


FRESH = """
import sys
from tf_finetune.cli.main import main
code = main(sys.argv[2:])
print(code, *sorted({"transformers", "tf_keras", "tokenizers", "tensorflow"} & set(sys.modules)))
if sys.argv[1] == "then the run":
    from tf_finetune.backend import keras, tf
    from tf_finetune.evaluation.predictor import load_predictor
    assert tf.keras.Model is keras.Model
    print(load_predictor(sys.argv[3]).probabilities(["the film was great ."]).shape)
"""


def fresh(then, *words):
    """Runs a command in a process of its own, and shows what is imported in the end."""
    done = subprocess.run(
        [sys.executable, "-c", FRESH, then, *words],
        env=os.environ | {"TF_USE_LEGACY_KERAS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_predict_imports_tensorflow_alone_and_what_needs_keras_2_may_follow(tiny_run, of_the_run, tmp_path):
    data = write_csv(tmp_path / "in.csv", [(text,) for text, _ in tiny_rows(12)], header=("text",))
    words = ["predict", str(tiny_run.run.path), "--data", str(data), "--output", str(tmp_path / "out.csv")]
    done = fresh("then the run", *words)
    assert done.stdout.splitlines()[-2:] == ["0 tensorflow", "(1, 2)"]
    assert f"predicting with the export {tiny_run.export}, which is of this run" in done.stderr
    with open(tmp_path / "out.csv", newline="") as file:
        found = [row["label"] for row in csv.DictReader(file)]
    assert found == [("negative", "positive")[i] for i in of_the_run[:12].argmax(1)]


def test_evaluate_of_a_version_without_a_run_imports_tensorflow_alone(tiny_run, reviews_csv, tmp_path):
    shutil.copytree(tiny_run.export, tmp_path / "7")
    done = fresh("", "evaluate", str(tmp_path / "7"), "--data", str(reviews_csv), "--json")
    *scores, last = done.stdout.splitlines()
    assert last == "0 tensorflow"
    found = json.loads("\n".join(scores))
    assert found["label_names"] == ["negative", "positive"] and found["accuracy"] > 0.8


def test_the_newest_export_of_the_run_answers(model, caplog):
    caplog.set_level("INFO", logger="tf_finetune")
    shutil.copytree(model / "1", model / "2")
    assert find_model(model).export == ExportFolder(model / "2")
    edit(ExportFolder(model / "2"), run_id="another")
    assert find_model(model).export == ExportFolder(model / "1")
    assert f"predicting with the export {model / '1'}" in caplog.text


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"run_id": "another", "weights_sha256": "0"}, "version 1 has another run_id, weights_sha256"),
        ({"max_length": 12}, "version 1 has another max_length"),
        ({"label_names": ("good", "bad")}, "version 1 has another label_names"),
        ({"signatures": ("token_ids",), "text_refused": "no table"}, "version 1 takes no texts (no table)"),
        ({"padding_difference": 0.5}, "version 1 has logits that change by 5e-01 with the padding"),
    ],
)
def test_an_export_that_cannot_stand_for_the_run_leaves_it_to_the_run(model, caplog, values, reason):
    caplog.set_level("INFO", logger="tf_finetune")
    edit(only_export(model), **values)
    assert find_model(model).export is None
    assert f"predicting with the run {model / 'run'}: {reason}" in caplog.text


def test_a_damaged_export_leaves_it_to_the_run(model, caplog):
    caplog.set_level("INFO", logger="tf_finetune")
    only_export(model).info.write_text("{")
    assert find_model(model).export is None
    assert "version 1 is damaged" in caplog.text


def test_a_run_without_an_export_answers_itself(model, caplog):
    caplog.set_level("INFO", logger="tf_finetune")
    shutil.rmtree(model / "1")
    assert find_model(model).export is None
    assert "there is no export" in caplog.text


def test_a_model_folder_of_exports_alone_is_answered_by_the_newest(model):
    shutil.rmtree(model / "run")
    shutil.copytree(model / "1", model / "10")
    found = find_model(model)
    assert (found.export, found.config) == (ExportFolder(model / "10"), None)
    assert (found.label_names, found.pairs) == (("negative", "positive"), False)


def test_a_version_of_a_run_maps_labels_as_the_run_does(model, tmp_path):
    config = (model / "run" / "config.yaml").read_text()
    (model / "run" / "config.yaml").write_text(config.replace("label_map: null", "label_map: '1=negative;5=positive'"))
    stars = [(text, {"negative": 1, "positive": 5}[label]) for text, label in tiny_rows()]
    data = str(write_csv(tmp_path / "stars.csv", stars))
    assert evaluate(model / "1", [data]).accuracy > 0.8
    edit(only_export(model), run_id="another")
    assert find_model(model / "1").config is None


def test_a_version_that_is_missing_or_takes_no_texts_is_an_error(model):
    with pytest.raises(ExportError, match=r"There is no version 3 in .*model. Versions are 1."):
        find_model(model / "3")
    edit(only_export(model), signatures=("token_ids",), text_refused="no table")
    with pytest.raises(ExportError, match=r"1 cannot predict: takes no texts \(no table\)"):
        find_model(model / "1")
    with pytest.raises(RunError, match="There is no model folder"):
        find_model(model / "none" / "3")


@pytest.mark.parametrize(
    "file", ["saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"]
)
def test_a_broken_export_is_an_error_that_names_it(model, reviews_csv, tmp_path, file):
    path = model / "1" / file
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 2] = b"\x00" * (len(data) // 2 - len(data) // 3)
    path.write_bytes(data)
    with pytest.raises(ExportError, match=r"model/1.* tf-finetune verify "):
        predict(model, [str(reviews_csv)], str(tmp_path / "out.csv"))
    assert not (tmp_path / "out.csv").exists()


def test_labels_that_are_not_those_of_the_graph_are_an_error(predictor):
    wrong = dataclasses.replace(predictor, label_names=("a", "b", "c"))
    with pytest.raises(ExportError, match=r"the shape \[1, 2\]. Expected \[1, 3\]: a column for each of a, b, c"):
        wrong.probabilities(["good"])


@dataclasses.dataclass
class Words:
    """A model of words: answers with their number, and remembers the batches."""

    batches: list = dataclasses.field(default_factory=list)

    def answer(self, columns):
        lengths = [len(text.split()) for text in columns["text"]]
        self.batches.append(lengths)
        return np.array([[length, 0] for length in lengths], np.float32)

    def tokenize(self, columns):
        lengths = np.array([len(text.split()) for text in columns["text"]])
        return (np.arange(lengths.max()) < lengths[:, None]).astype(np.int32)

    def predictor(self, **values):
        return ExportPredictor(("a", "b"), False, self.answer, self.tokenize, **values)


def test_batches_hold_rows_of_similar_length_and_are_bounded_by_tokens():
    counts = [300, 2, 700, 2, 3, 2000, 1, 256, 299]
    words = Words()
    found = words.predictor(batch_size=3).probabilities(["w " * count for count in counts])
    assert found[:, 0].tolist() == counts
    assert words.batches == [[1, 2, 2], [3, 256], [299, 300], [700], [2000]]


def test_rows_of_unequal_lengths_share_no_batch_where_padding_changes_the_answer():
    words = Words()
    words.predictor(batch_size=3, mixes_lengths=False).probabilities(["w", "w w", "w", "w", "w", "w w"])
    assert words.batches == [[1, 1, 1], [1], [2, 2]]


def test_cut_keeps_every_row_once():
    lengths = np.random.default_rng(3).integers(0, 50, size=200)
    batches = list(cut(lengths, rows=8, positions=200))
    assert sorted(np.concatenate(batches)) == list(range(200))
    assert all(len(rows) <= 8 and (len(rows) == 1 or len(rows) * lengths[rows].max() <= 200) for rows in batches)
    assert list(cut(lengths[:0], rows=8, positions=200)) == []
