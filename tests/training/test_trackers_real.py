"""The real packages of MLflow (a local file store) and Weights & Biases (offline), where they are installed."""

import dataclasses
import os
import signal
import struct

import pytest

from tf_finetune.config import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
from tf_finetune.errors import TrainingStopped
from tf_finetune.files import read_json
from tf_finetune.training.fit import fit
from tf_finetune.tuning.assignment import read_history


@pytest.fixture
def config(tiny_checkpoint, reviews_csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Config(
        data=DataConfig(data=(str(reviews_csv),), validation_split=0.25),
        tokens=TokensConfig(max_length=16),
        model=ModelConfig(model=str(tiny_checkpoint), encoder="model"),  # the quicker one to trace
        fit=FitConfig(epochs=3, batch_size=16, learning_rate=3e-3, seed=3),
        export=ExportConfig(export=False),
        run=RunConfig(output=str(tmp_path / "short"), save_every="2steps", resume="auto"),
    )


def stop_and_go_on(config, monkeypatch):
    """Trains two epochs, is interrupted, and goes on; returns the result and the note of the first part."""
    import tf_finetune.training.progress as module

    def interrupt(self, epoch, logs=None):
        if epoch == 1:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(module.Progress, "on_epoch_end", interrupt)
        with open(os.devnull, "w") as stream, pytest.raises(TrainingStopped):
            fit(config, progress=stream)
    result = fit(config)
    return result, read_json(result.run.trackers)


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_mlflow(config, tmp_path, monkeypatch, store):
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'tf_finetune[mlflow]'")
    if store == "sqlite":
        pytest.importorskip("sqlalchemy", reason="a database needs the whole of mlflow, not mlflow-skinny")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "store").as_uri() if store == "file" else f"sqlite:///{tmp_path / 'runs.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "reviews")
    config = dataclasses.replace(config, fit=dataclasses.replace(config.fit, tracker=("mlflow",)))
    result, note = stop_and_go_on(config, monkeypatch)

    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("reviews").experiment_id])
    assert (run.info.run_id, run.info.run_name, run.info.status) == (note["mlflow"]["run_id"], "short", "FINISHED")
    rows = read_history(result.run)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        found = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]
        assert found == [(epoch, row[name]) for epoch, row in enumerate(rows)]
    (score,) = client.get_metric_history(run.info.run_id, "validation/macro_f1")
    assert (score.step, score.value) == (result.best_epoch - 1, result.scores.macro_f1)
    assert run.data.params["fit.learning_rate"] == "0.003" and len(run.data.params) > 50
    files = {file.path: file.file_size for file in client.list_artifacts(run.info.run_id)}
    assert files["config.yaml"] == result.run.config.stat().st_size
    assert files.keys() == {"config.yaml", "metrics.json", "confusion_validation.png"}


def records(folder):
    """What the one file of an offline run holds: messages of W&B in LevelDB's log format behind a head of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("run-*.wandb")
    data, place, message = path.read_bytes(), 7, b""
    assert data.startswith(b":W&B")
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        size, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        message += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or its last part
            yield Record.FromString(message)
            message = b""


def test_wandb_offline(config, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed: pip install 'tf_finetune[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    config = dataclasses.replace(config, fit=dataclasses.replace(config.fit, tracker=("wandb",)))
    result, note = stop_and_go_on(config, monkeypatch)

    folders = sorted((tmp_path / "wandb").glob("offline-run-*"), key=lambda path: path.stat().st_mtime_ns)
    assert [folder.name.rpartition("-")[2] for folder in folders] == [note["wandb"]["run_id"]] * 2
    found = [record for folder in folders for record in records(folder)]
    logged = []
    for record in found:
        values = {item.key or item.nested_key[0]: item.value_json for item in record.history.item}
        if "val_loss" in values:
            logged.append((int(values["epoch"]), float(values["val_loss"]), record.history.step.num))
    rows = read_history(result.run)
    assert logged == [(epoch, row["val_loss"], epoch) for epoch, row in enumerate(rows)]
    runs = [record.run for record in found if record.HasField("run")]
    assert {(run.project, run.display_name) for run in runs} == {("tf_finetune", "short")}
    assert "fit.learning_rate" in {item.key for run in runs for item in run.config.update}
    summary = {item.key or item.nested_key[0]: item.value_json for r in found for item in r.summary.update}
    assert float(summary["validation/macro_f1"]) == pytest.approx(result.scores.macro_f1)
    assert {path.name for path in (folders[-1] / "files" / "run").iterdir()} == {"config.yaml", "metrics.json"}
    texts = [line.partition('": "')[2][:30] for line in result.run.validation_texts.read_text().splitlines()]
    content = b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())
    assert len(texts) == 24 and not [text for text in texts if text.encode() in content]
