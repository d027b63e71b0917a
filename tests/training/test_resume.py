"""What is gone on with: the same run or none, unless that is forced, which is recorded; and one process at a time."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import tiny_rows, write_csv
from tests.training.conftest import change, refusal
from tests.training.victims import KILLED
from tf_finetune.config import (
    resolve_config,
)
from tf_finetune.errors import RunError
from tf_finetune.files import read_json
from tf_finetune.run import ModelFolder
from tf_finetune.training import identity, machine
from tf_finetune.training.identity import describe_identity, differences
from tf_finetune.training.inputs import load_inputs
from tf_finetune.training.resume import check_identity, goes_on

HASHES = ("weights_sha256", "optimizer_sha256", "history_sha256", "updates", "best_epoch", "epochs")
END = (
    "Give what it was begun with, or --force to go on all the same, which is recorded; or begin another run with "
    "another --output."
)


def identity_of(config):
    """What the run of a configuration follows from."""
    inputs = load_inputs(config)
    return describe_identity(config, inputs.splits, inputs.checkpoint)


@pytest.fixture
def killed(short_run, tmp_path):
    """Folder and configuration of a run that was killed, to do anything with."""
    folder = ModelFolder(tmp_path / "killed run")
    shutil.copytree(short_run.killed, folder.path)
    return folder, change(short_run.config, run={"output": str(folder.path)})


def test_a_run_that_trains_is_left_alone(short_run):
    for answer in short_run.answers:
        words = (
            f"Another process is writing {short_run.finished.run}. Wait until it has ended, or give another --output."
        )
        assert answer == words
    assert short_run.finished.is_complete and read_json(short_run.finished.complete)["resumed_at"] == []


def test_a_finished_run_is_not_gone_on_with(short_run):
    words = f"{short_run.finished.path} holds a finished run: there is nothing to go on with."
    assert refusal(short_run.config) == words
    for force in (False, True):
        own = {"resume": str(short_run.finished.path), "output": None, "force": force}
        assert refusal(change(short_run.config, run=own)) == words


def test_where_no_run_is_there_is_nothing_to_go_on_with(short_run, tmp_path):
    for path in (tmp_path / "none", tmp_path):
        config = change(short_run.config, run={"resume": str(path), "output": None})
        words = f"--resume {path}: the folder holds no run. Give the folder that `fit` wrote."
        assert refusal(config) == words
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_a_checkpoint_is_begun_again_by_hand_or_by_auto(killed):
    folder, config = killed
    shutil.rmtree(folder.checkpoints)
    (folder.checkpoints / ".tmp-000000001-x").mkdir(parents=True)
    own = change(config, run={"resume": str(folder.path), "output": None})
    assert refusal(own) == (
        f"--resume {folder.path}: the folder holds an unfinished run without a checkpoint. To begin again: tf-finetune "
        f"fit --config '{folder.config}' --output '{folder.path}' --overwrite"
    )
    assert not goes_on(folder, config)
    shutil.rmtree(folder.path)
    assert not goes_on(folder, config)


def test_without_resume_an_unfinished_run_is_in_the_way(killed):
    folder, config = killed
    assert refusal(change(config, run={"resume": None})) == (
        f"{folder.path} holds an unfinished run, which is not overwritten. To go on: tf-finetune fit --resume "
        f"'{folder.path}'. Or give another --output, or --overwrite to replace it (its exports stay)."
    )
    assert goes_on(folder, config)
    assert goes_on(folder, change(config, run={"resume": str(folder.path), "output": None}))
    assert not goes_on(folder, change(config, run={"resume": None, "overwrite": True}))


@pytest.mark.slow
def test_checkpoints_that_are_all_damaged_are_listed_and_stay(killed):
    folder, config = killed
    for path in folder.checkpoints.glob("*/record.json"):
        path.write_text("{}")
    message = refusal(config)
    assert message.startswith(f"The run cannot be gone on with: of the checkpoints in {folder.checkpoints}, none is ")
    assert "record.json was changed" in message and message.endswith("Begin it again.")


def short_hash(path):
    return identity.file_sha256(path)[:12]


class TestAnotherRun:
    """What would not be the same run is refused, with both values of all that differs."""

    def lines(self, killed, **sections):
        folder, config = killed
        first, *lines, last = refusal(change(config, **sections)).splitlines()
        assert first == f"This would not be the same run as the one begun in {folder.path}:"
        assert last == END and all(line.startswith("  ") for line in lines)
        return [line.strip() for line in lines]

    @pytest.mark.parametrize(
        ("sections", "line"),
        [
            ({"fit": {"batch_size": 16}}, "fit.batch_size: 8, now 16"),
            ({"fit": {"gradient_accumulation": 2}}, "fit.gradient_accumulation: 1, now 2"),
            ({"fit": {"epochs": 3}}, "fit.epochs: 2, now 3"),
            ({"fit": {"learning_rate": 1e-5}}, "fit.learning_rate: 0.003, now 1e-05"),
            ({"fit": {"batching": "exact"}}, "fit.batching: plain, now exact"),
            ({"fit": {"class_weights": "balanced"}}, "fit.class_weights: None, now balanced"),
            ({"tokens": {"max_length": 12}}, "tokens.max_length: 16, now 12"),
            ({"model": {"freeze": "embeddings"}}, "model.freeze: None, now embeddings"),
            ({"model": {"encoder": "unpadded"}}, "model.encoder: model, now unpadded"),
        ],
        ids=str,
    )
    def test_options(self, killed, sections, line):
        assert self.lines(killed, **sections) == [line]

    def test_the_seed_which_the_split_follows_from(self, killed):
        seed, train, validation = self.lines(killed, fit={"seed": 2})
        assert seed == "fit.seed: 1, now 2"
        assert train.startswith("data.train: ") and validation.startswith("data.validation: ")

    @pytest.mark.parametrize("rows", [tiny_rows()[::-1], [*tiny_rows(), ("the film was odd .", "positive")]])
    def test_the_data_and_its_order(self, killed, tmp_path, rows):
        folder, config = killed
        data = write_csv(tmp_path / "reviews.csv", rows)
        found = self.lines(killed, data={"data": (str(data),)})
        before, now = (
            load_inputs(change(config, data={"data": (path,)})).splits for path in (*config.data.data, str(data))
        )
        assert f"data.train: {before.train.fingerprint[:12]}, now {now.train.fingerprint[:12]}" in found
        assert {line.split(":")[0] for line in found} <= {"data.train", "data.validation"}

    def test_the_names_of_the_classes(self, killed, tmp_path):
        rows = [(text, {"positive": "pos"}.get(label, label)) for text, label in tiny_rows()]
        found = self.lines(killed, data={"data": (str(write_csv(tmp_path / "reviews.csv", rows)),)})
        assert found[0] == "data.labels: ['negative', 'positive'], now ['negative', 'pos']"

    @pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
    def test_the_pretrained_model(self, killed, tmp_path, name):
        before = Path(killed[1].model.model)
        now = shutil.copytree(before, tmp_path / "other")
        content = bytearray((now / name).read_bytes())
        content[-1:] = b"\0" if name == "model.safetensors" else b"\n" + content[-1:]
        (now / name).write_bytes(content)
        line = f"pretrained.{name}: {short_hash(before / name)}, now {short_hash(now / name)}"
        assert self.lines(killed, model={"model": str(now)}) == [line]

    def test_the_versions(self, killed, monkeypatch):
        before = dict(read_json(killed[0].environment)["identity"]["versions"])
        assert set(before) > {"python", "tensorflow", "tf_keras", "transformers", "tf_finetune"}
        now = {**before, "tensorflow": "2.99.0", "numpy": None}
        monkeypatch.setattr(machine, "_version", now.get)
        assert self.lines(killed) == [
            f"versions.tensorflow: {before['tensorflow']}, now 2.99.0",
            f"versions.numpy: {before['numpy']}, now None",
        ]

    def test_all_of_it_at_once(self, killed, monkeypatch):
        monkeypatch.setattr(machine.platform, "python_version", lambda: "3.99.0")
        found = self.lines(killed, fit={"batch_size": 4, "power": 2.0}, tokens={"truncate": "tail"})
        python = read_json(killed[0].environment)["identity"]["versions"]["python"]
        assert found == [
            "tokens.truncate: head+tail, now tail",
            "fit.batch_size: 8, now 4",
            "fit.power: 1.0, now 2.0",
            f"versions.python: {python}, now 3.99.0",
        ]

    def test_a_run_whose_record_of_this_is_gone_or_strange(self, killed):
        folder, _ = killed
        values = read_json(folder.environment)
        for strange in (None, [], "x", {"fit": [1]}):
            folder.environment.write_text(json.dumps({**values, "identity": strange}))
            assert "fit.seed: None, now 1" in self.lines(killed)
        values["identity"]["versions"]["numpy"] = "1\x1b[2J\n" + "x" * 900
        folder.environment.write_text(json.dumps(values))
        (line,) = self.lines(killed)
        assert line.startswith("versions.numpy: 1\\x1b[2J\\nxxx") and len(line) < 120
        folder.environment.unlink()
        assert refusal(killed[1]).startswith(f"Cannot read {folder.environment}: ")


def test_the_same_run_is_the_same_wherever_its_files_are(short_run, tmp_path):
    config = short_run.config
    recorded = read_json(short_run.finished.environment)["identity"]
    assert differences(recorded, identity_of(config)) == []
    data = shutil.copy(config.data.data[0], tmp_path / "moved.csv")
    model = shutil.copytree(config.model.model, tmp_path / "moved")
    moved = change(
        config,
        data={"data": (str(data),)},
        model={"model": str(model)},
        tokens={"cache_dir": str(tmp_path)},
        fit={"tracker": ("tensorboard",)},
        export={"export": True},
        run={"output": "x", "save_every": "1steps", "max_hours": 1.0},
    )
    assert differences(recorded, identity_of(moved)) == []


def test_another_machine_is_said_and_not_refused(killed, monkeypatch, caplog):
    folder, config = killed
    found = read_json(folder.environment)["identity"]["machine"]
    monkeypatch.setattr(identity, "processor", lambda: "Abacus 3")
    monkeypatch.setattr(identity, "usable_cores", lambda: list(range(99)))
    now = identity_of(config)
    lines = (
        f"machine.processor: {found['processor']}, now Abacus 3",
        f"machine.cores: {found['cores']}, now 99",
    )
    for force in (False, True):
        caplog.clear()
        assert check_identity(folder, now, force=force) == lines
        messages = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert messages == [f"not the same run to the last bit: {line}" for line in lines]
    now["fit"]["seed"] = 2
    with pytest.raises(RunError) as caught:
        check_identity(folder, now, force=False)
    assert "fit.seed: 1, now 2" in str(caught.value) and "Abacus" not in str(caught.value)


@pytest.mark.parametrize("recorded", [True, False], ids=["with the number", "before it was recorded"])
def test_another_number_of_workers_is_said_and_not_refused(killed, monkeypatch, recorded):
    folder, config = killed
    values = read_json(folder.environment)
    if not recorded:
        del values["identity"]["machine"]["workers"]
        folder.environment.write_text(json.dumps(values))

    def told(workers):
        addresses = [f"host{i}:2222" for i in range(workers)]
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": addresses}}))
        return check_identity(folder, identity_of(config), force=False)

    assert told(1) == ()
    assert told(2) == ("machine.workers: None, now 2",)
    values["identity"]["machine"]["workers"] = 2
    folder.environment.write_text(json.dumps(values))
    assert told(2) == ()
    assert told(3) == ("machine.workers: 2, now 3",)
    monkeypatch.delenv("TF_CONFIG")
    assert told(1) == ("machine.workers: 2, now None",)


def test_when_to_save_and_to_stop_and_where_to_cache_may_differ(session_victims, short_run, killed, tmp_path):
    folder, _ = killed
    flags = {"resume": str(folder.path), "save_every": "1h", "max_hours": 9.5, "cache_dir": str(tmp_path / "cache")}
    own = resolve_config(file=folder.config, flags=flags)  # as the command line does
    error = tmp_path / "losses.error"
    assert session_victims.run(own, losses=tmp_path / "losses") == 0, error.exists() and error.read_text()
    found, expected = read_json(folder.complete), read_json(short_run.finished.complete)
    assert {name: found[name] for name in HASHES} == {name: expected[name] for name in HASHES}
    assert (found["resumed_at"], found["forced"]) == ([2], [])
    assert folder.config.read_bytes() == (short_run.killed / "run" / "config.yaml").read_bytes()


def test_what_is_forced_goes_on_and_stays_recorded_whatever_comes(session_victims, killed, tmp_path):
    folder, config = killed
    forced = change(config, fit={"batch_size": 16}, run={"force": True, "save_every": "1h"})
    error = tmp_path / "losses.error"
    code = session_victims.run(forced, losses=tmp_path / "losses", kill=("update", 2))
    assert code == KILLED, error.exists() and error.read_text()
    assert resolve_config(file=folder.config).fit.batch_size == 16
    assert "force: false" in folder.config.read_text() and "resume: null" in folder.config.read_text()
    assert read_json(folder.environment)["identity"]["fit"]["batch_size"] == 16
    assert "fit.batch_size: 16, now 8" in refusal(config)
    same = change(forced, run={"force": False})
    assert session_victims.run(same, losses=tmp_path / "losses") == 0, error.exists() and error.read_text()
    complete = read_json(folder.complete)
    assert complete["forced"] == ["fit.batch_size: 8, now 16"]
    assert complete["resumed_at"] == [0, 0]  # the first epoch was begun again, with epochs of 5 updates
    assert (complete["updates"], complete["epochs"]) == (10, 2)
