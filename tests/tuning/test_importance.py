from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tf_finetune.errors import ConfigError
from tf_finetune.tuning.report.importance import LEAST_TRIALS, importances
from tf_finetune.tuning.trial import COMPLETED, FAILED, Trial

RATE, BATCH, FREEZE = "fit.learning_rate", "fit.batch_size", "model.freeze"


def search(score_of, count=40, seed=3):
    """Trials with three random values each, scored by a function of them."""
    chance = random.Random(seed)
    trials = []
    for number in range(count):
        values = {
            RATE: 10 ** chance.uniform(-6, -3),
            BATCH: chance.choice([8, 16, 32]),
            FREEZE: chance.choice([None, "embeddings", "embeddings,0-3"]),
        }
        score = score_of(values, chance)
        trials.append(Trial(f"{number:04}", values, COMPLETED, score, best_epoch=2, epochs=3, planned=3))
    return trials


def by_freeze(values, chance):
    return {None: 0.9, "embeddings": 0.8, "embeddings,0-3": 0.6}[values[FREEZE]] + chance.gauss(0, 0.01)


def test_the_value_that_decides_has_nearly_all_of_the_share():
    found = importances(search(by_freeze), objective="val_accuracy")
    assert list(found.shares)[0] == FREEZE
    assert found.shares[FREEZE] > 0.95
    assert set(found.shares) == {RATE, BATCH, FREEZE}
    assert sum(found.shares.values()) == pytest.approx(1)
    assert (found.trials, found.reason) == (40, "")
    assert found.r2 > 0.9
    assert "random forest" in found.method


def test_shares_follow_the_strength_of_each_value():
    trials = search(lambda values, chance: 0.02 * values[BATCH] / 8 + (0.9 if values[RATE] > 3e-5 else 0.7))
    found = importances(trials, objective="val_accuracy")
    assert list(found.shares)[:2] == [RATE, BATCH]
    assert found.shares[BATCH] > 5 * found.shares[FREEZE]


def test_the_same_for_a_loss_and_the_same_again():
    trials = search(lambda values, chance: 1 - by_freeze(values, chance))
    found = importances(trials, objective="val_loss", seed=5)
    assert found.shares[FREEZE] > 0.95
    assert importances(trials, objective="val_loss", seed=5) == found
    assert importances(trials, objective="val_loss", seed=6) != found


def test_chance_is_called_chance():
    """Noise alone: no numbers, in most searches."""
    silent = 0
    for seed in range(6):
        found = importances(search(lambda values, chance: chance.random(), 20, seed), objective="val_accuracy")
        silent += not found.shares
        assert bool(found.shares) != bool(found.reason)
        assert (found.r2 > 0) == bool(found.shares)
    assert silent >= 5


def test_a_value_that_never_changes_has_no_share():
    trials = [replace(trial, values={**trial.values, "fit.power": 1.0}) for trial in search(by_freeze)]
    assert importances(trials, objective="val_accuracy").shares["fit.power"] == 0


def test_fewer_than_eight_completed_trials_tell_nothing():
    trials = search(by_freeze, LEAST_TRIALS)
    assert importances(trials, objective="val_accuracy").trials == LEAST_TRIALS
    for lost in (replace(trials[0], status=FAILED, score=None), replace(trials[0], score=float("nan"))):
        found = importances([lost, *trials[1:]], objective="val_accuracy")
        assert (found.trials, found.r2, dict(found.shares)) == (7, None, {})
        assert "8 completed ones with different values are needed, there are 7." in found.reason


def test_equal_scores_tell_nothing():
    found = importances(search(lambda values, chance: 0.5), objective="val_accuracy")
    assert found.reason == "All trials have the same score."


def test_of_equal_values_the_longest_trial_counts():
    """The short rungs have scores that would drown the values."""
    short = [replace(trial, score=0.5, epochs=1) for trial in search(by_freeze)]
    long = [replace(trial, id=f"{int(trial.id) + 40:04}", parent=trial.id) for trial in search(by_freeze)]
    for trials in (short + long, long + short):
        found = importances(trials, objective="val_accuracy")
        assert found.trials == 40
        assert found.shares[FREEZE] > 0.95


def test_the_budget_of_a_rung_is_not_put_down_to_the_values():
    trials = [
        replace(trial, planned=planned, score=0.3 * planned + 0.2 * (trial.values[BATCH] == 8))
        for trial, planned in zip(search(by_freeze), [1, 1, 2, 3] * 10)
    ]
    found = importances(trials, objective="val_accuracy")
    assert found.shares[BATCH] > 0.8
    assert "epochs that a trial was given" in found.method


def test_an_unknown_objective_is_refused():
    with pytest.raises(ConfigError, match="val_accuracy, val_macro_f1, val_loss. Received: 'auroc'"):
        importances([], objective="auroc")
