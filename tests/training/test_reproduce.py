"""`reproduce` makes a run again, finds it the same to the last bit, and names everything that is not."""

import json
import shutil
import signal

import pytest

from tests.conftest import tiny_rows, write_csv
from tf_finetune import reproduce
from tf_finetune.cli.main import main
from tf_finetune.config import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
from tf_finetune.errors import RunError, TrainingStopped
from tf_finetune.files import write_json
from tf_finetune.run import ModelFolder
from tf_finetune.training.fit import fit


@pytest.fixture(scope="module")
def place(dropping_checkpoint, tmp_path_factory):
    """A working directory with a short finished run in it, made from a file beside it."""
    folder = tmp_path_factory.mktemp("place")
    write_csv(folder / "reviews.csv", tiny_rows())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        fit(
            Config(
                data=DataConfig(data=("reviews.csv",), validation_split=0.25),
                tokens=TokensConfig(max_length=16, cache_dir="cache"),
                model=ModelConfig(model=str(dropping_checkpoint), encoder="model"),
                fit=FitConfig(epochs=2, batch_size=16, learning_rate=3e-3, seed=3),
                export=ExportConfig(export=False),
                run=RunConfig(output="models/short"),
            )
        )
    return folder


@pytest.fixture
def run(place, tmp_path, monkeypatch):
    """A copy of the run that a test may change; the working directory is the place where it was made."""
    monkeypatch.chdir(place)
    return ModelFolder(shutil.copytree(place / "models" / "short", tmp_path / "short"))


def rewrite(path, change):
    """Changes a JSON file."""
    values = json.loads(path.read_text())
    change(values)
    write_json(path, values)


@pytest.fixture
def copying(place, monkeypatch):
    """Has the new run be a copy of the recorded one, as it was before the test changed it."""

    def copy(config, *, progress):
        shutil.copytree(place / "models" / "short", config.run.output)

    monkeypatch.setattr("tf_finetune.training.reproduce.fit", copy)


def no_training(monkeypatch):
    """Fails a test that comes to train."""

    def fail(*args, **kwargs):
        raise AssertionError("trained")

    monkeypatch.setattr("tf_finetune.training.reproduce.fit", fail)


def test_a_run_is_reproduced_to_the_last_bit(run, capsys):
    assert main(["reproduce", str(run.path)]) == 0
    out, err = capsys.readouterr()
    table, verdict = out.rsplit("\n\n", 1)
    assert [line.split()[0] for line in table.splitlines()] == ["what", "weights", "optimizer", "history", "scores"]
    assert all(line.endswith("yes") for line in table.splitlines()[1:])
    assert verdict == "The same to the last bit: weights, optimizer, history and scores.\n"
    assert "warning: not as recorded" not in err
    again = ModelFolder(run.path.with_name("short-reproduced"))
    assert again.is_complete and not again.versions()
    assert (again.model / "model.safetensors").read_bytes() == (run.model / "model.safetensors").read_bytes()


def test_what_differs_is_said_beforehand_and_found_afterwards(run, tmp_path, monkeypatch, capsys):
    rows = tiny_rows()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    write_csv(tmp_path / "elsewhere" / "reviews.csv", [*rows[:-2], ("the plot was weird .", "positive"), rows[-1]])
    rewrite(run.environment, lambda values: values["identity"]["versions"].update(numpy="1.0\x1b[2J"))

    def train(config, *, progress):
        _, err = capsys.readouterr()
        assert "warning: not as recorded: data.train: " in err
        assert "warning: not as recorded: versions.numpy: 1.0\\x1b[2J, now " in err
        return fit(config)

    monkeypatch.setattr("tf_finetune.training.reproduce.fit", train)
    assert main(["reproduce", str(run.path), "--output", "again", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    changed = {row["what"] for row in found["circumstances"]}
    assert {"data.train", "versions.numpy"} <= changed and not any(name.startswith("fit.") for name in changed)
    assert not found["same"] and {row["what"]: row["same"] for row in found["results"]}["weights"] is False
    values = {row["what"]: row for row in found["values"]}
    assert {"epoch 1 loss", "epoch 2 val_loss", "validation.accuracy", "validation.classes.positive.f1"} <= set(values)
    loss = values["epoch 2 loss"]
    assert not loss["same"] and float(loss["recorded"]) == pytest.approx(float(loss["now"]), abs=0.5)
    assert found["verdict"].startswith("Not the same: weights, optimizer, history")


def test_a_value_of_the_history_that_differs_is_in_the_table(run, copying, capsys):
    text = run.history.read_text()
    value = text.splitlines()[2].split(",")[1]
    run.history.write_text(text.replace(value, "0.125", 1))
    assert main(["reproduce", str(run.path)]) == 1
    table = capsys.readouterr().out
    (line,) = [line for line in table.splitlines() if line.startswith("epoch ")]
    assert line.split() == ["epoch", "2", text.split(",")[1], "0.125", value, "no"]
    assert table.endswith("\nNot the same: history.\n")


def test_a_run_of_an_older_format_is_compared_as_far_as_it_goes(run, copying, caplog):
    rewrite(run.environment, lambda values: values.pop("identity"))
    rewrite(run.complete, lambda values: [values.pop(key) for key in ("optimizer_sha256", "history_sha256", "forced")])
    run.history.write_bytes(run.history.read_bytes().replace(b"\n", b"\r\n"))  # as Keras' CSVLogger wrote it
    found = reproduce(run.path)
    assert found.is_same and not found.circumstances
    assert [row.what for row in found.results] == ["weights", "history", "scores"]
    assert found.verdict == (
        "The same to the last bit: weights, history and scores. Not recorded, and not compared: versions, machine, "
        "data, pretrained model. Not recorded, and not compared: optimizer."
    )
    assert "not compared: optimizer" in caplog.text


@pytest.mark.parametrize("gone", ["data", "model"])
def test_what_is_not_found_from_here_is_said_to_be_relative(run, tmp_path, monkeypatch, gone):
    if gone == "data":
        monkeypatch.chdir(tmp_path)
    else:
        text = run.config.read_text()
        run.config.write_text(
            text.replace(next(line for line in text.splitlines() if " model: " in line), "  model: a/b")
        )
    name = {"data": r"reviews\.csv", "model": "a/b"}[gone]
    with pytest.raises(RunError, match=rf"Not found: {name}\. Relative paths in .*config\.yaml count from the working"):
        reproduce(run.path)


def test_an_occupied_folder_is_refused_before_anything_is_read(run, monkeypatch):
    no_training(monkeypatch)
    shutil.copytree(run.path, run.path.with_name("other"))
    with pytest.raises(RunError, match=r"other holds a finished run, which is not overwritten. Give another --output"):
        reproduce(run.path, output=run.path.with_name("other"))


def test_only_a_finished_and_sound_run_is_made_again(run, monkeypatch):
    no_training(monkeypatch)
    run.history.unlink()
    with pytest.raises(RunError, match=r"damaged \(history\.csv\)"):
        reproduce(run.path)
    run.complete.unlink()
    with pytest.raises(RunError, match="unfinished"):
        reproduce(run.path)


def test_a_reproduction_that_was_stopped_goes_on_and_another_run_does_not(run, monkeypatch):
    from tf_finetune.training.checkpoints.callback import Checkpointing

    seen = []
    on_train_batch_end = Checkpointing.on_train_batch_end

    def stop_at_the_seventh(self, batch, logs=None):
        seen.append(batch)
        if len(seen) == 7:
            signal.raise_signal(signal.SIGTERM)
        on_train_batch_end(self, batch, logs)

    monkeypatch.setattr(Checkpointing, "on_train_batch_end", stop_at_the_seventh)
    again = run.path.with_name("again")
    with pytest.raises(TrainingStopped, match=r"(?s)SIGTERM.*To go on and compare: tf-finetune reproduce .*again") as e:
        reproduce(run.path, output=again)
    assert e.value.exit_code == 75
    text = run.config.read_text()
    run.config.write_text(text.replace("seed: 3", "seed: 4"))
    with pytest.raises(RunError, match="holds an unfinished run"):
        reproduce(run.path, output=again)
    run.config.write_text(text)
    assert reproduce(run.path, output=again).is_same
    assert len(seen) == json.loads(run.complete.read_text())["updates"]  # none was computed twice
