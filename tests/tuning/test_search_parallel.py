"""A chief and two workers, which are killed: nothing is lost, trained twice at a time, or waited for without end."""

import collections
import os
import signal
import time

import pytest

from tests.tuning.search_process import KILLED, begun, folder_of, search, trials_of, wait_for
from tf_finetune.errors import TuningError
from tf_finetune.training.stopping import TEMPORARY_FAILURE
from tf_finetune.tuning.ledger import TrialLedger
from tf_finetune.tuning.trial import COMPLETED, FAILED

TRIALS = {"random": 8, "bayesian": 6, "hyperband": 16, "grid": 7}
slow = pytest.mark.slow


def of_each(*quick):
    """All algorithms, some of which are not slow."""
    return pytest.mark.parametrize(
        "algorithm", [name if name in quick else pytest.param(name, marks=slow) for name in TRIALS]
    )


def check_all_done(config, algorithm):
    """All trials were completed, each was ended once, and by the one who had begun it last."""
    trials = trials_of(config)
    assert {trial.status for trial in trials} == {COMPLETED}
    assert [trial.id for trial in trials] == [f"{number:04}" for number in range(TRIALS[algorithm])]
    events = TrialLedger(folder_of(config).ledger).events()
    assert collections.Counter(event["trial"] for event in events if event["event"] == "end") == dict.fromkeys(
        (trial.id for trial in trials), 1
    )
    return events


@of_each("random")
def test_a_worker_and_the_chief_are_killed(make_config, algorithm):
    """The worker gets its trial back under its own name, the chief goes on from the ledger, and the other is spared."""
    config = make_config()
    orders = {
        "seconds": 0.05,
        "kills": [{"trial": 2, "epoch": 1}, {"trial": 4, "epoch": 1, "whom": "chief"}],
    }
    search(config, algorithm, workers=2, max_trials=TRIALS[algorithm], orders=orders)
    events = check_all_done(config, algorithm)
    assert len(begun(config, "0002")) == 2
    assert begun(config, "0002")[1] == "1"
    assert sum(len(begun(config, trial.id)) for trial in trials_of(config)) == TRIALS[algorithm] + 1
    begins = [event for event in events if event["event"] == "begin"]
    assert len(begins) == TRIALS[algorithm]  # none was handed over
    assert {event["worker"] for event in begins} == {"worker0", "worker1"}
    assert {path.name for path in folder_of(config).path.glob("killed-*")} == {"killed-0", "killed-1"}


def begin_and_wait(searches, config, algorithm, **options):
    """Begins a search of two workers in another process, waits until its fourth trial is held, and says which it is."""
    orders = {"seconds": 0.05, "holds": [{"trial": 3, "epoch": 1}]}
    searches.start(config, algorithm, workers=2, orders=orders, **options)
    wait_for(folder_of(config).path / "held")
    return int((folder_of(config).model.path / "pid").read_text())


@slow
@of_each()
def test_the_whole_search_is_killed(make_config, searches, algorithm):
    """Chief and workers end by themselves. One process goes on alone, and is killed, then two workers again."""
    config, most = make_config(), TRIALS[algorithm]
    os.kill(begin_and_wait(searches, config, algorithm, max_trials=most), signal.SIGKILL)
    assert searches.wait() == KILLED
    kills = [{"trial": 3, "epoch": 0}]
    assert searches.run(config, algorithm, max_trials=most, orders={"kills": kills}) == KILLED
    search(config, algorithm, max_trials=most, workers=2)
    check_all_done(config, algorithm)
    assert begun(config, "0003") == ["0", "1", "1"]


@slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, TEMPORARY_FAILURE), (signal.SIGKILL, KILLED)])
def test_a_worker_that_has_nothing_to_do_leaves_too(make_config, searches, number, code):
    """Hyperband's values are used up: the other worker waits for what it may promote. All end long before the grace."""
    config, options = make_config(), {"space": {"fit.batch_size": [8, 16, 24, 32]}}
    process = begin_and_wait(searches, config, "hyperband", **options)
    while sum(trial.status == COMPLETED for trial in trials_of(config)) < 3:
        time.sleep(0.1)
    time.sleep(1.0)  # the other worker asks in vain
    os.kill(process, number)
    assert searches.wait(60) == code
    search(config, "hyperband", **options)
    assert {trial.status for trial in trials_of(config)} == {COMPLETED}
    assert begun(config, "0003") == ["0", "1"]


@slow
def test_every_trial_of_two_workers_fails(make_config):
    with pytest.raises(TuningError, match="No trial was completed, [56] failed:\n  0000: The loss became nan"):
        search(make_config(), workers=2, max_trials=20, orders={"fails": "all"})


@slow
def test_a_mistake_ends_all_workers(make_config):
    with pytest.raises(TuningError, match="cannot be trained, nor could any other: Row 7 is wrong"):
        search(
            make_config(), workers=2, max_trials=20, orders={"fails": "all", "error": ["DataError", "Row 7 is wrong."]}
        )


@slow
@of_each()
def test_every_other_trial_of_two_workers_fails(make_config, algorithm):
    config = make_config()
    found = search(config, algorithm, workers=2, max_trials=TRIALS[algorithm], orders={"fails": "odd"})
    assert [trial.status for trial in found.trials[:4]] == [COMPLETED, FAILED] * 2
    assert "running" not in {trial.status for trial in found.trials}


@slow
@pytest.mark.parametrize("algorithm", ["random", "grid"])
def test_two_workers_prune(make_config, algorithm):
    config = make_config()
    space = {"fit.learning_rate": [1e-5, 4e-5, 6e-5, 1e-4, 3e-4, 1e-3], "fit.batch_size": [8, 32]}
    found = search(config, algorithm, space=space, workers=2, max_trials=12, prune="median", orders={"seconds": 0.05})
    assert {trial.status for trial in found.trials} == {COMPLETED}
    assert any(trial.pruned for trial in found.trials) and not found.trials[0].pruned
    assert not found.best.pruned
