"""Each algorithm, undisturbed and killed, with torn files, with trials that fail, and with the seed 0."""

import random

import pytest

from tests.tuning.search_process import ALGORITHMS, KILLED, begun, folder_of, search, trials_of
from tf_finetune.errors import TuningError
from tf_finetune.tuning.trial import COMPLETED, FAILED, RUNNING

BUDGET = {"random": 6, "bayesian": 6, "hyperband": None, "grid": None}
TRIALS = {"random": 6, "bayesian": 6, "hyperband": 16, "grid": 7}
LESS = {"random": 4, "bayesian": 4, "hyperband": 8, "grid": 4}
VICTIM = {"random": ("0003", 0, 2), "bayesian": ("0004", 0, 3), "hyperband": ("0007", 2, 3), "grid": ("0003", 0, 2)}
"""Which trial is killed, how many epochs it has when it begins, and how many then. Hyperband's was promoted twice."""

slow = pytest.mark.slow
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)
mostly_slow = pytest.mark.parametrize(
    "algorithm", ["random", "bayesian", *(pytest.param(name, marks=slow) for name in ("hyperband", "grid"))]
)


@every_algorithm
def test_undisturbed(make_config, algorithm, capfd):
    config = make_config()
    found = search(config, algorithm, max_trials=BUDGET[algorithm])
    trials, folder = found.trials, folder_of(config)
    assert [trial.id for trial in trials] == [f"{number:04}" for number in range(TRIALS[algorithm])]
    assert {trial.status for trial in trials} == {COMPLETED}
    assert found.best.score == max(trial.score for trial in trials)
    assert dict(trials[0].values) == {name: getattr(config.fit, name.removeprefix("fit.")) for name in trials[0].values}
    drawn = [tuple(trial.values.values()) for trial in trials if trial.parent is None]
    assert len(set(drawn)) == len(drawn)
    assert folder.best.is_file() and folder.table.is_file() and not list(folder.workers.iterdir())
    assert trials == search(config, algorithm, max_trials=BUDGET[algorithm]).trials  # there is nothing left to do
    assert all(len(begun(config, trial.id)) == 1 for trial in trials)
    assert capfd.readouterr().out == ""


@mostly_slow
def test_killed_in_a_trial(make_config, searches, whole, algorithm):
    """Before the first epoch of a trial, and in the middle of another."""
    config, (number, first, epoch) = make_config(), VICTIM[algorithm]
    kills = [{"trial": 2, "epoch": 0}, {"trial": int(number), "epoch": epoch}]
    for _ in kills:
        assert searches.run(config, algorithm, max_trials=BUDGET[algorithm], orders={"kills": kills}) == KILLED
    assert {trial.status for trial in trials_of(config)} == {COMPLETED, RUNNING}
    search(config, algorithm, max_trials=BUDGET[algorithm])
    assert trials_of(config) == whole(algorithm, max_trials=BUDGET[algorithm])
    assert begun(config, "0002") == ["0", "0"]
    assert begun(config, number) == [str(first), str(epoch)]
    assert sum(len(begun(config, trial.id)) for trial in trials_of(config)) == TRIALS[algorithm] + len(kills)


def tear_what_is_being_written(folder):
    files = [*folder.keras_tuner.rglob("oracle.json"), *folder.keras_tuner.rglob("trial.json")]
    assert {file.name for file in files} == {"oracle.json", "trial.json"}
    for file in files:
        file.write_text(file.read_text()[:40])
    with open(folder.ledger, "a") as file:
        file.write('{"event": "begin", "trial": "00')


def tear_off_the_last_end(folder):
    content = folder.ledger.read_bytes()
    assert b'"end"' in content.splitlines()[-1]
    folder.ledger.write_bytes(content[:-30])


@every_algorithm
@pytest.mark.parametrize("tear", [tear_what_is_being_written, tear_off_the_last_end])
def test_torn_files_and_a_larger_budget(make_config, whole, algorithm, tear):
    config = make_config()
    search(config, algorithm, max_trials=LESS[algorithm])
    assert len(trials_of(config)) == LESS[algorithm]
    tear(folder_of(config))
    search(config, algorithm, max_trials=BUDGET[algorithm])
    assert trials_of(config) == whole(algorithm, max_trials=BUDGET[algorithm])
    assert all(len(begun(config, trial.id)) == 1 for trial in trials_of(config))


@every_algorithm
def test_every_trial_fails(make_config, algorithm):
    """The search ends after five; one that is gone on with tries five more, and remembers the first ones."""
    config = make_config()
    with pytest.raises(TuningError, match="No trial was completed, 5 failed:\n  0000: The loss became nan") as caught:
        search(config, algorithm, orders={"fails": "all"}, max_trials=20)
    assert str(caught.value).count("The loss became nan") == 5
    failed = 7 if algorithm == "grid" else 10
    with pytest.raises(TuningError, match=f"{failed} failed"):
        search(config, algorithm, orders={"fails": "all"}, max_trials=20)
    left = {"grid": 0, "hyperband": 1}.get(algorithm, 3)  # the grid has 7 trials; without promotions, hyperband 11
    for most in (12, 13) if left else ():
        search(config, algorithm, max_trials=most)
    assert [trial.status for trial in trials_of(config)] == [FAILED] * failed + [COMPLETED] * left


@every_algorithm
def test_every_other_trial_fails(make_config, algorithm):
    config = make_config()
    found = search(config, algorithm, orders={"fails": "odd"}, max_trials=7)
    assert [trial.status for trial in found.trials] == [COMPLETED, FAILED] * 3 + [COMPLETED]
    assert {trial.reason for trial in found.trials[1::2]} == {"The loss became nan in the first epoch."}
    assert found.best.status == COMPLETED
    assert folder_of(config).table.read_text().count("The loss became nan") == 3


def test_after_five_failures_in_a_row_the_search_ends_with_what_it_has(make_config, caplog):
    config = make_config()
    found = search(config, orders={"fails": [2, 4, 5, 6, 7, 8]}, max_trials=12)
    assert [trial.status == COMPLETED for trial in found.trials] == [True, True, False, True, *[False] * 5]
    assert "5 trials have failed one after the other" in caplog.text


@every_algorithm
def test_the_seed_0_is_one_as_any_other(make_config, algorithm):
    def values(seed):
        config = make_config(seed=seed)
        search(config, algorithm, max_trials=5 if algorithm == "bayesian" else 4)
        return [dict(trial.values) for trial in trials_of(config)]

    found = values(0)
    assert values(0) == found
    assert (values(1) == found) == (algorithm == "grid")


@slow
@every_algorithm
def test_killed_at_any_time(make_config, searches, whole, algorithm):
    """From outside, wherever it may be: in a trial, between two, while it begins, is replayed or draws."""
    config, chance, kills = make_config(), random.Random(11), 0
    options = {"max_trials": BUDGET[algorithm], "orders": {"seconds": 0.2}}
    while searches.run(config, algorithm, kill_after=chance.uniform(0.1, 2.0), **options) == KILLED:
        kills += 1
        assert kills < 100
    assert kills > 3
    search(config, algorithm, max_trials=BUDGET[algorithm])
    assert trials_of(config) == whole(algorithm, max_trials=BUDGET[algorithm])
