"""The whole search on tiny data: planted errors, the file, and going on after a stop."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import GOOD, tiny_rows, write_csv
from tf_finetune.config import Config, DataConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
from tf_finetune.errors import ConfigError, RunError, TrainingStopped
from tf_finetune.noise import find, find_label_errors, out_of_fold, write_label_errors
from tf_finetune.noise.label_errors import LabelError, LabelErrors


def plant(folder, count):
    """Reviews of which one in 17 has the other label, and their row numbers."""
    rows, wrong = tiny_rows(count), list(range(5, count, 17))
    for i in wrong:
        rows[i] = (rows[i][0], {"positive": "negative", "negative": "positive"}[rows[i][1]])
    return write_csv(folder / "reviews.csv", rows), wrong


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("planted"), 96)


@pytest.fixture
def config(planted, tiny_checkpoint, tmp_path):
    return Config(
        data=DataConfig(data=(str(planted[0]),)),
        tokens=TokensConfig(max_length=16, cache_dir=str(tmp_path / "tables")),
        model=ModelConfig(model=str(tiny_checkpoint)),
        fit=FitConfig(epochs=8, batch_size=8, learning_rate=3e-3, seed=1),
        run=RunConfig(output=str(tmp_path / "model")),
    )


class Oracle:
    """In the place of a trained model: sure of the word that decides."""

    def __init__(self, label_names):
        self.label_names = tuple(reversed(label_names))  # models may have another order

    def probabilities(self, texts, pairs=None):
        good = [any(word in GOOD for word in text.split()) for text in texts]
        order = [0.9 if name == "positive" else 0.1 for name in self.label_names]
        return np.array([order if one else order[::-1] for one in good], np.float32)


@pytest.fixture
def trained(monkeypatch):
    """Trainings in the place of real ones: their configurations, and what the next one raises."""
    from tf_finetune.evaluation import predictor
    from tf_finetune.training import fit

    calls, fails = [], []

    def fake_fit(config, *, progress=None):
        if fails:
            raise fails.pop()
        calls.append(config)

    monkeypatch.setattr(fit, "fit", fake_fit)
    monkeypatch.setattr(predictor, "load_predictor", lambda folder: Oracle(("negative", "positive")))
    return calls, fails


def test_planted_errors_are_found_and_written(config, planted, trained, tmp_path):
    path, wrong = planted
    found = find_label_errors(config)
    assert sorted(error.index for error in found.errors) == wrong
    assert (found.examined, found.left_out, found.folds) == (96, 0, 3)
    assert found.accuracy == pytest.approx(90 / 96)
    first = found.errors[0]
    assert (first.rank, first.file, first.row) == (1, str(path), first.index + 2)
    assert {first.label, first.suggested} == {"positive", "negative"}
    assert (first.probability, first.label_probability) == pytest.approx((0.9, 0.1))
    assert "6 of 96 labels (6.2%) are likely wrong" in found.line
    assert json.loads(json.dumps(found.to_dict()))["errors"][0]["text"] == first.text

    calls, _ = trained
    assert len(calls) == 3 and all(not one.export.export for one in calls)
    assert not list((tmp_path / "model" / "label_errors").glob("fold-?"))  # the models are gone
    assert all(one.fit == config.fit and one.run.resume == "auto" for one in calls)

    write_label_errors(tmp_path / "errors.csv", found)
    with open(tmp_path / "errors.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == "rank file row label suggested_label probability label_probability text".split()
    assert [int(row["row"]) - 2 for row in rows] == [error.index for error in found.errors]


def test_models_that_know_little_are_said_to(config, trained, caplog):
    found = find_label_errors(config)
    assert found.caution is None and found.majority == pytest.approx(0.5, abs=0.05)
    poor = dataclasses.replace(found, accuracy=0.6)
    assert "agree with 60.0% of the labels, and naming the most frequent class always would" in poor.caution
    assert poor.to_dict()["caution"] == poor.caution
    assert "labels (6.2%) may be wrong, by 3 models" in poor.line
    assert dataclasses.replace(found, accuracy=0.9, majority=0.9).caution is not None
    assert not [record for record in caplog.records if "know little" in record.message]


def test_folds_that_are_done_are_not_trained_again(config, trained):
    calls, fails = trained
    find_label_errors(config)
    first = find_label_errors(config)
    assert len(calls) == 3
    answers = Path(calls[1].run.output + ".npz")
    answers.unlink()
    fails.append(TrainingStopped("Interrupted after update 3 of 9.\nTo go on: tf-finetune fit", exit_code=75))
    with pytest.raises(TrainingStopped, match="update 3 of 9. To go on: give the same command again") as stopped:
        find_label_errors(config)
    assert stopped.value.exit_code == 75
    assert find_label_errors(config) == first
    assert len(calls) == 4 and calls[3].run.output.endswith("fold-2")
    assert answers.is_file()


def test_folds_of_something_else_are_not_taken_for_these(config, trained):
    find_label_errors(config)
    other = dataclasses.replace(config, fit=dataclasses.replace(config.fit, seed=2))
    with pytest.raises(RunError, match="holds the folds of other data or options: fit.seed: 1, now 2"):
        find_label_errors(other)
    with pytest.raises(RunError, match="folds.number: 3, now 4"):
        find_label_errors(config, folds=4)


def test_the_texts_of_a_fold_come_back_as_they_were(tmp_path):
    from tf_finetune.data import Examples, read_examples

    texts = ['a, "b"\n\r\nc', " space ", "naïve \u2028 电影", "=1+1", "\x00\ufeff"] * 2
    examples = Examples.from_lists(texts, ["1", "2"] * 5, pairs=texts[::-1])
    path = out_of_fold._write_rows(tmp_path / "x" / "rows.parquet", examples)
    again = read_examples([str(path)], pair_column="pair", text_column="text", label_column="label")
    assert again.fingerprint == examples.fingerprint


def test_options_without_effect_are_refused(config):
    run = dataclasses.replace(config.run, overwrite=True)
    with pytest.raises(ConfigError, match="--output is the only option of a run that has an effect"):
        find_label_errors(dataclasses.replace(config, run=run))


def test_pairs_have_a_column_of_their_own(tmp_path):
    error = LabelError(1, 4, "x.csv", 0, "a", "b", 0.75, 0.125, "one", "two\nlines")
    found = LabelErrors((error,), 10, 2, 3, 0.9, 0.6, ("a", "b"), ((4, 1), (0, 5)))
    write_label_errors(tmp_path / "x.csv", found)
    with open(tmp_path / "x.csv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["pair"], row["row"], row["probability"]) == ("two\nlines", "", "0.7500")
    assert "2 rows of classes with a single text were left out" in found.line


@pytest.mark.slow
def test_real_folds_find_planted_errors(config, tmp_path, monkeypatch):
    """Trained for real, and stopped before the second fold: the first one is not trained again."""
    from tf_finetune.training import fit

    path, wrong = plant(tmp_path, 320)
    config = dataclasses.replace(config, data=DataConfig(data=(str(path),)))
    real, outputs = fit.fit, []

    def counted(config, **options):
        outputs.append(config.run.output[-1])
        if len(outputs) == 2:
            raise TrainingStopped("Interrupted.")
        return real(config, **options)

    monkeypatch.setattr(fit, "fit", counted)
    with pytest.raises(TrainingStopped):
        find_label_errors(config)
    found = find_label_errors(config)
    assert outputs == ["1", "2", "2", "3"]
    assert not list((find.output_folder(config).path / find.FOLDER).glob("fold-?"))
    hits = {error.index for error in found.errors} & set(wrong)
    assert len(hits) >= 14 and found.accuracy > 0.8


@pytest.fixture
def command(config, planted, capsys):
    """Runs inspect on the planted data: (exit code, standard output, standard error)."""
    from tf_finetune.cli.main import main

    words = ["inspect", "--data", planted[0], "--model", config.model.model, "--max-length", 16]
    words += ["--cache-dir", config.tokens.cache_dir]

    def run(*more):
        code = main([str(word) for word in (*words, *more)])
        return code, *capsys.readouterr()

    return run


def test_the_command_says_shows_and_writes_what_is_found(command, config, planted, trained, tmp_path):
    page, folder = tmp_path / "page.html", tmp_path / "model"
    options = ("--label-errors", "--folds", 2, "--epochs", 8, "--output", folder, "--html", page)
    code, out, _ = command(*options)
    assert code == 0
    calls, _ = trained
    assert len(calls) == 2 and calls[0].fit.epochs == 8 and calls[0].tokens.max_length == 16
    assert "6 of 96 labels (6.2%) are likely wrong, by 2 models" in out
    assert f"{planted[0]}:7  negative -> positive (0.90)  th" in out  # the sixth row, whose label was changed
    file = folder / "label_errors" / "label_errors.csv"
    assert len(file.read_text(encoding="utf-8").splitlines()) == 7
    assert "Labels that are likely wrong" in page.read_text(encoding="utf-8")

    code, out, _ = command(*options[:-2], "--json")
    assert len(json.loads(out)["label_errors"]["errors"]) == 6
    assert len(calls) == 2  # they were done


def test_rows_that_cannot_be_used_do_not_stop_the_search(command, trained, tmp_path, config):
    rows = [*tiny_rows(40), ("", "positive")]
    data = write_csv(tmp_path / "holes.csv", rows)
    code, out, _ = command("--data", data, "--label-errors", "--output", tmp_path / "model")
    assert code == 0 and "1 row" in out and "labels (" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--epochs", 2), "--epochs: no effect without --label-errors"),
        (("--output", "x", "--folds", 3), "--output, --folds: no effect without --label-errors"),
        (("--label-errors", "--folds", 1), "1 is not in the range x>=2"),
    ],
)
def test_options_of_the_training_need_it(command, words, message):
    code, _, err = command(*words)
    assert code == 2 and message in err


def test_label_errors_need_tokens(capsys, planted):
    from tf_finetune.cli.main import main

    assert main(["inspect", "--data", str(planted[0]), "--no-tokens", "--label-errors"]) == 2
    assert "--label-errors: no effect with --no-tokens" in capsys.readouterr().err
