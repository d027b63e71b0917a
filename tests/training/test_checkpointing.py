"""When a run is saved while it trains, what of it, and where it stops; by a clock that the tests move."""

import math
from types import SimpleNamespace

import pytest

from tf_finetune.config.save_every import SavePolicy, parse_save_every
from tf_finetune.training.checkpoints import callback
from tf_finetune.training.checkpoints.callback import GUESSED_RATE, Checkpointing, StopTraining
from tf_finetune.training.checkpoints.record import Record
from tf_finetune.training.checkpoints.store import Saved
from tf_finetune.training.stopping import StopRequest

STEPS = 10  # an epoch


class Clock:
    """Stands for the module `time`."""

    def __init__(self):
        self.now = 1e5

    def monotonic(self):
        return self.now


class Store:
    """Stands for the folder of checkpoints: each takes `cost` seconds to write."""

    def __init__(self, clock, cost):
        self.clock, self.cost = clock, cost
        self.saved = []
        self.times = []

    def save(self, saved):
        self.clock.now += self.cost
        self.saved.append(saved)
        self.times.append(self.clock.now)

    @property
    def steps(self):
        return [saved.record.step for saved in self.saved]


class Variable:
    """Stands for a variable, and for a tensor."""

    def __init__(self, value=0):
        self.value = value

    def assign(self, value):
        self.value = value

    def numpy(self):
        return self.value


class State:
    """Stands for the model: its weight is the number of updates, its metric that of the epoch."""

    def __init__(self, size):
        self.size = size
        self.values = {"weights/0": Variable(), "metrics/0": Variable()}
        self.updates = None

    def variables(self):
        return self.values

    def read(self):
        return {name: variable.value for name, variable in self.values.items()}

    def assign(self, values):
        for name, value in values.items():
            self.values[name].assign(value)

    def count(self, updates):
        self.updates = updates


class Ledger:
    """Stands for the history: an entry an epoch."""

    def __init__(self):
        self.history, self.weights = [], []

    def go_on(self, history, weights):
        self.history, self.weights = [dict(values) for values in history], list(weights)


class Run:
    """A run that trains with the callback as Keras does: `train` some updates, `validate`, `end_epoch`.

    Attributes:
        saving: The callback.
    """

    def __init__(self, clock, policy, *, cost=0.0, size=0, stop=None, second=1.0):
        self.clock, self.second = clock, second
        self.store, self.state, self.ledger = Store(clock, cost), State(size), Ledger()
        self.stop = stop or StopRequest()
        policy = parse_save_every(policy) if isinstance(policy, str) else policy
        self.saving = Checkpointing(
            self.store,
            self.state,
            self.ledger,
            policy=policy,
            stop=self.stop,
            record=Record(step=0, steps_per_epoch=STEPS),
            workers=SimpleNamespace(is_chief=True, any=lambda *wishes: list(wishes)),
        )

    def train(self, count=1, loss=0.5):
        for _ in range(count):
            self.clock.now += self.second
            self.state.values["weights/0"].value += 1
            self.saving.on_train_batch_end(0, {"loss": loss})

    def validate(self, batches=2):
        for batch in range(batches):
            self.saving.on_test_batch_end(batch, {"loss": 0.25})

    def end_epoch(self, **values):
        self.ledger.history.append({"loss": 0.5, "val_loss": 0.25, **values})
        self.ledger.weights = [self.state.values["weights/0"].value]
        self.saving.on_epoch_end(len(self.ledger.history) - 1, {})

    def epochs(self, count):
        for _ in range(count):
            self.train(STEPS)
            self.validate()
            self.end_epoch()


@pytest.fixture
def clock(monkeypatch):
    """The clock that the callback looks at."""
    clock = Clock()
    monkeypatch.setattr(callback, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("policy", "steps"),
    [
        ("3s", [3, 6, 9, 12, 15, 18, 21, 24, 27, 30]),
        ("7s", [7, 14, 21, 28]),
        ("1m", []),
        ("4steps", [4, 8, 12, 16, 20, 24, 28]),
        ("31steps", []),
        ("epoch", [10, 20, 30]),
        ("7s,epoch", [7, 10, 17, 20, 27, 30]),
        ("25s,9steps", [9, 18, 27]),
        ("4steps,epoch", [4, 8, 10, 12, 16, 20, 20, 24, 28, 30]),  # 20: after the update, and after the validation
    ],
)
def test_a_checkpoint_is_due_by_seconds_updates_and_epochs(clock, policy, steps):
    run = Run(clock, policy)
    run.epochs(3)
    assert run.store.steps == steps


def test_seconds_count_from_the_end_of_the_last_one_and_only_between_updates(clock):
    run = Run(clock, "3s", cost=2.0)
    run.train(6)
    assert run.store.times == [1e5 + 5, 1e5 + 10] and run.store.steps == [3, 6]
    clock.now += 100
    run.validate()
    assert len(run.store.saved) == 2
    run.train(2)
    assert run.store.steps == [3, 6, 7]
    assert run.saving.seconds == 6.0


@pytest.mark.parametrize("policy", ["20s", "1steps", "epoch", "20s,3steps,epoch"])
@pytest.mark.parametrize("cost", [0.03, 0.8, 25.0], ids="{} s".format)
@pytest.mark.parametrize("guess", [1e-6, 0.05, 40.0], ids="guessed {} s".format)
def test_the_share_of_time_holds(clock, policy, cost, guess):
    policy = SavePolicy(**{**vars(parse_save_every(policy)), "share": 0.01})
    run = Run(clock, policy, cost=cost, size=guess * GUESSED_RATE)
    began = clock.now
    for _ in range(1200):
        run.epochs(1)
        count = len(run.store.saved)
        assert run.saving.seconds == pytest.approx(count * cost)
        # the first one is as dear as it turns out to be; every other one waits until there is time for it
        assert count <= 1 or run.store.times[-1] - began >= 100 * count * cost
    elapsed = clock.now - began
    assert elapsed >= 12_000 and 0 < count * cost <= 0.01 * elapsed


@pytest.mark.parametrize("policy", ["20s", "1steps", "epoch", "20s,3steps,epoch"])
def test_cheap_checkpoints_are_taken_as_often_as_asked_for(clock, policy):
    policy = parse_save_every(policy)
    free = Run(clock, policy)
    free.epochs(20)
    limited = Run(clock, SavePolicy(**{**vars(policy), "share": 0.01}), cost=2**-10)
    limited.epochs(20)
    assert limited.store.steps == free.store.steps != []


def test_a_dear_checkpoint_waits_and_is_taken_as_soon_as_there_is_time(clock):
    run = Run(clock, "auto", cost=9.0, size=9 * GUESSED_RATE)
    run.epochs(89)
    assert run.store.steps == []  # 890 seconds, of which 1 % are 8.9
    run.epochs(2)
    assert run.store.steps == [900]
    run.epochs(88)
    assert run.store.steps == [900]
    run.epochs(2)  # 18 seconds of 1800 that are over, the first 9 among them
    assert len(run.store.steps) == 2
    assert run.store.times[1] == 1e5 + 1800 + 9


def test_without_a_share_dear_ones_do_not_wait(clock):
    run = Run(clock, "1steps", cost=1000.0, size=1000 * GUESSED_RATE)
    run.train(5)
    assert run.store.steps == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_run_whose_loss_is_no_number_is_not_saved(clock, loss):
    run = Run(clock, "1steps,epoch")
    run.train(3)
    run.train(1, loss=loss)
    run.end_epoch(loss=loss)  # Keras ends the epoch at once
    run.saving.save()
    assert run.store.steps == [1, 2, 3]
    run.stop.reason = "SIGTERM"
    with pytest.raises(StopTraining):
        run.train(1, loss=loss)
    assert run.store.steps == [1, 2, 3]


def test_a_validation_that_gives_no_number_does_not_keep_from_saving(clock):
    run = Run(clock, "epoch")
    run.train(STEPS)
    run.end_epoch(val_loss=math.nan)
    assert run.store.steps == [STEPS]


def test_the_same_is_not_saved_twice(clock):
    run = Run(clock, "epoch,10steps")
    run.saving.save()
    assert run.store.saved == []  # nothing was trained yet
    run.train(STEPS)
    run.saving.save()
    run.validate()
    assert run.store.steps == [10]
    run.end_epoch(val_loss=math.nan)
    assert run.store.steps == [10, 10]
    for _ in range(2):
        run.saving.save()
        run.stop.reason = "SIGTERM"
        with pytest.raises(StopTraining):
            run.validate()
    assert run.store.steps == [10, 10]


def test_what_is_saved_is_how_far_the_run_has_come(clock):
    run = Run(clock, "10steps,epoch")
    run.epochs(1)
    run.train(STEPS, loss=0.125)
    after_epoch, after_updates = run.store.saved[1:]
    history = ({"loss": 0.5, "val_loss": 0.25},)
    assert after_epoch == Saved(Record(10, STEPS, history=history), {"weights/0": 10, "metrics/0": 0}, (10,))
    assert after_updates.record == Record(20, STEPS, history=history, unvalidated={"loss": 0.125})
    assert (after_updates.state["weights/0"], after_updates.best) == (20, (10,))
    run.train(1)
    assert run.saving.record == Record(21, STEPS, history=history)


class TestStopping:
    """A run that is asked to stop saves as far as it has come, once, and stops there."""

    @pytest.fixture
    def run(self, clock):
        return Run(clock, "1h")

    def test_after_the_update(self, run):
        run.train(3)
        run.stop.reason = "Ctrl-C"
        with pytest.raises(StopTraining):
            run.train(1)
        assert run.store.saved == [Saved(Record(4, STEPS), {"weights/0": 4, "metrics/0": 0}, ())]

    def test_after_the_last_update_of_an_epoch(self, run):
        run.train(STEPS - 1)
        run.stop.reason = "Ctrl-C"
        with pytest.raises(StopTraining):
            run.train(1)
        assert [saved.record for saved in run.store.saved] == [Record(STEPS, STEPS, unvalidated={"loss": 0.5})]

    def test_in_the_middle_of_a_validation(self, run):
        run.epochs(1)
        run.train(STEPS)
        run.validate(1)
        run.stop.reason = "SIGTERM"
        with pytest.raises(StopTraining):
            run.validate(1)
        (saved,) = run.store.saved
        assert saved.record.unvalidated == {"loss": 0.5} and len(saved.record.history) == 1
        assert (saved.record.step, saved.best) == (2 * STEPS, (STEPS,))

    def test_at_the_end_of_an_epoch(self, run):
        run.train(STEPS)
        run.validate()
        run.stop.reason = "SIGTERM"
        with pytest.raises(StopTraining):
            run.end_epoch()
        (saved,) = run.store.saved
        assert saved.record == Record(STEPS, STEPS, history=({"loss": 0.5, "val_loss": 0.25},))

    def test_whatever_the_share_of_time(self, clock):
        run = Run(clock, "auto", cost=1e6, size=1e6 * GUESSED_RATE)
        run.epochs(3)
        run.stop.reason = "SIGTERM"
        with pytest.raises(StopTraining):
            run.train(1)
        assert run.store.steps == [31]

    def test_when_the_hours_are_over(self, clock, monkeypatch):
        monkeypatch.setattr("tf_finetune.training.stopping.time", clock)
        run = Run(clock, "epoch", stop=StopRequest(max_hours=25 / 3600))
        with pytest.raises(StopTraining):
            run.epochs(9)
        assert run.store.steps == [10, 20, 25]
        assert (run.stop.reason, run.stop.exit_code) == ("--max-hours 0.00694444 are over", 75)

    def test_with_another_worker(self, run):
        """Who was not asked ends so that a queue starts it again, whoever was asked and why."""
        run.saving.workers.any = lambda *wishes: [True, False]
        with pytest.raises(StopTraining):
            run.train(1)
        assert run.store.steps == [1]
        assert (run.stop.reason, run.stop.exit_code) == ("another worker was stopped", 75)

    def test_with_another_worker_and_by_itself(self, run):
        run.saving.workers.any = lambda *wishes: [True, False]
        run.stop.reason = "Ctrl-C"
        with pytest.raises(StopTraining):
            run.train(1)
        assert (run.stop.reason, run.stop.exit_code) == ("Ctrl-C", 130)

    def test_not_before_it_is_asked_to(self, run):
        run.epochs(5)
        assert run.store.saved == []


class TestGoingOn:
    """Another process takes over what was saved."""

    def saved(self, step, epochs=0, **values):
        history = tuple({"loss": 0.5, "val_loss": 0.25} for _ in range(epochs))
        state = {"weights/0": step, "metrics/0": step % STEPS}
        best = (Variable(STEPS * epochs),) if epochs else ()
        return Saved(Record(step, STEPS, history=history, **values), state, best)

    def test_everything_is_taken_over(self, clock):
        run = Run(clock, "5steps")
        run.saving.go_on(self.saved(23, epochs=2, resumed_at=(4,)))
        assert run.state.read() == {"weights/0": 23, "metrics/0": 3}
        assert (run.ledger.history, run.ledger.weights) == ([{"loss": 0.5, "val_loss": 0.25}] * 2, [20])
        run.state.values["metrics/0"].value = 0  # `fit` resets it
        run.saving.on_epoch_begin(2)
        assert run.state.values["metrics/0"].value == 3
        run.saving.save()
        assert run.store.saved == []  # it is there already
        run.train(2)
        assert [saved.record.resumed_at for saved in run.store.saved] == [(4, 23)]
        assert run.store.steps == [25] and run.state.updates is None

    def test_metrics_are_given_back_once_and_only_in_a_begun_epoch(self, clock):
        for step, epochs, given in ((23, 2, 3), (20, 2, 0)):
            run = Run(clock, "1h")
            run.saving.go_on(self.saved(step, epochs=epochs))
            for expected in (given, 0):
                run.state.values["metrics/0"].value = 0
                run.saving.on_epoch_begin(0)
                assert run.state.values["metrics/0"].value == expected

    def test_what_was_forced_is_saved_at_once(self, clock):
        run = Run(clock, "1h")
        run.saving.go_on(self.saved(23, epochs=2, forced=("a: 1, now 2",)), forced=("b: 3, now 4",))
        (saved,) = run.store.saved
        assert saved.record.forced == ("a: 1, now 2", "b: 3, now 4")
        assert (saved.record.step, saved.record.resumed_at, saved.best) == (23, (23,), (20,))
        assert saved.state == {"weights/0": 23, "metrics/0": 3}

    @pytest.mark.parametrize(("step", "epochs"), [(15, 1), (20, 1), (20, 2)])
    def test_with_other_epochs_the_begun_one_is_begun_again(self, clock, step, epochs):
        run = Run(clock, "1h")
        saved = self.saved(step, epochs=epochs, unvalidated={"loss": 0.5} if step == 20 and epochs == 1 else None)
        run.saving.record = Record(0, steps_per_epoch=4)
        run.saving.go_on(saved, forced=("fit.batch_size: 8, now 20",))
        assert run.saving.record.step == run.state.updates == 4 * epochs
        assert (run.saving.record.steps_per_epoch, run.saving.record.unvalidated) == (4, None)
        assert len(run.saving.record.history) == epochs
        run.state.values["metrics/0"].value = 0
        run.saving.on_epoch_begin(epochs)
        assert run.state.values["metrics/0"].value == 0
