"""The command, in environments that are broken, and in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tf_finetune.doctor.child import ask
from tf_finetune.doctor.finding import Finding
from tf_finetune.doctor.installation import Installation
from tf_finetune.doctor.trial import run_trial

ROOT = Path(__file__).parents[2]


def run(*words: str, path: tuple[str, ...] = (), bare: bool = False, **environment: str):
    """Runs the command; `bare` without this Python's own packages, but for click."""
    command = [sys.executable, *(["-S"] if bare else []), "-m", "tf_finetune", "doctor", *words]
    values = {**os.environ, **environment, "PYTHONPATH": os.pathsep.join([*path, str(ROOT)]), "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, env=values, cwd=ROOT)


def link_click(folder: Path) -> None:
    import click

    (folder / "click").symlink_to(Path(click.__file__).parent)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Finding]:
    return {one["name"]: Finding(**one) for one in json.loads(done.stdout)["findings"]}


def test_it_runs_where_nothing_is_installed_but_click(tmp_path):
    link_click(tmp_path)
    done = run(path=(str(tmp_path),), bare=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    for name, wanted in {"tensorflow": "'tensorflow>=2.21,<2.22'", "tf-keras": "'tf-keras>=2.21,<2.22'"}.items():
        place = next(number for number, words in enumerate(lines) if words[:2] == ["fail", name])
        assert lines[place + 1] == [sys.executable, "-m", "pip", "install", wanted]
    assert lines[-2][:2] == ["warn", "trial"]
    assert "failed" in done.stderr


def test_json_and_exit_code_of_a_tensorflow_that_this_processor_cannot_run(site):
    site.remove("click")
    link_click(site.folder)
    site.write("tensorflow/__init__.py", "import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    done = run("--quick", "--json", path=(str(site.folder),), bare=True)
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False
    found = told(done)
    assert found["tensorflow"].status == "fail"
    assert "signal SIGILL" in found["tensorflow"].message
    assert found["tensorboard"].status == found["python"].status == "ok"
    assert "trial" not in found


def test_a_trial_that_fails_says_where(tmp_path):
    (tmp_path / "tokenizers").mkdir()
    (tmp_path / "tokenizers/__init__.py").write_text("raise ImportError('GLIBC_2.38 not found')", encoding="utf-8")
    here = Installation()
    found = run_trial(Installation((str(tmp_path), *here.path), here.environment))
    assert found.status == "fail"
    assert "It failed at training a model of two layers: ImportError: GLIBC_2.38 not found." in found.message
    assert "--force-reinstall" in found.fix


def ends_within(seconds, pid):
    """Whether a process that was killed is gone, or waits for its parent; the system takes a moment."""
    state = Path(f"/proc/{pid}/stat")
    for _ in range(10 * seconds):
        try:
            if state.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False


def test_a_process_that_takes_too_long_is_ended_with_all_that_it_started(site):
    site.write(
        "slow.py",
        "import subprocess, sys, time\n"
        "def answer(report):\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "    report(pid=child.pid)\n"
        "    time.sleep(60)\n",
    )
    reply = ask(site.installation(), "slow", timeout=1.5)
    assert "did not end within 1.5 seconds" in reply.fault
    assert ends_within(10, reply.facts["pid"])


@pytest.mark.slow
def test_this_environment_trains_exports_and_answers():
    done = run("--json", TF_FINETUNE_VERBOSE="1")
    found = told(done)
    assert done.returncode == 0, {name: one for name, one in found.items() if one.status == "fail"}
    assert "TensorFlow alone" in found["trial"].message
    assert found["requirements"].status == found["keras"].status == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("part", ["tensorboard", "sklearn"])
def test_half_a_package_before_the_real_one(tmp_path, part):
    (tmp_path / part).mkdir()
    (tmp_path / part / "__init__.py").touch()
    done = run("--quick", "--json", path=(str(tmp_path),))
    name = {"sklearn": "scikit-learn"}.get(part, part)
    assert done.returncode == 1
    assert told(done)[name].message.startswith("Half installed")
    assert name in told(done)[name].fix


@pytest.mark.slow
def test_the_trial_finds_what_transformers_4_55_broke(tmp_path):
    """Its loader iterates over the open file, which safetensors cannot do; the wording is that of 4.55.4."""
    here = Installation()
    code = (
        "import transformers.modeling_tf_pytorch_utils as loader\n"
        "def broken(*words, **options): raise TypeError(\"'builtins.safe_open' object is not iterable\")\n"
        "loader.load_pytorch_state_dict_in_tf2_model = broken\n"
        "from tf_finetune.doctor.trial import answer\n"
    )
    (tmp_path / "broken_trial.py").write_text(code, encoding="utf-8")
    (tmp_path / "run").mkdir()
    reply = ask(Installation((str(tmp_path), *here.path)), "broken_trial", str(tmp_path / "run"), timeout=600)
    assert reply.facts == {"step": "fit"}
    assert "object is not iterable" in reply.fault
