"""Trials that are stopped early: by the median of the others, and by hyperband, which lets some go on."""

import csv

import pytest

from tests.tuning.search_process import KILLED, begun, folder_of, search, trials_of
from tf_finetune.errors import TuningError
from tf_finetune.tuning.algorithms import HyperbandOracle
from tf_finetune.tuning.trial import COMPLETED

PRUNING = {
    "random": {"max_trials": 10},
    "bayesian": {"max_trials": 7},
    "grid": {"space": {"fit.learning_rate": [1e-5, 4e-5, 6e-5, 1e-4, 3e-4, 1e-3], "fit.batch_size": [8, 32]}},
}


@pytest.mark.parametrize("algorithm", PRUNING)
def test_the_median_stops_some_trials_and_the_same_ones_after_a_kill(make_config, searches, algorithm):
    config, settings = make_config(), {"prune": "median", **PRUNING[algorithm]}
    found = search(config, algorithm, **settings)
    pruned = [trial for trial in found.trials if trial.pruned]
    assert pruned and len(pruned) < len(found.trials) - 4
    assert found.trials[0].epochs == 4 and not any(trial.pruned for trial in found.trials[:4])
    assert {trial.status for trial in found.trials} == {COMPLETED}
    assert not found.best.pruned
    for trial in found.trials:
        assert trial.pruned == (trial.epochs < trial.planned == 4)
        assert (trial.pruned, trial.epochs) == expected(config, trial.id)
    killed = make_config()
    orders = {"kills": [{"trial": int(pruned[0].id), "epoch": pruned[0].epochs}]}  # just before it would be stopped
    assert searches.run(killed, algorithm, orders=orders, **settings) == KILLED
    search(killed, algorithm, **settings)
    assert trials_of(killed) == trials_of(config)


def expected(config, number):
    """Whether and when a trial is to be stopped, computed from the histories of those before it."""
    histories = [scores(config, f"{before:04}") for before in range(int(number) + 1)]
    *others, own = histories
    for epoch in range(1, 4 if number.strip("0") else 1):
        peers = sorted(max(other[:epoch]) for other in others if len(other) >= epoch)
        half = len(peers) // 2
        if len(peers) >= 4 and max(own[:epoch]) < (peers[half] + peers[-1 - half]) / 2:
            return True, epoch
    return False, 4


def scores(config, number, name="val_accuracy"):
    with open(folder_of(config).trial(number).history) as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def test_a_loss_is_pruned_the_other_way_round(make_config):
    config = make_config(monitor="val_loss")
    found = search(config, prune="median", max_trials=10)
    accuracies = make_config()
    search(accuracies, prune="median", max_trials=10)
    assert [trial.pruned for trial in found.trials] == [trial.pruned for trial in trials_of(accuracies)]
    assert any(trial.pruned for trial in found.trials)
    assert found.best.score == min(trial.score for trial in found.trials)


def test_without_pruning_all_trials_are_trained_to_the_end(make_config):
    found = search(make_config(), max_trials=10)
    assert {(trial.epochs, trial.pruned) for trial in found.trials} == {(4, False)}


def test_hyperband_promotes_trials_with_all_that_they_have_learned(make_config):
    config = make_config()
    found = search(config, "hyperband")
    by_id = {trial.id: trial for trial in found.trials}
    promoted = [trial for trial in found.trials if trial.parent is not None]
    assert len(promoted) == 5
    for trial in promoted:
        parent = by_id[trial.parent]
        history = scores(config, parent.id)
        assert scores(config, trial.id)[: len(history)] == history
        assert begun(config, trial.id) == [str(len(history))]  # the checkpoint and the history were there
        assert trial.epochs > parent.epochs
        assert trial.values == parent.values
    assert [trial.epochs for trial in found.trials[:8]] == [4, 1, 1, 1, 1, 2, 2, 4]
    first = sorted(found.trials[1:5], key=lambda trial: -trial.score)
    assert [trial.parent for trial in found.trials[5:7]] == [trial.id for trial in first[:2]]


def test_hyperband_keeps_a_checkpoint_as_long_as_it_may_be_needed(make_config, monkeypatch):
    """After each trial: those of the waiting trials are there, and those of all others are not."""
    import tf_finetune.tuning.take_part as take_part

    seen, drop_weights = [], take_part.drop_weights

    def look(folder, trials, *, objective, keep, may_go_on):
        drop_weights(folder, trials, objective=objective, keep=keep, may_go_on=may_go_on)
        ended = {trial.id for trial in trials if trial.status != "running"}
        there = {number for number in ended if folder.trial(number).checkpoints.exists()}
        seen.append((len(ended), there, ended & set(may_go_on)))

    monkeypatch.setattr(take_part, "drop_weights", look)
    config = make_config()
    search(config, "hyperband")
    assert [there for _, there, _ in seen] == [needed for *_, needed in seen]
    kept = {count: there for count, there, _ in seen}
    assert kept[4] == {"0001", "0002", "0003"}  # the baseline is in no bracket
    assert kept[6] >= {"0005"} and kept[16] == set()
    assert HyperbandOracle.may_go_on.__doc__


def test_a_promotion_without_its_parents_checkpoint_says_so(make_config):
    import shutil

    config = make_config()
    search(config, "hyperband", max_trials=5)
    for path in folder_of(config).trials.glob("*/run/checkpoints"):
        shutil.rmtree(path)
    with pytest.raises(TuningError, match="Trial 0005 is to go on from .*, which holds no checkpoint any more"):
        search(config, "hyperband")


def test_a_promotion_that_was_killed_before_it_began(make_config, searches, whole):
    config = make_config()
    assert searches.run(config, "hyperband", orders={"kills": [{"trial": 5, "epoch": 0}]}) == KILLED
    search(config, "hyperband")
    assert begun(config, "0005") == ["1", "1"]
    assert trials_of(config) == whole("hyperband")


@pytest.mark.parametrize("algorithm", ["random", "grid"])
def test_the_best_and_the_baseline_keep_their_weights(make_config, algorithm):
    config = make_config(learning_rate=1e-5)  # a baseline that is not among the best
    found = search(config, algorithm, max_trials=7, keep=2)
    best = sorted(found.trials, key=lambda trial: -trial.score)[:2]
    kept = {trial.id for trial in found.trials if folder_of(config).trial(trial.id).model.exists()}
    assert "0000" not in {trial.id for trial in best}
    assert kept == {"0000", *(trial.id for trial in best)}
    assert not list(folder_of(config).trials.glob("*/run/checkpoints"))
    assert len(list(folder_of(config).trials.glob("*/run/history.csv"))) == 7
