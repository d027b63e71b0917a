"""Workers on one machine: real processes that train one model, one of which is killed."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import tiny_rows
from tf_finetune.errors import RunError
from tf_finetune.run import ModelFolder
from tf_finetune.training.launch import launch
from tf_finetune.training.machine import usable_cores

two_cores = pytest.mark.skipif(len(usable_cores()) < 2, reason="a worker needs a core")


@two_cores
def test_the_code_of_a_worker_that_fails_is_that_of_all():
    talk = io.StringIO()
    assert launch(["fit", "--epochs", "none"], workers=2, talk=talk) == 2
    lines = talk.getvalue().splitlines()
    assert lines and all(
        line.startswith(("[worker 0] error: --epochs", "[worker 1] error: --epochs")) for line in lines
    )


def test_more_workers_than_cores_are_refused(monkeypatch):
    monkeypatch.setattr("tf_finetune.training.launch.usable_cores", lambda: [3])
    with pytest.raises(RunError, match=r"--workers 2: each needs a processor core, and there are 1\."):
        launch(["fit"], workers=2)


@pytest.fixture
def words(tiny_checkpoint, reviews_csv, tmp_path):
    """A `fit` command line; 72 training rows make 15 updates an epoch, the last one of 2 rows."""
    return [
        *("fit", "--data", str(reviews_csv), "--model", str(tiny_checkpoint), "--output", str(tmp_path / "m")),
        *("--max-length", "16", "--learning-rate", "3e-3", "--validation-split", "0.25", "--batch-size", "5"),
        *("--epochs", "4", "--no-export", "--class-weights", "negative=2,positive=0.5"),
    ]


def history(folder):
    with open(ModelFolder(folder).history, newline="") as file:
        return [[float(value) for value in row.values()] for row in csv.DictReader(file)]


@two_cores
@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["unpadded", "model"])
def test_two_workers_train_as_one_process(words, tmp_path, encoder):
    from safetensors.numpy import load_file

    more = ["--encoder", encoder, "--learning-rate", "1e-4", "--tracker", "tensorboard"]
    assert launch([*words, *more], workers=2) == 0
    one = [*words, *more, "--output", str(tmp_path / "one")]
    subprocess.run([sys.executable, "-m", "tf_finetune", *one], check=True, capture_output=True)
    assert {path.name for path in (tmp_path / "m" / "run").iterdir()} == {
        path.name for path in (tmp_path / "one" / "run").iterdir()
    }
    scores = [json.loads(ModelFolder(tmp_path / name).metrics.read_text())["validation"] for name in ("m", "one")]
    assert scores[0]["accuracy"] == scores[1]["accuracy"]
    assert scores[0]["log_loss"] == pytest.approx(scores[1]["log_loss"], abs=1e-4)
    for two, single in zip(history(tmp_path / "m"), history(tmp_path / "one"), strict=True):
        assert two == pytest.approx(single, abs=1e-4)
    weights = [load_file(ModelFolder(tmp_path / name).model / "model.safetensors") for name in ("m", "one")]
    assert all(abs(value - weights[1][name]).max() < 1e-3 for name, value in weights[0].items())


@two_cores
@pytest.mark.slow
def test_two_workers_train_on_tfds_data(tiny_checkpoint, tmp_path):
    """tfds lets TensorFlow compute, which it must not have done when the workers come together."""
    from tf_finetune.backend import load_tfds

    tfds = load_tfds()

    class TinyReviews(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            columns = {"text": tfds.features.Text(), "label": tfds.features.Text()}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(columns))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            return ((i, {"text": text, "label": label}) for i, (text, label) in enumerate(tiny_rows(40)))

    TinyReviews(data_dir=tmp_path / "prepared").download_and_prepare()
    words = [
        *("fit", "--data", "tfds:tiny_reviews", "--data-dir", str(tmp_path / "prepared"), "--no-export"),
        *("--model", str(tiny_checkpoint), "--output", str(tmp_path / "m"), "--max-length", "16", "--epochs", "1"),
        *("--validation-split", "0.25", "--batch-size", "10"),
    ]
    talk = io.StringIO()
    assert launch(words, workers=2, talk=talk) == 0, talk.getvalue()
    assert json.loads(ModelFolder(tmp_path / "m").complete.read_text())["updates"] == 3


def workers_of(launcher):
    """Process numbers of the workers, the chief first."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    return sorted(map(int, children))


def wait_for(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


@two_cores
@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_killed_worker_ends_all_and_the_run_goes_on(words, tmp_path):
    more = ["--epochs", "60", "--save-every", "10steps", "--resume", "auto"]
    command = [sys.executable, "-m", "tf_finetune", "launch", "--workers", "2", "--", *words, *more]
    checkpoints = ModelFolder(tmp_path / "m").checkpoints
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as launcher:
        wait_for(lambda: checkpoints.is_dir() and any(checkpoints.glob("*3")))
        os.kill(workers_of(launcher)[1], signal.SIGKILL)
        began = time.monotonic()
        said = launcher.stderr.read()
        assert launcher.wait() == 75
    assert time.monotonic() - began < 60
    assert "worker 1 was ended by SIGKILL; 1 others stop" in said
    assert "Another worker is gone" in said and "fit --resume" in said
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as launcher:
        wait_for(lambda: any(int(path.name) > 9 for path in checkpoints.glob("[0-9]*")))
        launcher.send_signal(signal.SIGTERM)
        said = launcher.stderr.read()
        assert launcher.wait() == 75
    assert "going on after update" in said and "SIGTERM after update" in said
    assert not list(checkpoints.glob(".tmp*"))
    assert launch([*words, *more], workers=2) == 0
    complete = json.loads(ModelFolder(tmp_path / "m").complete.read_text())
    assert complete["updates"] == 60 * 15 and len(complete["resumed_at"]) == 2
