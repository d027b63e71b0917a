"""Two models on the same rows: the verdict, the test, and the command."""

from __future__ import annotations

import importlib
import json
import shutil

import numpy as np
import pytest
from scipy import stats

from tests.conftest import tiny_rows, write_csv
from tf_finetune.cli.main import main
from tf_finetune.errors import ConfigError
from tf_finetune.evaluation.bootstrap import paired_bootstrap
from tf_finetune.evaluation.compare import compare
from tf_finetune.evaluation.comparison import compare_answers
from tf_finetune.evaluation.comparison_table import format_comparison
from tf_finetune.evaluation.found_model import FoundModel

NAMES = ["a", "b", "c"]


def model(labels, strength, seed):
    generator = np.random.default_rng(seed)
    exact = np.exp(strength * np.eye(3)[labels] + generator.normal(size=(len(labels), 3)))
    return exact / exact.sum(axis=1, keepdims=True)


LABELS = np.random.default_rng(0).integers(0, 3, 600)
WEAK, STRONG = model(LABELS, 1.0, 1), model(LABELS, 2.0, 2)


def test_the_better_model_is_found_whichever_it_is():
    found = compare_answers(LABELS, WEAK, STRONG, NAMES, resamples=500)
    gain = found.differences["accuracy"]
    assert found.better == "B"
    assert found.verdict == (
        f"B is better: accuracy {100 * gain.estimate:+.1f} points, 95 % interval {100 * gain.low:.1f} to "
        f"{100 * gain.high:.1f}, McNemar p below 0.0001."
    )
    assert gain.estimate == pytest.approx(found.second.accuracy - found.first.accuracy)
    turned = compare_answers(LABELS, STRONG, WEAK, NAMES, resamples=500)
    loss = turned.differences["accuracy"]
    assert turned.better == "A"
    assert (
        f"A is better: accuracy {100 * gain.estimate:+.1f} points, 95 % interval {-100 * loss.high:.1f}"
        in turned.verdict
    )
    assert f" to {-100 * loss.low:.1f}, McNemar" in turned.verdict


def test_the_four_kinds_of_rows_and_mcnemars_exact_test():
    labels = np.zeros(100, int)
    right, wrong = np.array([0.9, 0.1]), np.array([0.2, 0.8])
    first = np.array([right] * 70 + [right] * 4 + [wrong] * 11 + [wrong] * 15)
    second = np.array([right] * 70 + [wrong] * 4 + [right] * 11 + [wrong] * 15)
    found = compare_answers(labels, first, second, ["x", "y"], resamples=200)
    assert (found.both_right, found.only_first_right) == (70, 4)
    assert (found.only_second_right, found.both_wrong) == (11, 15)
    assert found.mcnemar_p == pytest.approx(2 * stats.binom(15, 0.5).cdf(4))
    assert found.verdict.startswith("No difference can be told: accuracy +7.0 points for B, 95 % interval ")
    assert "McNemar p 0.12" in found.verdict


def test_an_interval_without_0_is_not_enough_where_mcnemars_test_is_not_sure():
    right, wrong = np.array([0.9, 0.1]), np.array([0.2, 0.8])
    first = np.array([right] + [wrong] * 7 + [right] * 992)
    second = np.array([wrong] + [right] * 999)
    found = compare_answers(np.zeros(1000, int), first, second, ["x", "y"])
    assert found.differences["accuracy"].low > 0
    assert found.mcnemar_p == pytest.approx(0.0703, abs=1e-4)
    assert found.better is None
    assert found.verdict.startswith("No difference can be told: accuracy +0.6 points for B")


def test_the_differences_are_those_of_the_paired_bootstrap():
    found = compare_answers(LABELS, WEAK, STRONG, NAMES, resamples=200, seed=3)
    logits = np.log(WEAK), np.log(STRONG)
    for name, metric in (("accuracy", "accuracy"), ("macro_f1", "macro_f1"), ("log_loss", "loss")):
        expected = paired_bootstrap(LABELS, *logits, metric=metric, resamples=200, seed=3)
        assert found.differences[name].low == pytest.approx(expected.low)
        assert found.differences[name].estimate == pytest.approx(
            getattr(found.second, name) - getattr(found.first, name)
        )


def test_a_model_is_no_better_than_itself_even_when_it_is_certain():
    certain = np.eye(3)[(LABELS + (np.arange(600) % 5 == 0)) % 3]
    found = compare_answers(LABELS, certain, certain, NAMES, resamples=100)
    assert (found.better, found.mcnemar_p) == (None, 1.0)
    assert found.verdict == "No difference can be told: both models are right on the same 480 rows."


def test_better_probabilities_are_told_where_the_answers_are_the_same():
    certain = STRONG**9 / (STRONG**9).sum(axis=1, keepdims=True)
    found = compare_answers(LABELS, certain, STRONG, NAMES, resamples=500)
    assert found.better is None
    assert "both models are right on the same" in found.verdict
    assert "By log loss, B is better: B less A -" in found.verdict


def test_a_comparison_is_json_and_text():
    found = compare_answers(LABELS, WEAK, STRONG, NAMES, resamples=100)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (values["better"], values["rows"], values["resamples"]) == ("B", 600, 100)
    assert values["a"]["accuracy"] == found.first.accuracy
    assert values["differences"]["log_loss"]["high"] == found.differences["log_loss"].high
    lines = format_comparison(found, first="old\x1b", second="new").splitlines()
    assert lines[:3] == ["A  old\\x1b", "B  new", "600 rows"]
    assert lines[5].split()[:3] == ["accuracy", f"{found.first.accuracy:.4f}", f"{found.second.accuracy:.4f}"]
    assert lines[-1] == found.verdict


NEGATIVE_FIRST = ("negative", "positive")


@pytest.fixture
def folders(monkeypatch, tmp_path):
    """Stands for model folders: maps a name to the label names; each model is 0.9 sure of what the data says."""
    known = {"a": NEGATIVE_FIRST, "b": NEGATIVE_FIRST}

    def found(folder):
        config = tmp_path / folder / "config.yaml"
        pairs = (tmp_path / folder / "pairs").exists()
        return FoundModel(tmp_path / folder, known[folder], pairs, None, config if config.exists() else None)

    def answered(model, examples, *, batch_size):
        true = [model.label_names.index(examples.label_names[label]) for label in examples.labels]
        lengths = [len(text) for text in examples.texts()]
        return np.float32([[0.1, 0.9], [0.9, 0.1]])[1 - np.array(true)], np.array(lengths)

    for name in ("compare", "evaluate"):
        module = importlib.import_module(f"tf_finetune.evaluation.{name}")
        monkeypatch.setattr(module, "find_model", found)
        monkeypatch.setattr(module, "answer", answered)
    return known


def write_config(tmp_path, name, label_map):
    (tmp_path / name).mkdir()
    (tmp_path / name / "config.yaml").write_text(f"data: {{label_map: '{label_map}'}}\n")


def test_two_folders_are_compared_on_the_same_rows(tiny_run, reviews_csv, tmp_path):
    shutil.copytree(tiny_run.run.run, tmp_path / "run")  # without an export: the run answers
    found = compare(tiny_run.run.path, tmp_path, [str(reviews_csv)], resamples=100)
    assert found.first.rows == 96
    assert found.first.accuracy == found.second.accuracy > 0.9
    assert found.better is None


def test_labels_in_another_order_are_matched_by_name(folders, reviews_csv):
    folders["b"] = NEGATIVE_FIRST[::-1]
    found = compare("a", "b", [str(reviews_csv)], resamples=100)
    assert found.first.label_names == NEGATIVE_FIRST
    assert found.first == found.second
    assert found.first.accuracy == 1.0


def test_models_with_other_labels_are_refused(folders, reviews_csv):
    folders["b"] = ("bad", "positive")
    with pytest.raises(ConfigError, match="have other labels.*Only one of them has: bad, negative"):
        compare("a", "b", [str(reviews_csv)])


def test_a_model_of_pairs_and_one_of_single_texts_are_refused(folders, reviews_csv, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "pairs").touch()
    with pytest.raises(ConfigError, match="b was trained on sentence pairs and the other model on single texts"):
        compare("a", "b", [str(reviews_csv)])


def test_different_label_maps_must_be_settled(folders, reviews_csv, tmp_path):
    write_config(tmp_path, "a", "1=negative;5=positive")
    write_config(tmp_path, "b", "0=negative;5=positive")
    with pytest.raises(ConfigError, match="different label maps .'0=negative;5=positive' and '1=.*--label-map"):
        compare("a", "b", [str(reviews_csv)])


def test_the_label_map_of_either_training_is_applied(folders, tmp_path):
    write_config(tmp_path, "b", "1=negative;5=positive")
    stars = [(text, {"negative": 1, "positive": 5}[label]) for text, label in tiny_rows()]
    data = write_csv(tmp_path / "stars.csv", stars)
    assert compare("a", "b", [str(data)], resamples=100).first.accuracy == 1.0


def test_the_command_prints_a_verdict_or_json(folders, reviews_csv, capsys):
    words = ["compare", "a", "b", "--data", str(reviews_csv), "--resamples", "100"]
    assert main(words) == 0
    assert capsys.readouterr().out.rstrip().splitlines()[-1].startswith("No difference can be told:")
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 96
    assert main(words[:3]) == 2
    assert "--data: expected labelled texts to compare the models on" in capsys.readouterr().err


def test_evaluate_slices_by_the_columns_named(folders, tmp_path, capsys):
    rows = [(text, label, "short" if i % 3 else "long") for i, (text, label) in enumerate(tiny_rows())]
    data = write_csv(tmp_path / "data.csv", rows, header=("text", "label", "kind"))
    words = ["evaluate", "a", "--data", str(data), "--slice-by", "kind", "--resamples", "100"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "\nkind   rows " in out and "\nshort    64 " in out
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [slicing["by"] for slicing in found["slices"]] == ["length", "class", "kind"]
    assert [(one["name"], one["rows"]) for one in found["slices"][2]["slices"]] == [("short", 64), ("long", 32)]
    assert found["intervals"]["resamples"] == 100
    assert main([*words, "--slice-by", "genre"]) == 1
    assert "there is no column 'genre'" in capsys.readouterr().err
