"""`evaluate`, `predict` and the predictor over a real finished run."""

import csv
import itertools
import json
import shutil

import numpy as np
import pytest

from tests.conftest import tiny_rows, write_csv
from tf_finetune.errors import ConfigError, DataError, ModelError, RunError
from tf_finetune.evaluation.evaluate import evaluate
from tf_finetune.evaluation.predict import predict


@pytest.fixture(scope="module")
def predictor(tiny_run):
    from tf_finetune.evaluation.predictor import load_predictor

    return load_predictor(tiny_run.run.path, batch_size=4)


def test_probabilities_come_in_the_order_of_the_texts(predictor):
    texts = [text for text, _ in tiny_rows(25)]
    together = predictor.probabilities(texts)
    alone = np.concatenate([predictor.probabilities([text]) for text in texts])
    assert together.shape == (25, 2) and together.dtype == np.float32
    assert np.abs(together - alone).max() < 1e-5
    assert np.allclose(together.sum(-1), 1.0, atol=1e-6)


def test_no_texts_give_no_rows(predictor):
    assert predictor.probabilities([]).shape == (0, 2)


def test_an_empty_and_a_huge_text_are_answered(predictor):
    assert predictor.probabilities(["", "great " * 20_000]).shape == (2, 2)


def test_evaluate_gives_the_scores_of_the_run(tiny_run, reviews_csv):
    scores = evaluate(tiny_run.run.path, [str(reviews_csv)])
    assert scores.rows == 96
    assert scores.accuracy > 0.9
    assert scores.label_names == ("negative", "positive")


def test_evaluate_names_a_label_that_the_model_does_not_know(tiny_run, tmp_path):
    data = write_csv(tmp_path / "other.csv", [("the film was great", "splendid"), ("the film was bad", "negative")])
    with pytest.raises(DataError, match=r"splendid"):
        evaluate(tiny_run.run.path, [str(data)])


def test_predict_keeps_the_columns_and_names_the_labels(tiny_run, tmp_path):
    rows = [(i, text) for i, (text, _) in enumerate(tiny_rows(40))]
    data = write_csv(tmp_path / "in.csv", rows, header=("id", "review"))
    result = predict(tiny_run.run.path, [str(data)], str(tmp_path / "out.csv"))
    with open(tmp_path / "out.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert result.rows == 40
    assert list(found[0]) == ["id", "review", "label", "confidence", "prob_negative", "prob_positive"]
    assert [row["id"] for row in found] == [str(i) for i in range(40)]
    right = [row["label"] == label for row, (_, label) in zip(found, tiny_rows(40))]
    assert np.mean(right) > 0.9


def copy_run(tiny_run, tmp_path):
    shutil.copytree(tiny_run.run.run, tmp_path / "model" / "run")
    return tmp_path / "model"


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda run: (run / "complete.json").unlink(), RunError, "unfinished"),
        (lambda run: (run / "complete.json").write_text("{"), RunError, "complete.json"),
        (lambda run: (run / "complete.json").write_text('{"format": 99}'), RunError, "format 99"),
        (lambda run: (run / "labels.json").write_text('["one"]'), RunError, "two or more"),
        (lambda run: (run / "model" / "model.safetensors").unlink(), ModelError, "no weights"),
        (lambda run: (run / "model" / "model.safetensors").write_bytes(b"garbage"), ModelError, "cannot be loaded"),
        (lambda run: flip_last_bit(run / "model" / "model.safetensors"), ModelError, "SHA-256 differs"),
        (lambda run: edit(run / "model" / "config.json", auto_map={"AutoModel": "evil.Model"}), ModelError, "auto_map"),
    ],
)
def test_a_damaged_run_is_refused(tiny_run, tmp_path, reviews_csv, damage, error, message):
    folder = copy_run(tiny_run, tmp_path)
    damage(folder / "run")
    with pytest.raises(error, match=message):
        predict(folder, [str(reviews_csv)], str(tmp_path / "out.csv"))
    assert not (tmp_path / "out.csv").exists()


def flip_last_bit(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def edit(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_split_of_data_without_splits_is_refused(tiny_run, reviews_csv):
    with pytest.raises(ConfigError, match=r"--split train: no effect, since the data has no splits"):
        evaluate(tiny_run.run.path, [str(reviews_csv)], split="train")


def test_the_test_split_is_scored_unless_another_is_named(tiny_run, tmp_path):
    for split, label, texts in itertools.product(("train", "test"), ("negative", "positive"), (1, 2, 3)):
        if split == "test" or texts == 1:
            path = tmp_path / "films" / split / label / f"{texts}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"film {texts}")
    data = [str(tmp_path / "films")]
    assert evaluate(tiny_run.run.path, data).rows == 6
    assert evaluate(tiny_run.run.path, data, split="train").rows == 2


def test_the_label_map_of_the_training_is_applied_and_told(tiny_run, tmp_path, caplog):
    folder = copy_run(tiny_run, tmp_path)
    config = (folder / "run" / "config.yaml").read_text()
    (folder / "run" / "config.yaml").write_text(config.replace("label_map: null", "label_map: '1=negative;5=positive'"))
    stars = [(text, {"negative": 1, "positive": 5}[label]) for text, label in tiny_rows()]
    data = write_csv(tmp_path / "stars.csv", stars)
    caplog.set_level("INFO", logger="tf_finetune")
    assert evaluate(folder, [str(data)]).accuracy > 0.9
    assert "labels are mapped as in training: --label-map '1=negative;5=positive'" in caplog.text


def test_a_tilde_in_the_output_is_the_home_folder(tiny_run, reviews_csv, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert predict(tiny_run.run.path, [str(reviews_csv)], "~/out.csv").output == str(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").is_file()
