"""A worker that shows no life any more loses its trial to another."""

import os
import threading
import time

from tf_finetune.run import ModelFolder
from tf_finetune.tuning import signs_of_life
from tf_finetune.tuning.folder import TuneFolder


class Oracle:
    """Stands for an oracle with two workers."""

    def __init__(self):
        self.tuner_ids, self.released, self.done = {"dead", "alive"}, [], threading.Event()

    def release(self, worker):
        self.tuner_ids.discard(worker)
        self.released.append(worker)
        self.done.set()


def test_the_trial_of_a_worker_without_a_sign_of_life_is_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr(signs_of_life, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(signs_of_life, "LOST_SECONDS", 1.0)
    folder, oracle = TuneFolder(ModelFolder(tmp_path)), Oracle()
    folder.workers.mkdir(parents=True)
    (folder.workers / "dead").touch()
    os.utime(folder.workers / "dead", (time.time() + 9999, time.time() + 9999))  # clocks of machines differ
    with signs_of_life.beating(folder, "alive"), signs_of_life.guarding(folder, oracle):
        assert oracle.done.wait(30)
    assert oracle.released == ["dead"]
    assert not (folder.workers / "alive").exists()
