"""Who may write a run: one process at a time, where a folder can be made, and never over a finished run unasked."""

import os
import subprocess
import sys

import pytest

from tf_finetune.errors import RunError, TrainingStopped
from tf_finetune.run import ModelFolder
from tf_finetune.training.occupy import occupy, refuse_occupied


@pytest.fixture
def folder(tmp_path):
    return ModelFolder(tmp_path / "models" / "x")


def finish(folder, words):
    with occupy(folder, overwrite=True):
        (folder.run / "words").write_text(words)
        folder.complete.write_text("{}")


def test_a_failed_run_leaves_nothing(folder):
    with pytest.raises(KeyError), occupy(folder, overwrite=False):
        (folder.run / "file").write_text("x")
        raise KeyError
    assert not folder.path.exists()


def test_a_failed_run_gives_way_to_the_former_one(folder):
    finish(folder, "former")
    with pytest.raises(KeyError), occupy(folder, overwrite=True):
        raise KeyError
    assert (folder.run / "words").read_text() == "former"
    assert os.listdir(folder.path) == ["run"]


def test_a_stopped_run_stays_beside_the_former_one_until_a_new_one_is_finished(folder):
    finish(folder, "former")
    with pytest.raises(TrainingStopped), occupy(folder, overwrite=True):
        raise TrainingStopped
    assert (folder.before / "words").read_text() == "former"
    assert folder.run.is_dir() and not folder.is_complete
    finish(folder, "new")
    assert (folder.run / "words").read_text() == "new"
    assert os.listdir(folder.path) == ["run"]


def test_runs_are_not_replaced_unasked(folder):
    with pytest.raises(TrainingStopped), occupy(folder, overwrite=False):
        raise TrainingStopped
    with pytest.raises(RunError, match=r"holds an unfinished run.*--overwrite"):
        refuse_occupied(folder, overwrite=False)
    finish(folder, "x")
    with pytest.raises(RunError, match=r"holds a finished run.*--overwrite"):
        refuse_occupied(folder, overwrite=False)


@pytest.mark.skipif(sys.platform == "win32", reason="no locks on folders")
def test_a_run_that_another_process_writes_is_not_even_replaced_when_asked(folder):
    code = (
        "import sys; from pathlib import Path; from tf_finetune.run import ModelFolder; "
        "from tf_finetune.training.occupy import occupy\n"
        "with occupy(ModelFolder(Path(sys.argv[1])), overwrite=False):\n"
        "    (ModelFolder(Path(sys.argv[1])).run / 'words').write_text('x')\n"
        "    print('writing', flush=True); sys.stdin.readline()\n"
    )
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", code, str(folder.path)]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout.readline() == "writing\n"
        for overwrite in (False, True):
            with pytest.raises(RunError, match=r"Another process is writing .*run\. Wait until it has ended"):
                refuse_occupied(folder, overwrite=overwrite)
            with pytest.raises(RunError, match="Another process"), occupy(folder, overwrite=overwrite):
                pass
        assert (folder.run / "words").read_text() == "x"
        other.kill()
    finish(folder, "new")  # a killed process holds no lock
    assert (folder.run / "words").read_text() == "new"


def test_a_folder_that_cannot_be_made_is_refused_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file is a file; --output takes a folder"):
        refuse_occupied(ModelFolder(tmp_path / "file"), overwrite=False)
    with pytest.raises(RunError, match=r"Cannot make .*below/x: .*file is a file. Give another --output"):
        refuse_occupied(ModelFolder(tmp_path / "file" / "below" / "x"), overwrite=False)
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(tmp_path))
    with pytest.raises(RunError, match=r"the folder .* is not writable. Give another --output"):
        refuse_occupied(ModelFolder(tmp_path / "a" / "b"), overwrite=False)
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_made_after_all_is_an_error_of_ours(folder, monkeypatch):
    def fail(self, **_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(folder.run), "mkdir", fail)
    with pytest.raises(RunError, match=r"Cannot make .*run: No space left on device"), occupy(folder, overwrite=False):
        pass
