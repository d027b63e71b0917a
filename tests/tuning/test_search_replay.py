"""Oracles that several workers ask in turn, without processes: each is where it was when it is made anew."""

import functools
import json
import random

import pytest

from tests.tuning.search_process import ALGORITHMS, GRID, SLOPE, SPACE
from tf_finetune.errors import RunError
from tf_finetune.tuning.assignment import failure
from tf_finetune.tuning.ledger import TrialLedger
from tf_finetune.tuning.settings import TuneConfig
from tf_finetune.tuning.space import Space

BASELINE = {"fit.learning_rate": 5e-5, "fit.batch_size": 16, "fit.weight_decay": 0.0}
FEW = {"fit.batch_size": [8, 12, 16, 20, 24, 28, 32, 36]}
"""A space that hyperband has soon used up, and waits for trials then."""


def result(trial, fails):
    """A score of its own for each trial, or a failure."""
    if int(trial) in fails:
        return failure("It was unlucky.", seconds=0.0)
    score = random.Random(trial).random()
    return {**failure("", seconds=0.0), "status": "completed", "score": score}


@pytest.fixture
def make_oracle(tmp_path):
    """Makes an oracle over the ledger of the test, as a process does that begins or goes on."""

    def make(algorithm="random", *, space=None, most_trials=None, seed=3, fails=(), baseline=BASELINE, **settings):
        from tf_finetune.tuning.algorithms import make_oracle

        space = Space.from_dict(space or (GRID if algorithm == "grid" else SPACE))
        if algorithm == "hyperband":
            settings = {"factor": 2, **settings}
        oracle = make_oracle(
            space,
            TuneConfig(algorithm=algorithm, **settings),
            objective="val_accuracy",
            epochs=4,
            seed=seed,
            initial_points=3,
        )
        oracle.prepare(
            space=space,
            baseline={name: baseline[name] for name in space.names},
            ledger=TrialLedger(tmp_path / "trials.jsonl"),
            most_trials=most_trials,
            read_result=lambda number: result(number, fails),
            on_end=lambda oracle: None,
        )
        oracle.verbose = 0
        oracle.save = oracle._save_trial = lambda *_: None  # keras-tuner's own files, which nobody reads
        return oracle

    return make


def end(oracle, trial, *, tells_score=True):
    """What a worker does when its trial has ended."""
    score = oracle.read_result(trial.trial_id)["score"]
    trial.status = "FAILED" if score is None else "COMPLETED"
    if score is not None and tells_score:
        oracle.update_trial(trial.trial_id, {"val_accuracy": score})
    oracle.end_trial(trial)


def events(oracle):
    return [{name: value for name, value in event.items() if name != "at"} for event in oracle.ledger.events()]


def play(make, *, workers, seed, kills):
    """Workers begin and end trials in a random order, until there are none; the events.

    The oracle is made anew after a share `kills` of all questions.
    """
    order, chance, oracle, busy = random.Random(seed), random.Random(seed), make(), {}
    left = [f"worker{number}" for number in range(workers)]
    while left:
        name = order.choice(left)
        if name in busy:
            end(oracle, busy.pop(name))
        else:
            trial = oracle.create_trial(name)
            if trial.status == "RUNNING":
                busy[name] = trial
            elif trial.status == "STOPPED":
                left.remove(name)
        if chance.random() < kills:
            oracle = make()
            oracle.replay(lives=busy.__contains__)
            busy = {name: oracle.trials[trial.trial_id] for name, trial in busy.items()}
    return events(oracle)


CASES = {
    "random": ("random", {"most_trials": 9}, 0.3),
    "bayesian": ("bayesian", {"most_trials": 6, "space": SLOPE}, 0.15),
    "hyperband": ("hyperband", {}, 0.15),
    "hyperband, some fail": ("hyperband", {"fails": (3, 5, 6, 9)}, 0.15),
    "hyperband, few values": ("hyperband", {"space": FEW}, 0.5),
    "grid": ("grid", {}, 0.3),
    "random, few values": ("random", {"space": FEW, "most_trials": 9}, 0.3),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("workers", [1, 3])
def test_an_oracle_that_is_made_anew_goes_on_as_if_nothing_had_happened(make_oracle, tmp_path, case, workers):
    algorithm, settings, kills = CASES[case]
    for seed in range({"bayesian": 1, "hyperband": 5}.get(algorithm, 2)):
        make, found = functools.partial(make_oracle, algorithm, seed=seed, **settings), []
        for share in (0.0, kills):
            (tmp_path / "trials.jsonl").unlink(missing_ok=True)
            found.append(play(make, workers=workers, seed=seed, kills=share))
        assert found[0] == found[1]
        assert len(found[0]) > 5
        assert [event["trial"] for event in found[0] if event["event"] == "begin"] == sorted(
            event["trial"] for event in found[0] if event["event"] == "end"
        )


def test_a_new_chief_leaves_trials_to_the_workers_that_train_them(make_oracle):
    oracle = make_oracle()
    mine, others = (oracle.create_trial(name).trial_id for name in ("worker0", "worker1"))
    again = make_oracle()
    again.replay(lives=lambda worker: worker == "worker0")
    assert again.create_trial("worker2").trial_id == others  # its worker is gone
    assert again.create_trial("worker2").trial_id == others
    assert again.create_trial("worker3").trial_id == "0002"
    assert again.create_trial("worker0").trial_id == mine
    assert [event["trial"] for event in again.ledger.events()] == [mine, others, others, "0002"]


def test_an_orphan_that_ends_after_all_is_not_given_away(make_oracle):
    oracle = make_oracle()
    trial = oracle.create_trial("worker0")
    oracle.release("worker0")
    assert oracle.orphans == [trial.trial_id]
    end(oracle, trial)
    assert oracle.create_trial("worker1").trial_id == "0001"


def test_a_released_trial_goes_to_the_next_who_asks(make_oracle):
    oracle = make_oracle()
    trial = oracle.create_trial("worker0")
    oracle.release("worker0")
    assert oracle.create_trial("worker1").trial_id == trial.trial_id
    assert oracle.create_trial("worker0").trial_id == "0001"
    oracle.release("worker7")


def test_a_score_that_was_told_to_a_chief_that_is_gone(make_oracle):
    oracle = make_oracle()
    trial = oracle.create_trial("worker0")
    end(oracle, trial, tells_score=False)
    assert oracle.trials["0000"].score == result("0000", ())["score"]
    assert not oracle.ongoing_trials


def test_more_trials_than_the_budget_of_today(make_oracle):
    play(lambda: make_oracle(most_trials=6), workers=1, seed=0, kills=0)
    oracle = make_oracle(most_trials=3)
    oracle.replay()
    assert len(oracle.trials) == 6
    assert oracle.create_trial("tuner0").status == "STOPPED"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [*lines[:2], lines[2].replace('"fit.batch_size": ', '"fit.batch_size": 1')], "would not give"),
        (lambda lines: lines[1:], "0000 has ended before it began"),
    ],
)
def test_a_ledger_of_another_search_is_refused(make_oracle, tmp_path, change, words):
    play(lambda: make_oracle(most_trials=3), workers=1, seed=0, kills=0)
    path = tmp_path / "trials.jsonl"
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    with pytest.raises(RunError, match=words):
        make_oracle(most_trials=5).replay()


def values_begun(oracle):
    return [event["values"] for event in oracle.ledger.events() if event["event"] == "begin"]


def test_a_grid_is_the_baseline_and_all_other_combinations_in_order(make_oracle):
    oracle = make_oracle("grid", space={"fit.batch_size": [8, 16], "fit.weight_decay": [0.0, 0.1]})
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        end(oracle, trial)
    found = [tuple(values.values()) for values in values_begun(oracle)]
    assert found == [(16, 0.0), (8, 0.0), (8, 0.1), (16, 0.1)]


def test_a_grid_of_ranges_with_steps(make_oracle):
    space = {
        "fit.batch_size": {"min": 8, "max": 24, "step": 8},
        "fit.weight_decay": {"min": 0.1, "max": 0.3, "step": 0.1},
    }
    oracle = make_oracle("grid", space=space)
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        end(oracle, trial)
    found = [tuple(values.values()) for values in values_begun(oracle)]
    assert found[1:] == [(size, decay) for size in (8, 16, 24) for decay in (0.1, 0.2, 0.3)]


@pytest.mark.parametrize("algorithm", ["random", "bayesian", "hyperband"])
def test_what_is_drawn_lies_within_its_range(make_oracle, algorithm):
    space = {
        "fit.learning_rate": {"min": 1.23456e-5, "max": 1.23457e-5},
        "fit.weight_decay": {"min": 0.0999995, "max": 0.0999999, "sampling": "log"},
        "fit.batch_size": {"min": 7, "max": 9},
        "model.freeze": [None, "embeddings"],
    }
    oracle = make_oracle(algorithm, space=space, baseline={**BASELINE, "model.freeze": None}, most_trials=4)
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        end(oracle, trial)
    baseline, *drawn = values_begun(oracle)
    assert baseline["fit.batch_size"] == 16  # as given, though it is outside of the range
    for values in drawn:
        for name in ("fit.learning_rate", "fit.weight_decay", "fit.batch_size"):
            assert space[name]["min"] <= values[name] <= space[name]["max"]
        assert isinstance(values["fit.batch_size"], int)
        assert values["model.freeze"] in (None, "embeddings")


def test_a_baseline_outside_of_the_lists_does_not_hide_a_combination(make_oracle):
    """Of all combinations none is left out, though the baseline has none of them."""
    space = {"fit.batch_size": [8, 32], "fit.weight_decay": [0.01, 0.1]}
    oracle = make_oracle(space=space, most_trials=20)
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        end(oracle, trial)
    found = sorted(tuple(values.values()) for values in values_begun(oracle)[1:])
    assert found == [(8, 0.01), (8, 0.1), (32, 0.01), (32, 0.1)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_ledger_is_json_with_the_values_as_they_are(make_oracle, tmp_path, algorithm):
    space = {"fit.batch_size": [8, 32], "model.freeze": [None, "embeddings"], "fit.weight_decay": [0, 1]}
    oracle = make_oracle(algorithm, space=space, baseline={**BASELINE, "model.freeze": None}, most_trials=3)
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        end(oracle, trial)
    begins = [json.loads(line) for line in (tmp_path / "trials.jsonl").read_text().splitlines()][0::2]
    assert [event["trial"] for event in begins] == ["0000", "0001", "0002"]
    for event in begins[1:]:
        assert {event["values"][name] in values for name, values in space.items()} == {True}


def test_an_error_after_which_the_lock_stays_closed_is_told(make_oracle, monkeypatch):
    oracle, told = make_oracle(), []
    oracle.on_error = told.append
    monkeypatch.setattr(oracle.ledger, "append", lambda event: (_ for _ in ()).throw(OSError("No space left")))
    with pytest.raises(OSError, match="No space left"):
        oracle.create_trial("worker0")
    assert [str(error) for error in told] == ["No space left"]
