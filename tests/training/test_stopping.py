"""Signals and the time limit: a run stops where nothing is lost, says how to go on, and ends as if it never had."""

import gc
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.training.conftest import change
from tf_finetune.files import file_sha256
from tf_finetune.run import ModelFolder
from tf_finetune.training import stopping
from tf_finetune.training.stopping import INTERRUPTED, TEMPORARY_FAILURE, StopRequest, Terminated

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

ROOT = Path(__file__).parents[2]
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TestRequest:
    """`StopRequest` in this process, without training."""

    @pytest.mark.parametrize(
        ("number", "reason", "code"),
        [(signal.SIGTERM, "SIGTERM", TEMPORARY_FAILURE), (signal.SIGINT, "Ctrl-C", INTERRUPTED)],
    )
    def test_a_signal_waits_until_the_body_looks(self, number, reason, code):
        stop = StopRequest()
        with stop.listening(), stop.waiting():
            assert (stop.is_due, stop.reason) == (False, "")
            signal.raise_signal(number)
            assert (stop.is_due, stop.reason, stop.exit_code) == (True, reason, code)
        assert stop.is_due

    @pytest.mark.parametrize(("number", "kind"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
    @pytest.mark.parametrize("place", ["before", "after"])
    def test_where_nothing_has_to_be_saved_it_is_raised(self, number, kind, place):
        stop = StopRequest()
        with pytest.raises(KeyboardInterrupt) as caught, stop.listening():
            if place == "after":
                with stop.waiting():
                    pass
            signal.raise_signal(number)
        assert type(caught.value) is kind
        assert getattr(caught.value, "exit_code", INTERRUPTED) == stop.exit_code

    @pytest.mark.parametrize("fails", [False, True])
    def test_handlers_and_wakeup_are_given_back_and_no_thread_or_file_stays(self, fails):
        def mine(number, frame):
            raise AssertionError

        for thread in threading.enumerate():
            if "_leave" in thread.name:  # of the test before
                thread.join(10)
        gc.collect()  # other tests' files
        threads, descriptors = threading.enumerate(), len(os.listdir("/dev/fd"))
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        found = [signal.signal(number, mine) for number in SIGNALS]
        wakeup = signal.set_wakeup_fd(writer)
        try:
            for _ in range(3):
                try:
                    with StopRequest().listening():
                        assert not any(signal.getsignal(number) is mine for number in SIGNALS)
                        (listener,) = set(threading.enumerate()) - set(threads)
                        assert listener.daemon
                        if fails:
                            raise KeyError
                except KeyError:
                    assert fails
                listener.join(10)
                assert [signal.getsignal(number) for number in SIGNALS] == [mine, mine]
                assert signal.set_wakeup_fd(writer) == writer
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in zip(SIGNALS, found):
                signal.signal(number, handler)
            os.close(reader)
            os.close(writer)
        assert not set(threading.enumerate()) - set(threads)
        assert len(os.listdir("/dev/fd")) <= descriptors

    @pytest.mark.parametrize("number", SIGNALS)
    def test_what_is_ignored_stays_ignored(self, number):
        before = signal.signal(number, signal.SIG_IGN)
        try:
            stop = StopRequest()
            with stop.listening():
                for _ in range(3):
                    signal.raise_signal(number)
                with stop.waiting():
                    signal.raise_signal(number)
                assert signal.getsignal(number) is signal.SIG_IGN and not stop.is_due
                (other,) = set(SIGNALS) - {number}
                assert signal.getsignal(other) is not signal.SIG_IGN
                with pytest.raises(KeyboardInterrupt):
                    signal.raise_signal(other)
            assert signal.getsignal(number) is signal.SIG_IGN
        finally:
            signal.signal(number, before)

    def test_in_another_thread_nothing_is_installed(self):
        found = []

        def body():
            threads, stop = set(threading.enumerate()), StopRequest()
            with stop.listening(), stop.waiting():
                found.extend(signal.getsignal(number) for number in SIGNALS)
                found.append(set(threading.enumerate()) - threads)

        before = [signal.getsignal(number) for number in SIGNALS]
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        assert found == [*before, set()]

    def test_hours_count_from_the_beginning(self, monkeypatch):
        now = [1000.0]
        monkeypatch.setattr(stopping.time, "monotonic", lambda: now[0])
        stop, never = StopRequest(max_hours=1.5), StopRequest()
        for seconds, due in ((0, False), (5399, False), (5400, True), (5401, True), (0, True)):
            now[0] = 1000.0 + seconds
            assert (stop.is_due, never.is_due) == (due, False), seconds
        assert (stop.reason, stop.exit_code) == ("--max-hours 1.5 are over", TEMPORARY_FAILURE)

    def test_who_asked_first_is_the_reason(self):
        stop = StopRequest(max_hours=1e-9)
        with stop.listening(), stop.waiting():
            signal.raise_signal(signal.SIGINT)
            assert (stop.is_due, stop.reason, stop.exit_code) == (True, "Ctrl-C", INTERRUPTED)


LISTENER = """
import hashlib, sys, time
from tf_finetune.training.stopping import StopRequest
stop = StopRequest()
with stop.listening(), stop.waiting():
    print("ready", flush=True)
    while sys.argv[1] == "looks" and not stop.reason:
        time.sleep(0.001)
    print(stop.reason, flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", (1 << 31) - 1)  # half an hour inside of C
print("ended", "tensorflow" in sys.modules)
"""


@pytest.fixture
def listen():
    """Starts a process that listens, and then is inside of C for long."""
    started = []

    def start(*words, stderr=subprocess.PIPE):
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, "-c", LISTENER, *words], stdout=pipe, stderr=stderr, text=True, cwd=ROOT
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal_leaves_at_once_also_from_inside_of_c(listen, first, second):
    process = listen("looks")
    process.send_signal(first)
    assert process.stdout.readline() in ("Ctrl-C\n", "SIGTERM\n")
    process.send_signal(second)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (128 + second, "", "\nleft at once, nothing was saved\n")


def test_two_signals_that_both_come_inside_of_c_are_seen(listen):
    process = listen("does not look")
    assert process.stdout.readline() == "\n"
    for number in SIGNALS:
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode in [128 + number for number in SIGNALS]
    assert (out, err) == ("", "\nleft at once, nothing was saved\n")


def test_a_second_signal_leaves_where_nobody_reads_the_messages(listen):
    process = listen("looks")
    process.stderr.close()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "Ctrl-C\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130


def hashes(complete):
    names = ("weights_sha256", "optimizer_sha256", "history_sha256", "updates", "best_epoch", "epochs")
    return [json.loads(complete.read_text())[name] for name in names]


@pytest.mark.slow
def test_a_run_that_was_stopped_everywhere_ends_as_one_that_was_not(session_victims, short_run, tmp_path):
    whole, stopped, losses = short_run.finished, ModelFolder(tmp_path / "stopped"), tmp_path / "losses"
    config = change(short_run.config, run={"output": str(stopped.path), "save_every": "auto"})

    def stop(code, words, kill=None, **run):
        """Goes on until the run is stopped; returns the other lines of the message."""
        assert session_victims.run(change(config, run=run), losses=losses, kill=kill) == code
        first, *rest = Path(f"{losses}.stopped").read_text().splitlines()
        assert first == words
        assert f"To go on: tf-finetune fit --resume {stopped.path}" in rest
        rest.remove(f"To go on: tf-finetune fit --resume {stopped.path}")
        assert stopped.can_go_on and not list(stopped.run.rglob(".*"))  # nor anything half-written
        return rest

    terminated, interrupted = int(signal.SIGTERM), int(signal.SIGINT)
    assert stop(75, "SIGTERM after update 4 of 18.", kill=("update", 4, terminated)) == []
    assert stop(75, "SIGTERM after update 9 of 18.", kill=("validation", 2, terminated)) == []
    assert stop(75, "--max-hours 1e-09 are over after update 9 of 18.", max_hours=1e-9) == []  # still to be validated
    weights, another = stop(130, "Ctrl-C after update 12 of 18.", kill=("update", 3, interrupted))
    assert weights == f"The weights of epoch 1 are in {stopped.model}; they load with from_pretrained."
    assert another.startswith("To train on from these weights in a new run: tf-finetune fit --config ")
    assert session_victims.run(config, losses=losses) == 0
    assert hashes(stopped.complete) == hashes(whole.complete)
    assert stopped.history.read_bytes() == whole.history.read_bytes()
    assert json.loads(stopped.metrics.read_text()) == json.loads(whole.metrics.read_text())
    assert json.loads(stopped.complete.read_text())["resumed_at"] == [4, 9, 12]  # at 9 twice, and nothing came of one
    assert not stopped.checkpoints.exists()
    assert losses.read_text() == short_run.losses.read_text()  # no update was lost, and none done again


def test_ctrl_c_in_the_validation_that_a_run_goes_on_with(session_victims, short_run, tmp_path):
    """All updates are done, and the last epoch is validated by another process than has trained it."""
    stopped, losses = ModelFolder(tmp_path / "stopped"), tmp_path / "losses"
    shutil.copytree(short_run.killed, stopped.path)
    config = change(short_run.config, run={"output": str(stopped.path)})
    fifth = ("validation", 5, int(signal.SIGTERM))  # the second of the second epoch
    assert session_victims.run(config, losses=losses, kill=fifth) == TEMPORARY_FAILURE
    assert not stopped.model.exists()
    assert session_victims.run(config, losses=losses, kill=("validation", 1, int(signal.SIGINT))) == INTERRUPTED
    first, weights, *_ = Path(f"{losses}.stopped").read_text().splitlines()
    assert first == "Ctrl-C after update 18 of 18."
    assert weights == f"The weights of epoch 1 are in {stopped.model}; they load with from_pretrained."
    complete = json.loads(short_run.finished.complete.read_text())
    assert complete["best_epoch"] == 1  # so that its weights are those to be expected here
    assert file_sha256(stopped.model / "model.safetensors") == complete["weights_sha256"]
    assert stopped.can_go_on and not stopped.is_complete


@pytest.mark.slow
def test_the_command_line_says_how_to_go_on_and_does_so(short_config, tmp_path):
    from tf_finetune.config import write_config

    file, folder = tmp_path / "run.yaml", ModelFolder(tmp_path / "by hand")
    file.write_text(write_config(change(short_config, run={"output": str(folder.path), "save_every": "1steps"})))
    command = [sys.executable, "-m", "tf_finetune"]
    environment = {**os.environ, "TF_FINETUNE_VERBOSE": "0"}
    with subprocess.Popen(
        [*command, "fit", "--config", str(file)], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        while not folder.can_go_on and process.poll() is None:
            time.sleep(0.01)
        process.terminate()
        _, err = process.communicate(timeout=300)
    assert process.returncode == 75, err
    assert "\ninterrupted: SIGTERM after update " in err
    (line,) = (line for line in err.splitlines() if line.startswith("To go on: "))
    program, *words = shlex.split(line.removeprefix("To go on: "))
    assert (program, words) == ("tf-finetune", ["fit", "--resume", str(folder.path)])
    done = subprocess.run([*command, *words], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert folder.is_complete and "going on after update " in done.stderr
