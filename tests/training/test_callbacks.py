"""Progress on a terminal and elsewhere; which epoch is the best."""

import io
import math

import pytest

from tf_finetune.training import callbacks
from tf_finetune.training.callbacks import KeepBest, Progress, better


class Terminal(io.StringIO):
    def isatty(self):
        return True


def epoch(progress, steps=3):
    progress.set_params({"steps": steps, "epochs": 2})
    progress.on_epoch_begin(0)
    for step in range(steps):
        progress.on_train_batch_end(step, {"loss": 0.5})
    progress.on_epoch_end(0, {"loss": 0.25, "val_loss": 0.3})


def test_a_terminal_gets_a_bar_with_rate_and_time_left():
    stream = Terminal()
    epoch(Progress(stream))
    assert "\r" in stream.getvalue() and "0/3" in stream.getvalue() and "step/s" in stream.getvalue()
    assert "epoch 1/2" in stream.getvalue().splitlines()[-1]


def test_elsewhere_a_long_epoch_gets_a_line_now_and_then(monkeypatch):
    monkeypatch.setattr(callbacks, "LINE_EVERY_SECONDS", 0.0)
    stream = io.StringIO()
    epoch(Progress(stream))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("epoch 1/2 step 1/3  loss 0.5000") and lines[0].endswith("s left")
    assert "val_loss 0.3000" in lines[-1]


@pytest.mark.parametrize(
    ("monitor", "value", "best", "expected"),
    [
        ("val_loss", 0.4, 0.5, True),
        ("val_loss", 0.5, 0.5, False),
        ("val_accuracy", 0.6, 0.5, True),
        ("val_accuracy", 0.5, 0.5, False),
        ("val_loss", math.nan, 0.5, False),
        ("val_loss", math.nan, None, False),
        ("val_loss", 9.0, None, True),
    ],
)
def test_lower_losses_and_higher_scores_are_better(monitor, value, best, expected):
    assert better(monitor, value, best) is expected


class Weights:
    """Stands for a model: one number."""

    def __init__(self):
        self.value = 0

    def get_weights(self):
        return [self.value]

    def set_weights(self, weights):
        self.value = weights[0]


def test_the_best_epoch_comes_back():
    keep, model = KeepBest("val_loss"), Weights()
    keep.set_model(model)
    for number, loss in enumerate([0.7, 0.4, 0.4, 0.9]):
        model.value = number
        keep.on_epoch_end(number, {"val_loss": loss})
    keep.restore()
    assert (model.value, keep.best, keep.best_epoch) == (1, 0.4, 2)


def test_without_a_finished_epoch_the_weights_stay():
    keep, model = KeepBest("val_loss"), Weights()
    keep.set_model(model)
    model.value = 5
    keep.restore()
    assert (model.value, keep.best_epoch) == (5, 0)


def test_an_epoch_whose_loss_is_no_number_is_never_the_best():
    keep, model = KeepBest("val_accuracy"), Weights()
    keep.set_model(model)
    for number, (loss, accuracy) in enumerate([(0.6, 0.7), (math.nan, 0.9)]):
        model.value = number
        keep.on_epoch_end(number, {"loss": loss, "val_accuracy": accuracy})
    keep.restore()
    assert (model.value, keep.best_epoch) == (0, 1)
