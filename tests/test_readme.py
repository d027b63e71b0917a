"""README and code never disagree."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tf_finetune.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_options_is_what_the_script_prints():
    words = [sys.executable, str(ROOT / "scripts" / "option_table")]
    table = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    assert table in README


def test_every_command_is_mentioned():
    for command in COMMANDS:
        assert f"tf-finetune {command}" in README.replace("\n", " "), command


def test_every_script_is_mentioned():
    for path in sorted((ROOT / "scripts").iterdir()):
        if path.is_file() and path.name not in ("install", "lint"):
            assert f"scripts/{path.name}" in README, path.name


def test_the_keras_example_runs(tiny_checkpoint, reviews_csv, tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    assert len(code.strip().splitlines()) <= 24
    monkeypatch.chdir(tmp_path)
    os.symlink(reviews_csv, tmp_path / "reviews.csv")
    assert "sentence-transformers/all-MiniLM-L6-v2" in code and "max_length=128" in code
    code = code.replace("sentence-transformers/all-MiniLM-L6-v2", str(tiny_checkpoint)).replace("128", "16")
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert int(names["model"].optimizer.iterations) == names["epochs"] * names["steps"]
    assert (tmp_path / "my_model" / "tf_model.h5").is_file()


def test_the_custom_training_loop_learns(tiny_checkpoint, reviews_csv, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import custom_training_loop

    words = ["--data", str(reviews_csv), "--model", str(tiny_checkpoint), "--max-length", "16", "--epochs", "6"]
    scores = custom_training_loop.main([*words, "--learning-rate", "3e-3"])
    assert scores.accuracy >= 0.7
    assert "validation accuracy" in capsys.readouterr().out


@pytest.mark.parametrize("script", sorted(p.name for p in (ROOT / "scripts").iterdir() if p.suffix == ""))
def test_every_script_is_executable_and_says_what_it_does(script):
    path = ROOT / "scripts" / script
    if not path.is_file():
        pytest.skip("a folder")
    assert os.access(path, os.X_OK)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#!") and lines[1].strip("#\" '")
