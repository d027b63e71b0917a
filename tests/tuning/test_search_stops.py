"""A search that is asked to stop, by a signal or by the clock, and two searches in one folder."""

import signal

import pytest

from tests.tuning.search_process import begun, folder_of, search, trials_of, wait_for
from tf_finetune.errors import RunError, TrainingStopped
from tf_finetune.training.stopping import INTERRUPTED, TEMPORARY_FAILURE

TRIALS = 4


@pytest.mark.parametrize(
    ("number", "code", "who"),
    [(signal.SIGTERM, TEMPORARY_FAILURE, "SIGTERM"), (signal.SIGINT, INTERRUPTED, "Ctrl-C")],
)
def test_a_signal_in_a_trial(make_config, searches, whole, number, code, who):
    config = make_config()
    orders = {"kills": [{"trial": 2, "epoch": 3, "signal": number}]}
    assert searches.run(config, max_trials=TRIALS, orders=orders) == code
    said = (folder_of(config).model.path / "said").read_text()
    assert f"{who}: the trials so far are saved.\nTo go on: tf-finetune tune --resume {config.run.output}" in said
    search(config, max_trials=TRIALS)
    assert trials_of(config) == whole("random", max_trials=TRIALS)
    assert begun(config, "0002") == ["0", "3"]


def test_the_time_is_over(make_config, whole):
    config = make_config(run={"max_hours": 0.5 / 3600})
    with pytest.raises(TrainingStopped, match="--max-hours .* are over: the trials so far") as stopped:
        search(config, max_trials=TRIALS, orders={"seconds": 30})
    assert stopped.value.exit_code == TEMPORARY_FAILURE
    again = make_config(run={"output": config.run.output})
    search(again, max_trials=TRIALS)
    assert trials_of(config) == whole("random", max_trials=TRIALS)


def test_two_searches_in_one_folder(make_config, searches, monkeypatch, whole):
    config = make_config()
    held = folder_of(config).path / "held"
    searches.start(config, max_trials=TRIALS, orders={"holds": [{"trial": 1, "epoch": 1}]})
    wait_for(held)
    monkeypatch.setattr("tf_finetune.tuning.folder.LOCK_SECONDS", 0.2)
    with pytest.raises(RunError, match="Another process searches in .* Wait until it has ended"):
        search(config, max_trials=TRIALS)
    held.unlink()
    assert searches.wait() == 0
    assert trials_of(config) == whole("random", max_trials=TRIALS)
