"""Trackers get each epoch once, whatever happens to the run or to them, and no text; training never ends by them."""

import contextlib
import csv
import dataclasses
import json
import logging
import os
import signal
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import BAD, GOOD, THINGS, tiny_rows, unseen_rows, write_csv
from tests.training.tracker_servers import FakeMlflow, FakeWandb, away
from tf_finetune.config import (
    Config,
    DataConfig,
    ExportConfig,
    FitConfig,
    ModelConfig,
    RunConfig,
    TokensConfig,
    resolve_config,
    write_config,
)
from tf_finetune.errors import ConfigError, DependencyError, RunError, TrainingStopped
from tf_finetune.evaluation.metrics import Scores
from tf_finetune.files import read_json
from tf_finetune.run import ModelFolder
from tf_finetune.training.fit import fit
from tf_finetune.training.inputs import load_inputs
from tf_finetune.training.trackers.make import make_tracking
from tf_finetune.training.trackers.tracking import Tracking

ALL = ("tensorboard", "mlflow", "wandb")


@pytest.fixture
def mlflow(monkeypatch):
    server = FakeMlflow()
    server.install(monkeypatch)
    for name in ("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return server


@pytest.fixture
def wandb(monkeypatch, tmp_path):
    server = FakeWandb(tmp_path)
    server.install(monkeypatch)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return server


@pytest.fixture
def config(tiny_checkpoint, reviews_csv, tmp_path):
    """A short run of three epochs."""
    return Config(
        data=DataConfig(data=(str(reviews_csv),), validation_split=0.25),
        tokens=TokensConfig(max_length=16),
        model=ModelConfig(model=str(tiny_checkpoint), encoder="model"),  # the quicker one to trace
        fit=FitConfig(epochs=3, batch_size=16, learning_rate=3e-3, seed=3),
        export=ExportConfig(export=False),
        run=RunConfig(output=str(tmp_path / "models" / "short")),
    )


def change(config, **sections):
    new = {name: dataclasses.replace(getattr(config, name), **values) for name, values in sections.items()}
    return dataclasses.replace(config, **new)


def tracked(config, *names):
    return change(config, fit={"tracker": names})


def history(run):
    with open(run.history, newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def events(folder):
    """Step, tag and value of all that was written to the event files of one folder."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    from tf_finetune.backend import tf

    return [
        (event.step, value.tag, tf.make_ndarray(value.tensor))
        for path in sorted(folder.glob("events*"))
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
    ]


def scalars(folder):
    """Tag to step to value; a step that comes twice is an error."""
    found = {}
    for step, tag, value in events(folder):
        if value.shape == () and value.dtype == np.float32:
            assert step not in found.setdefault(tag, {}), (step, tag)
            found[tag][step] = float(value)
    return found


def warnings(caplog):
    return [entry.getMessage() for entry in caplog.records if entry.levelno == logging.WARNING]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("tracked")


@pytest.fixture(scope="module")
def done(tiny_checkpoint, reviews_csv, place):
    mlflow, wandb = FakeMlflow(), FakeWandb(place)
    config = Config(
        data=DataConfig(
            data=(str(reviews_csv),),
            validation_split=0.25,
            test=(str(write_csv(place / "test.csv", unseen_rows(12))),),
        ),
        tokens=TokensConfig(max_length=16, cache_dir=str(place / "cache")),
        model=ModelConfig(model=str(tiny_checkpoint), encoder="model"),  # the quicker one to trace
        fit=FitConfig(epochs=2, batch_size=16, learning_rate=3e-3, seed=1, tracker=ALL),
        export=ExportConfig(export=False),
        run=RunConfig(output=str(place / "short")),
    )
    with pytest.MonkeyPatch.context() as patch:
        mlflow.install(patch)
        wandb.install(patch)
        result = fit(config)
    return SimpleNamespace(config=config, run=result.run, result=result, mlflow=mlflow, wandb=wandb)


class TestAWholeRun:
    """One run with all trackers, with test rows."""

    @pytest.mark.slow
    def test_the_weights_are_those_of_a_run_without_trackers(self, done, place):
        plain = fit(change(done.config, fit={"tracker": ()}, run={"output": str(place / "plain")}))
        hashes = ("weights_sha256", "optimizer_sha256", "history_sha256")
        one, other = (read_json(run.complete) for run in (done.run, plain.run))
        assert {name: one[name] for name in hashes} == {name: other[name] for name in hashes}
        assert not plain.run.trackers.exists() and not plain.run.logs.exists()

    def test_mlflow_gets_parameters_epochs_scores_and_files(self, done):
        ((_, run),) = done.mlflow.runs.items()
        assert (run.name, run.status, done.mlflow.experiments) == ("short", "FINISHED", {"tf_finetune": "1"})
        assert (run.params["fit.learning_rate"], run.params["fit.tracker"]) == ("0.003", "tensorboard, mlflow, wandb")
        assert run.params.keys() == {
            f"{section}.{key}" for section, values in done.config.to_dict().items() for key in values
        }
        rows = history(done.run)
        for name in set(rows[0]) - {"epoch"}:
            assert run.metrics[name] == [(epoch, row[name]) for epoch, row in enumerate(rows)]
        self.same_scores(done, {name: value for name, ((_, value), *_) in run.metrics.items() if "/" in name})
        best = done.result.best_epoch - 1
        assert run.metrics["test/accuracy"] == [(best, done.result.test_scores.accuracy)]
        assert run.files.keys() == {"config.yaml", "metrics.json", "confusion_validation.png", "confusion_test.png"}
        assert run.files["metrics.json"] == done.run.metrics.read_bytes()

    def test_wandb_gets_the_same(self, done):
        (run,) = done.wandb.runs
        assert run.arguments["config"]["fit.epochs"] == 2
        given = {name: run.arguments[name] for name in ("project", "name", "group", "resume", "reinit")}
        assert given == {
            "project": "tf_finetune",
            "name": "short",
            "group": None,
            "resume": None,
            "reinit": "create_new",
        }
        assert run.rows == [(int(row["epoch"]), row) for row in history(done.run)]
        self.same_scores(done, {name: value for name, value in run.summary.items() if isinstance(value, float)})
        assert run.summary["validation/confusion"][0] == "picture"
        assert run.files.keys() == {"config.yaml", "metrics.json"} and run.exit_code == 0

    def same_scores(self, done, found):
        """Every score that is a number, and nothing else."""
        expected = {
            f"{part}/{name}": value
            for part, scores in read_json(done.run.metrics).items()
            for name, value in scores.items()
            if isinstance(value, (int, float))
        }
        assert found == expected and len(found) == 20

    def test_no_text_of_a_row_leaves_the_machine(self, done):
        (run,) = done.mlflow.runs.values()
        (other,) = done.wandb.runs
        pictures = {name for name in run.files if name.endswith(".png")}
        files = [run.files[name] for name in run.files.keys() - pictures] + list(other.files.values())
        sent = " ".join(
            [repr({**vars(run), "files": None}), repr(other.rows), repr(other.arguments), *map(repr, files)]
        )
        assert "fit.learning_rate" in sent
        assert not [word for word in (*GOOD, *BAD, *THINGS) if f" {word} " in sent]
        assert other.arguments["settings"]["console"] == "off"
        assert other.arguments["settings"]["disable_code"] and other.arguments["settings"]["disable_git"]

    def test_tensorboard_gets_what_keras_writes(self, done):
        train, validation = (scalars(done.run.logs / part) for part in ("train", "validation"))
        rows = history(done.run)
        for name in ("loss", "accuracy"):
            assert train[f"epoch_{name}"] == pytest.approx({i: row[name] for i, row in enumerate(rows)})
            assert validation[f"epoch_{name}"] == pytest.approx({i: row[f"val_{name}"] for i, row in enumerate(rows)})
        first, last = train["epoch_learning_rate"].values()
        assert last == 0 < first < 3e-3  # half-way down the schedule, and at its end

    def test_tensorboard_shows_confusion_and_texts_each_epoch(self, done):
        found = events(done.run.logs / "validation")
        pictures = [(step, value) for step, tag, value in found if tag == "confusion"]
        assert [step for step, _ in pictures] == [0, 1] and pictures[0][1][2].startswith(b"\x89PNG")
        texts = {step: value.item().decode() for step, tag, value in found if tag == "samples"}
        assert texts.keys() == {0, 1}
        rows = [line.strip("| ").split(" | ") for line in texts[1].splitlines()[2:]]
        known = dict(tiny_rows())
        assert len(rows) == 16
        for text, true, answer, probability, *_ in rows:
            assert known[text] == true and 0.5 <= float(probability) <= 1
            assert answer in ("negative", "positive")
        wrong = sum(line.endswith("✗ |") for line in texts[1].splitlines())
        assert wrong == sum(true != answer for _, true, answer, *_ in rows)
        assert [row[0] for row in rows] == [line.strip("| ").split(" | ")[0] for line in texts[0].splitlines()[2:]]

    def test_tensorboard_shows_hyperparameters_and_scores(self, done):
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
        from tensorboard.plugins.hparams import plugin_data_pb2

        (path,) = done.run.logs.glob("events*")
        found = {v.tag: v for event in EventFileLoader(str(path)).Load() for v in event.summary.value}
        data = plugin_data_pb2.HParamsPluginData
        start = data.FromString(found["_hparams_/session_start_info"].metadata.plugin_data.content).session_start_info
        assert start.hparams["fit.learning_rate"].number_value == 0.003 and start.group_name == "short"
        assert not any(name.startswith(("data.", "run.")) for name in start.hparams)
        assert "_hparams_/session_end_info" in found
        best = done.result.best_epoch - 1
        assert scalars(done.run.logs)["test/accuracy"] == pytest.approx({best: done.result.test_scores.accuracy})

    def test_what_is_noted_in_the_run(self, done):
        assert read_json(done.run.trackers) == {
            "tensorboard": {"run_id": "logs", "epochs": 2, "scored": True},
            "mlflow": {"run_id": "r1", "epochs": 2, "scored": True},
            "wandb": {"run_id": done.wandb.runs[0].id, "epochs": 2, "scored": True},
        }


def stopped_after(config, epochs, monkeypatch):
    """Trains, and has Ctrl-C come after some epochs."""
    import tf_finetune.training.progress as module

    def interrupt(self, epoch, logs=None):
        if epoch + 1 == epochs:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(module.Progress, "on_epoch_end", interrupt)
        with open(os.devnull, "w") as stream, pytest.raises(TrainingStopped):
            fit(config, progress=stream)


def test_a_run_that_goes_on_is_the_same_run_at_each_tracker(config, mlflow, wandb, monkeypatch):
    config = change(config, run={"save_every": "2steps", "resume": "auto"})
    stopped_after(tracked(config, *ALL), 2, monkeypatch)
    (run,) = mlflow.runs.values()
    assert (run.status, wandb.runs[0].exit_code, len(run.metrics["loss"])) == ("KILLED", 1, 2)
    result = fit(change(tracked(config, *ALL), run={"max_hours": 9.0}))
    assert list(mlflow.runs.values()) == [run] and run.status == "FINISHED"
    rows = history(result.run)
    assert run.metrics["val_loss"] == [(epoch, row["val_loss"]) for epoch, row in enumerate(rows)]
    assert run.params["run.max_hours"] == "null"  # as it was begun
    first, second = wandb.runs
    assert (first.id, second.arguments["resume"]) == (second.id, "allow")
    assert first.rows + second.rows == [(epoch, row) for epoch, row in enumerate(rows)]
    assert scalars(result.run.logs / "train")["epoch_loss"].keys() == {0, 1, 2}
    assert scalars(result.run.logs / "validation")["epoch_loss"].keys() == {0, 1, 2}
    assert scalars(result.run.logs)["validation/accuracy"].keys() == {result.best_epoch - 1}


@pytest.mark.slow
def test_trackers_that_are_new_to_a_run_get_its_former_epochs(config, mlflow, monkeypatch):
    config = change(config, run={"save_every": "2steps", "resume": "auto"})
    stopped_after(config, 2, monkeypatch)
    result = fit(tracked(config, "mlflow", "tensorboard"))
    (run,) = mlflow.runs.values()
    assert [step for step, _ in run.metrics["val_accuracy"]] == [0, 1, 2]
    assert scalars(result.run.logs / "train")["epoch_loss"].keys() == {0, 1, 2}
    assert {step for step, tag, _ in events(result.run.logs / "validation") if tag == "confusion"} == {2}


def test_a_server_that_goes_away_does_not_end_training(config, mlflow, wandb, monkeypatch, caplog):
    create_run = mlflow.create_run

    def vanish(*arguments, **named):
        found = create_run(*arguments, **named)
        mlflow.breaks |= {"log_batch", "log_artifact", "set_terminated"}
        return found

    monkeypatch.setattr(mlflow, "create_run", vanish)
    mlflow.log_batch = (lambda log: lambda *a, params=(), **k: None if params else log(*a, **k))(mlflow.log_batch)
    wandb.breaks = {"log"}
    assert fit(tracked(config, "mlflow", "wandb")).scores.accuracy > 0
    assert mlflow.calls.count("log_batch") == 2  # at the first epoch, and once more at the end
    one, other = [message for message in warnings(caplog) if message.startswith("tracker")]
    assert one.startswith("tracker mlflow failed: log_batch: connection refused. Training goes on without it; ")
    assert other.startswith("tracker wandb failed: log: broken pipe. Training goes on")


@pytest.mark.parametrize(
    ("name", "breaks", "words"),
    [
        (
            "mlflow",
            "create_run",
            r"--tracker mlflow: no run could be begun: create_run: connection refused\. Check MLFLOW",
        ),
        (
            "wandb",
            "login",
            r"--tracker wandb: no run could be begun: No API key configured\. Log in with `wandb login`",
        ),
    ],
)
def test_a_tracker_that_cannot_be_reached_at_the_beginning(config, mlflow, wandb, name, breaks, words):
    with away({"mlflow": mlflow, "wandb": wandb}[name], breaks), pytest.raises(RunError, match=words):
        fit(tracked(config, name))
    assert not ModelFolder(config.run.output).run.exists()


class Recorder:
    """A tracker that keeps what it is told."""

    name, advice = "recorder", "Do something."

    def __init__(self, *, epochs=None):
        self.epochs, self.told, self.broken, self.opened = epochs, [], set(), []

    def open(self, run_id):
        self._do("open")
        self.opened.append(run_id)
        return SimpleNamespace(run_id=run_id or f"run{len(self.opened)}", epochs=self.epochs, where="here")

    def log_epoch(self, epoch, values, *, is_now):
        self._do("log_epoch", (epoch, is_now))

    def log_scores(self, epoch, scores):
        self._do("log_scores", ("scores", epoch))

    def close(self, status):
        self._do("close", status)

    def _do(self, name, told=None):
        if name in self.broken:
            raise OSError(28, "No space left on device")
        if told is not None:
            self.told.append(told)


@pytest.fixture
def epochs():
    return []


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def tracking(recorder, epochs, tmp_path):
    return Tracking([recorder], tmp_path / "trackers.json", lambda: epochs)


def test_what_is_missing_is_logged_with_the_next_epoch(tracking, recorder, epochs):
    with tracking.running(goes_on=False):
        epochs += [{"loss": 3.0}, {"loss": 2.0}]
        tracking.on_epoch_end(1)
        tracking.on_epoch_end(1)
        epochs.append({"loss": 1.0})
        tracking.log_scores(2, {})
    assert recorder.told == [(0, False), (1, True), (2, False), ("scores", 2), "finished"]


def test_it_fails_once_and_has_everything_in_the_end(tracking, recorder, epochs, caplog):
    caplog.set_level(logging.INFO)
    with tracking.running(goes_on=False):
        epochs.append({"loss": 3.0})
        recorder.broken = {"log_epoch"}
        tracking.on_epoch_end(0)
        recorder.broken = set()
        epochs.append({"loss": 2.0})
        tracking.on_epoch_end(1)
        assert recorder.told == []
        tracking.log_scores(1, {})
    assert recorder.told == [(0, False), (1, False), ("scores", 1), "finished"]
    assert len(warnings(caplog)) == 1 and "answers again" in caplog.text


def test_a_tracker_that_stays_away_is_told_of_once(tracking, recorder, epochs, caplog):
    with tracking.running(goes_on=False):
        recorder.broken = {"log_epoch", "close"}
        for _ in range(3):
            epochs.append({"loss": 3.0})
            tracking.on_epoch_end(len(epochs) - 1)
        tracking.log_scores(1, {})
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("error", [TrainingStopped(), KeyboardInterrupt(), ValueError()])
def test_how_a_run_ends(tracking, recorder, error):
    with pytest.raises(type(error)), tracking.running(goes_on=False):
        raise error
    assert recorder.told == ["failed" if isinstance(error, ValueError) else "stopped"]


def test_where_a_run_goes_on_a_tracker_may_be_away(tracking, recorder, epochs, caplog):
    recorder.broken = {"open"}
    epochs.append({"loss": 3.0})
    with tracking.running(goes_on=True):
        tracking.on_epoch_end(0)
        recorder.broken = set()
        tracking.log_scores(0, {})
    assert recorder.told == [(0, False), ("scores", 0), "finished"]
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(
    ("counted", "expected"), [(None, [(1, False), (2, True)]), (0, [(0, False), (1, False), (2, True)]), (3, [])]
)
def test_a_tracker_knows_best_what_it_has(recorder, tracking, epochs, tmp_path, counted, expected):
    (tmp_path / "trackers.json").write_text(json.dumps({"recorder": {"run_id": "x", "epochs": 1, "scored": True}}))
    recorder.epochs = counted
    epochs += [{"loss": 1.0}] * 3
    with tracking.running(goes_on=True):
        tracking.on_epoch_end(2)
        tracking.log_scores(0, {})
    assert recorder.opened == ["x"]
    assert recorder.told == [*expected, "finished"]  # the scores are there


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"recorder": 3}',
        '{"recorder": {"run_id": "x", "epochs": -1, "scored": true}}',
        '{"recorder": {"run_id": "x", "epochs": true, "scored": true}}',
        '{"recorder": {"run_id": null, "epochs": 1, "scored": true}}',
    ],
)
def test_a_damaged_note_is_told_of(tracking, recorder, tmp_path, caplog, text):
    (tmp_path / "trackers.json").write_text(text)
    with tracking.running(goes_on=True):
        pass
    assert recorder.opened == [None]
    (message,) = warnings(caplog)
    assert "trackers.json is damaged" in message and message.endswith("trackers begin new runs")


def test_a_run_deleted_at_mlflow_is_not_written_to(mlflow, tmp_path):
    from tf_finetune.training.trackers.mlflow_run import MlflowRun
    from tf_finetune.training.trackers.tracker import TrackedRun

    tracker = MlflowRun(TrackedRun(ModelFolder(tmp_path), "m", "search", {"fit.seed": 1}))
    opened = tracker.open(None)
    assert opened.where == "run r1 at http://tracker:5000"  # without the password
    assert mlflow.runs["r1"].tags["group"] == "search"
    mlflow.runs["r1"].stage = "deleted"
    with pytest.raises(RuntimeError, match="r1 was deleted"):
        tracker.open("r1")


def test_wandb_that_is_switched_off_is_refused(config, wandb):
    wandb.mode = "disabled"
    with pytest.raises(ConfigError, match="WANDB_MODE.*nothing would be logged"):
        fit(tracked(config, "wandb"))


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_package_is_said_before_the_data_is_read(config, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    config = change(tracked(config, name), data={"data": ("no-such-file.csv",)})
    words = rf"--tracker {name} needs the package of .*pip install 'tf_finetune\[{name}\]'"
    for call in (load_inputs, fit):
        with pytest.raises(DependencyError, match=words):
            call(config)


def test_of_several_workers_the_chief_alone_has_trackers(config, mlflow):
    ledger, folder = SimpleNamespace(history=[]), ModelFolder(config.run.output)
    folder.run.mkdir(parents=True)
    for is_chief in (False, True):
        prepared = SimpleNamespace(workers=SimpleNamespace(is_chief=is_chief))
        with make_tracking(folder, tracked(config, "mlflow"), None, prepared, ledger, group=None).running(
            goes_on=False
        ):
            pass
        assert mlflow.calls.count("create_run") == is_chief


def test_a_tracker_twice_is_refused(config):
    with pytest.raises(ConfigError, match="--tracker mlflow is given twice"):
        tracked(config, "mlflow", "wandb", "mlflow")
    with pytest.raises(ConfigError, match="any of tensorboard, mlflow, wandb. Received: .'comet'"):
        resolve_config(flags={"tracker": ["comet"]})


@pytest.mark.parametrize(("before", "now"), [(True, ("tensorboard",)), (False, ())])
def test_a_recorded_run_of_an_earlier_release_is_read(config, tmp_path, before, now):
    sections = config.to_dict()
    del sections["fit"]["tracker"]
    sections["fit"]["tensorboard"] = before
    assert Config.from_dict(sections) == tracked(config, *now)
    text = write_config(config).replace("  tracker: []\n", f"  tensorboard: {str(before).lower()}\n")
    assert "tensorboard" in text
    (tmp_path / "config.yaml").write_text(text)
    assert resolve_config(file=tmp_path / "config.yaml") == tracked(config, *now)


def test_a_reproduction_is_not_tracked(config, tmp_path):
    from tf_finetune.training.reproduce import _configure

    recorded = ModelFolder(tmp_path / "recorded")
    recorded.run.mkdir(parents=True)
    recorded.config.write_text(write_config(tracked(config, *ALL)))
    assert _configure(recorded, ModelFolder(tmp_path / "new")).fit.tracker == ()


def test_a_trial_is_a_run_in_the_group_of_its_search(config, monkeypatch, tmp_path):
    from tf_finetune.tuning import trial_process
    from tf_finetune.tuning.assignment import Assignment
    from tf_finetune.tuning.folder import TuneFolder

    trial = TuneFolder(ModelFolder(tmp_path / "reviews")).trial("0003")
    Assignment(tracked(config, "wandb").to_dict(), "val_accuracy").write(trial)
    calls = []
    monkeypatch.setattr("tf_finetune.training.fit.fit", lambda config, **given: calls.append((config, given)))
    monkeypatch.setattr(trial_process, "_stop_when_alone", lambda: None)
    assert trial_process.main(str(trial.path)) == 0
    ((found, given),) = calls
    assert found.fit.tracker == ("wandb",) and given["group"] == "reviews"


def test_a_trial_that_goes_on_from_another_has_runs_of_its_own(config, tmp_path):
    from tf_finetune.tuning.runner import TrialRunner

    parent, trial = ModelFolder(tmp_path / "0001"), ModelFolder(tmp_path / "0002")
    for path in (parent.checkpoints / "000000001" / "record.json", parent.logs / "train" / "events", parent.trackers):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    TrialRunner._take_over(None, parent, trial, config)
    assert (trial.checkpoints / "000000001" / "record.json").is_file()
    assert not trial.logs.exists() and not trial.trackers.exists()


def test_a_run_of_a_group_has_its_name_before_its_own(config, wandb):
    ledger, folder = SimpleNamespace(history=[]), ModelFolder(config.run.output)
    folder.run.mkdir(parents=True)
    prepared = SimpleNamespace(workers=SimpleNamespace(is_chief=True))
    with make_tracking(folder, tracked(config, "wandb"), None, prepared, ledger, group="reviews").running(
        goes_on=False
    ):
        pass
    assert (wandb.runs[0].arguments["name"], wandb.runs[0].arguments["group"]) == ("reviews-short", "reviews")


@pytest.mark.parametrize("classes", [2, 4, 30, 100])
def test_a_picture_of_the_confusion_matrix(classes):
    from tf_finetune.training.trackers.picture import confusion_figure, pixels

    confusion = np.arange(classes**2).reshape(classes, classes).tolist()
    names = ["$x$ <b>", "日本 \x1b[2J", "n" * 999, "", *map(str, range(classes))][:classes]
    picture = pixels(confusion_figure(confusion, names))
    assert picture.dtype == np.uint8 and picture.shape[2] == 4
    assert max(picture.shape) <= 1300 and len(np.unique(picture)) > 10


def test_scores_that_are_undefined_are_left_out(tiny_run):
    from tf_finetune.training.trackers.parameters import flat_scores

    scores = dataclasses.replace(tiny_run.scores, auroc=None, auroc_reason="one class")
    found = flat_scores("test", scores)
    assert isinstance(scores, Scores) and "test/auroc" not in found and found["test/mcc"] == scores.mcc


def test_a_text_cannot_break_the_table_of_texts():
    from tf_finetune.training.trackers.tensorboard_logs import _cell, _texts

    assert _cell("a\x1b") == "a&#92;x1b"
    assert not set(_cell("| \n < > * _ ` [ ] #").replace("&#", "")) & set("|\n<>*_`[]#")
    single = SimpleNamespace(batches=lambda rows: [(["y" * 9999], None)])
    pairs = SimpleNamespace(batches=lambda rows: [(["y" * 9999], ["z" * 9999])])
    assert list(_texts(single)) == ["y" * 300 + "…"]
    assert list(_texts(pairs)) == ["y" * 150 + "… // " + "z" * 150 + "…"]


def test_a_disk_that_was_full_for_a_while_leaves_each_step_once(tmp_path):
    from tf_finetune.training.trackers import tensorboard_logs
    from tf_finetune.training.trackers.tracker import TrackedRun

    run = TrackedRun(ModelFolder(tmp_path), "m", None, {"fit.seed": 1})

    class Rows(list):
        label_names, labels = ("a", "b"), ()

    def rate(epoch):  # asked for when the validation values are written
        if full:
            raise OSError(28, "No space left on device")
        return 0.1

    full, values = True, {"loss": 1.0, "val_loss": 2.0}
    logs = tensorboard_logs.TensorBoardLogs(run, Rows(), lambda: None, rate, seed=0)
    for _ in range(2):
        assert logs.open(None).epochs == 0
        with pytest.raises(OSError) if full else contextlib.nullcontext():
            logs.log_epoch(0, values, is_now=False)
        logs.close("stopped")
        full = False
    assert logs.open(None).epochs == 1
    assert scalars(run.folder.logs / "validation") == {"epoch_loss": {0: 2.0}}


@pytest.mark.slow
def test_a_run_killed_anywhere_has_each_epoch_once(session_victims, short_config, tmp_path):
    """By SIGKILL: in an epoch that is trained again, in a validation, and while the scores are computed."""
    config = change(
        short_config,
        fit={"epochs": 4, "tracker": ("tensorboard",)},
        run={"output": str(tmp_path / "m"), "save_every": "5steps"},
    )
    for kill in (("update", 12), ("validation", 2), ("update", 15), ("score", 1), None):
        code = session_victims.run(config, losses=tmp_path / "losses", kill=kill)
    assert code == 0
    run = ModelFolder(tmp_path / "m")
    rows = history(run)
    train = scalars(run.logs / "train")["epoch_loss"]
    assert train == pytest.approx({epoch: row["loss"] for epoch, row in enumerate(rows)})
    validation = scalars(run.logs / "validation")["epoch_loss"]
    assert validation == pytest.approx({epoch: row["val_loss"] for epoch, row in enumerate(rows)})
    assert len(scalars(run.logs)["validation/accuracy"]) == 1
