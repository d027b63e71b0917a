"""`fit` writes the model folder as designed, learns, repeats itself, and loses nothing."""

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import tiny_rows, unseen_rows, write_csv
from tf_finetune.config import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
from tf_finetune.errors import ConfigError, DataError, LossError, ModelError, RunError, TrainingStopped
from tf_finetune.run import ModelFolder
from tf_finetune.serving.formats.saved_model_file import read_saved_model
from tf_finetune.training.fit import fit

STOPPED = r"(?s)Ctrl-C after update 6 of 15.*The weights of epoch 1 are in .*--resume.*To train on from these.*--model"


@pytest.fixture
def config(tiny_checkpoint, reviews_csv, tmp_path):
    """A short run without export."""
    return Config(
        data=DataConfig(data=(str(reviews_csv),), validation_split=0.25),
        tokens=TokensConfig(max_length=16),
        model=ModelConfig(model=str(tiny_checkpoint), encoder="model"),  # the quicker one to trace
        fit=FitConfig(epochs=1, batch_size=16, learning_rate=3e-3, seed=3),
        export=ExportConfig(export=False),
        run=RunConfig(output=str(tmp_path / "models" / "short")),
    )


def change(config, **sections):
    """`config` with some fields replaced: change(config, fit={"epochs": 2})."""
    new = {name: dataclasses.replace(getattr(config, name), **values) for name, values in sections.items()}
    return dataclasses.replace(config, **new)


def weights(result):
    from safetensors.numpy import load_file

    return load_file(result.run.model / "model.safetensors")


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_model_folder_holds_exactly_the_designed_files(tiny_run):
    assert files(tiny_run.run.run) == {
        "config.yaml",
        "environment.json",
        "labels.json",
        "history.csv",
        "metrics.json",
        "validation_logits.npz",
        "validation_texts.jsonl",
        "complete.json",
        "model/config.json",
        "model/model.safetensors",
        "tokenizer/special_tokens_map.json",
        "tokenizer/tokenizer.json",
        "tokenizer/tokenizer_config.json",
        "tokenizer/vocab.txt",
    }
    assert {path.name for path in tiny_run.run.path.iterdir()} == {"README.md", "run", "1", "models.config"}


def test_a_run_has_a_model_card_of_its_scores(tiny_run):
    card = tiny_run.run.card.read_text(encoding="utf-8")
    assert "pipeline_tag: text-classification" in card
    assert f"labels **{100 * tiny_run.scores.accuracy:.1f} %** right" in card
    assert "percentiles" in card and "of the training texts were longer" in card


def test_it_learns_and_keeps_the_best_epoch(tiny_run):
    assert tiny_run.scores.accuracy >= 0.8
    with open(tiny_run.run.history, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    best = max(rows, key=lambda row: float(row["val_accuracy"]))
    assert tiny_run.best_epoch == int(best["epoch"]) + 1
    assert tiny_run.scores.accuracy == pytest.approx(float(best["val_accuracy"]))
    assert tiny_run.scores.log_loss == pytest.approx(float(best["val_loss"]), abs=1e-5)


def test_labels_are_named_everywhere(tiny_run):
    run = tiny_run.run
    assert json.loads(run.labels.read_text()) == ["negative", "positive"]
    config = json.loads((run.model / "config.json").read_text())
    assert config["id2label"] == {"0": "negative", "1": "positive"}
    assert config["label2id"] == {"negative": 0, "positive": 1}
    assert set(json.loads(run.metrics.read_text())["validation"]["classes"]) == {"negative", "positive"}


def test_the_run_loads_with_transformers_alone(tiny_run):
    from tf_finetune.backend import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(str(tiny_run.run.tokenizer))
    model = transformers.TFAutoModelForSequenceClassification.from_pretrained(str(tiny_run.run.model))
    texts, labels = zip(*tiny_rows())
    batch = tokenizer(list(texts), truncation=True, padding=True, return_tensors="tf")
    found = [model.config.id2label[int(i)] for i in model(batch).logits.numpy().argmax(-1)]
    assert np.mean([a == b for a, b in zip(found, labels)]) > 0.9
    assert tokenizer.model_max_length == 16


@pytest.mark.parametrize("encoder", ["unpadded", "model"])
def test_its_own_configuration_repeats_the_run_bit_for_bit(config, tmp_path, encoder):
    from tf_finetune.config import resolve_config

    first = fit(change(config, model={"encoder": encoder}))
    again = resolve_config(file=first.run.config, flags={"output": str(tmp_path / "models" / "again")})
    second = fit(again)
    for name, value in weights(first).items():
        assert np.array_equal(value, weights(second)[name]), name
    assert first.run.history.read_text() == second.run.history.read_text()


def test_another_seed_gives_other_weights(config, tmp_path):
    first = fit(config)
    second = fit(change(config, fit={"seed": 4}, run={"output": str(tmp_path / "other")}))
    assert any(not np.array_equal(value, weights(second)[name]) for name, value in weights(first).items())


def test_the_environment_names_versions_data_and_model(tiny_run):
    environment = json.loads(tiny_run.run.environment.read_text())
    assert environment["versions"]["tensorflow"].startswith("2.")
    assert environment["model"]["architecture"] == "bert"
    assert environment["deterministic"] is True
    assert set(environment["data"]) == {"train", "validation"}
    assert len(environment["data"]["train"]["sha256"]) == 64


def test_a_finished_run_is_not_overwritten(tiny_run, config):
    before = tiny_run.run.complete.read_text()
    with pytest.raises(RunError, match=r"holds a finished run.*--overwrite"):
        fit(change(config, run={"output": str(tiny_run.run.path)}))
    assert tiny_run.run.complete.read_text() == before


def test_overwrite_replaces_the_run_and_keeps_the_exports(config):
    first = fit(change(config, export={"export": True}))
    first.run.report.write_text("on the first run")
    second = fit(change(config, fit={"seed": 9}, run={"overwrite": True}))
    assert first.run.path == second.run.path
    assert {path.name for path in second.run.path.iterdir()} == {"README.md", "run", "1", "models.config"}
    ops = read_saved_model(second.run.path / "1" / "saved_model.pb").ops
    assert "StatelessWhile" not in ops  # the loop of the unpadded encoder
    assert json.loads(second.run.environment.read_text())
    assert "overwrite: false" in second.run.config.read_text()


def test_a_failure_while_overwriting_brings_the_old_run_back(config, monkeypatch):
    first = fit(config)
    before = weights(first)

    def fail(*args, **kwargs):
        raise MemoryError("no room")

    import tf_finetune.training.train as module

    monkeypatch.setattr(module, "check_compiled", fail)
    with pytest.raises(MemoryError):
        fit(change(config, run={"overwrite": True}))
    assert ModelFolder(first.run.path).is_complete
    assert all(np.array_equal(before[name], value) for name, value in weights(first).items())
    assert {path.name for path in first.run.path.iterdir()} == {"README.md", "run"}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data": {"data": ("missing.csv",)}}, DataError, r"missing\.csv"),
        ({"data": {"text_column": "body"}}, DataError, "body"),
        ({"model": {"model": "no/such-model"}}, ModelError, "no/such-model"),
        ({"tokens": {"max_length": 65}}, ModelError, "64 tokens"),
        ({"fit": {"class_weights": "good=2"}}, ConfigError, "negative"),
        ({"model": {"freeze": "7"}}, ConfigError, "0 to 1"),
        ({"model": {"devices": "gpu:0"}}, ConfigError, "no GPU 0"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(config, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        fit(change(config, **changes))
    assert not (tmp_path / "models").exists()


def test_one_class_only_is_refused(config, tmp_path):
    one = write_csv(tmp_path / "one.csv", [row for row in tiny_rows() if row[1] == "positive"])
    with pytest.raises(DataError, match="positive"):
        fit(change(config, data={"data": (str(one),)}))
    assert not (tmp_path / "models").exists()


def test_the_test_set_is_scored_and_chooses_nothing(config, tmp_path):
    test = write_csv(tmp_path / "test.csv", unseen_rows(20))
    with_test = fit(change(config, data={"test": (str(test),)}))
    without = fit(change(config, run={"output": str(tmp_path / "without")}))
    assert with_test.test_scores.rows == 20
    assert without.test_scores is None
    assert all(np.array_equal(value, weights(without)[name]) for name, value in weights(with_test).items())


def test_three_named_classes_with_weights_and_smoothing(config, tmp_path):
    rows = [(text, "so-so" if i % 3 == 0 else label) for i, (text, label) in enumerate(tiny_rows())]
    data = write_csv(tmp_path / "three.csv", rows)
    result = fit(
        change(
            config,
            data={"data": (str(data),)},
            fit={"class_weights": "so-so=2.5,positive=0.5", "label_smoothing": 0.1, "weight_decay": 0.01},
        )
    )
    assert result.scores.label_names == ("negative", "positive", "so-so")


def test_every_way_of_computing_finishes(config, tmp_path):
    result = fit(
        change(
            config,
            model={"precision": "mixed_bfloat16", "freeze": "embeddings,0"},
            fit={"gradient_accumulation": 2, "batching": "plain", "tracker": ("tensorboard",), "monitor": "val_loss"},
            tokens={"truncate": "tail"},
        )
    )
    assert any(result.run.logs.rglob("events*"))
    assert all(value.dtype == np.float32 for value in weights(result).values())


def test_patience_stops_early(config):
    result = fit(change(config, fit={"epochs": 9, "patience": 1, "learning_rate": 0.5}))
    epochs = len(result.run.history.read_text().splitlines()) - 1
    assert epochs < 9
    assert json.loads(result.run.complete.read_text())["epochs"] == epochs


def test_stopping_leaves_a_readable_run_and_says_how_to_go_on(config, monkeypatch):
    import tf_finetune.training.progress as module

    def interrupt(self, epoch, logs=None):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(module.Progress, "on_epoch_end", interrupt)
    with open(os.devnull, "w") as stream, pytest.raises(TrainingStopped, match=STOPPED):
        fit(change(config, fit={"epochs": 3}), progress=stream)
    folder = ModelFolder(Path(config.run.output))
    assert not folder.is_complete
    with pytest.raises(RunError, match=r"unfinished.*To go on: tf-finetune fit --resume"):
        folder.require_complete()
    from tf_finetune.backend import transformers

    assert transformers.TFAutoModelForSequenceClassification.from_pretrained(str(folder.model))
    went_on = fit(change(config, model={"model": str(folder.path)}, run={"output": f"{folder.path}-2"}))
    assert went_on.run.is_complete


def test_progress_is_plain_lines_where_there_is_no_terminal(config, tmp_path):
    with open(tmp_path / "talk.txt", "w+") as stream:
        fit(config, progress=stream)
        stream.seek(0)
        talk = stream.read()
    assert "epoch 1/1" in talk and "val_loss" in talk
    assert "\r" not in talk


def test_what_the_user_got_wrong_is_said_before_tensorflow_is_imported(tiny_checkpoint):
    code = (
        "import sys\n"
        "from tf_finetune import Config, DataConfig, ModelConfig, TokensConfig, fit\n"
        "model, tokens = ModelConfig(model=sys.argv[1]), TokensConfig(max_length=16)\n"
        "config = Config(data=DataConfig(data=('missing.csv',)), model=model, tokens=tokens)\n"
        "try:\n    fit(config)\n"
        "except Exception as error:\n    print(type(error).__name__, 'tensorflow' in sys.modules)\n"
    )
    words = [sys.executable, "-c", code, str(tiny_checkpoint)]
    result = subprocess.run(words, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["DataError", "False"]


def test_an_interrupt_after_the_last_epoch_loses_no_training(config, monkeypatch):
    import tf_finetune.training.score_run as module

    def interrupt(*args, **kwargs):
        signal.raise_signal(signal.SIGTERM)

    first = fit(config)
    with (
        monkeypatch.context() as patch,
        pytest.raises(TrainingStopped, match=r"(?s)SIGTERM .*former run is in .*run-before") as found,
    ):
        patch.setattr(module, "table_logits", interrupt)
        fit(change(config, run={"overwrite": True}))
    assert found.value.exit_code == 75
    folder = ModelFolder(Path(config.run.output))
    assert not folder.is_complete and (folder.before / "complete.json").is_file()
    expected = weights(first)

    def train_again(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr("tf_finetune.training.checkpoints.callback.Checkpointing.on_train_batch_end", train_again)
    second = fit(change(config, run={"resume": "auto"}))
    assert all(np.array_equal(value, weights(second)[name]) for name, value in expected.items())
    assert not folder.before.exists() and not folder.checkpoints.exists()


def test_an_interrupted_export_leaves_a_finished_run_and_says_how_to_export(config, monkeypatch):
    import tf_finetune.serving.export as module

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "export", interrupt)
    output = f"{config.run.output} two"
    with pytest.raises(TrainingStopped, match=r"finished, but not exported.*tf-finetune export '.*short two'"):
        fit(change(config, export={"export": True}, run={"output": output}))
    assert ModelFolder(Path(output)).is_complete


def test_class_names_cannot_write_to_the_terminal(config, tmp_path, caplog):
    names = {"negative": "\x1b[2Jred\nline", "positive": "p" * 300}
    data = write_csv(tmp_path / "names.csv", [(text, names[label]) for text, label in tiny_rows()])
    caplog.set_level("INFO", logger="tf_finetune")
    result = fit(change(config, data={"data": (str(data),)}))
    train = next(record.getMessage() for record in caplog.records if record.getMessage().startswith("train:"))
    assert "\\x1b[2Jred\\nline 36" in train and "\x1b" not in train and len(train) < 120
    assert result.scores.label_names == tuple(names.values())


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_nothing(config, tmp_path):
    with pytest.raises(LossError, match=r"The loss became nan in the first epoch.*--learning-rate"):
        fit(change(config, fit={"learning_rate": 1e30, "warmup_ratio": 0.0}))
    assert not (tmp_path / "models" / "short" / "run").exists()


def test_a_signal_after_the_last_update_stops_before_scoring(config, monkeypatch):
    import tf_finetune.training.train_and_score as module

    def check_and_signal(optimizer, steps):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(module, "_check_updates", check_and_signal)
    with pytest.raises(TrainingStopped, match=r"(?s)SIGTERM after update 5 of 5.*--resume"):
        fit(config)
    folder = ModelFolder(Path(config.run.output))
    assert folder.can_go_on and not folder.metrics.exists()
