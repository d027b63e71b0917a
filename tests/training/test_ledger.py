"""What follows from the values of the epochs: the best one, and whether to stop; its weights come back."""

import math

import pytest

from tf_finetune.training.checkpoints.record import best_epoch, better, is_over
from tf_finetune.training.ledger import Ledger


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


class Model:
    """Stands for a model: one number."""

    def __init__(self):
        self.value = 0
        self.stop_training = False

    def get_weights(self):
        return [self.value]

    def set_weights(self, weights):
        self.value = weights[0]


def ledger_of(history, **settings):
    """A ledger after epochs whose weights are their numbers."""
    ledger, model = Ledger("val_loss", **settings), Model()
    ledger.set_model(model)
    for number, values in enumerate(history):
        model.value = number
        ledger.on_epoch_end(number, values)
    return ledger


def test_the_best_epoch_comes_back():
    ledger = ledger_of([{"val_loss": loss} for loss in (0.7, 0.4, 0.4, 0.9)])
    ledger.restore()
    assert (ledger.model.value, ledger.best_epoch) == (1, 2)


def test_without_a_finished_epoch_the_weights_stay():
    ledger = ledger_of([])
    ledger.model.value = 5
    ledger.restore()
    assert (ledger.model.value, ledger.best_epoch) == (5, 0)


def test_an_epoch_whose_loss_is_no_number_is_never_the_best():
    assert (
        best_epoch([{"loss": 0.6, "val_accuracy": 0.7}, {"loss": math.nan, "val_accuracy": 0.9}], "val_accuracy") == 1
    )
    assert best_epoch([{"loss": math.inf, "val_accuracy": 0.7}], "val_accuracy") == 0


@pytest.mark.parametrize(
    "losses", [(3, 2, 1, 2, 2, 2), (1, 1, 1), (math.nan, math.nan, 1, 2), (2, 3, 1, 4, 0, 5), (1,)]
)
@pytest.mark.parametrize("patience", [1, 2, 3])
def test_it_stops_when_keras_early_stopping_does(losses, patience):
    from tf_finetune.backend import keras

    keras_model = Model()
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=patience)
    stopping.set_model(keras_model)
    stopping.on_train_begin()
    for epoch, loss in enumerate(losses):
        ledger = ledger_of([{"val_loss": loss} for loss in losses[: epoch + 1]], patience=patience)
        stopping.on_epoch_end(epoch, {"val_loss": loss})
        assert ledger.is_over == ledger.model.stop_training == keras_model.stop_training, epoch
        if ledger.is_over:
            break
    assert not is_over([{"val_loss": loss} for loss in losses], monitor="val_loss", patience=None)


def test_the_file_has_a_row_an_epoch_and_goes_on_where_it_was(tmp_path):
    history = [{"val_loss": 0.7, "loss": 1 / 3}, {"val_loss": 0.5, "loss": 0.1}, {"val_loss": 0.6, "loss": 1e-9}]
    whole, parts = tmp_path / "whole.csv", tmp_path / "parts.csv"
    ledger_of(history, path=whole)
    first = ledger_of(history[:2], path=parts)
    second = Ledger("val_loss", path=parts)
    second.set_model(Model())
    second.go_on(first.history, first.weights)
    second.on_epoch_end(2, history[2])
    assert whole.read_text() == parts.read_text()
    assert whole.read_text().splitlines()[:2] == ["epoch,loss,val_loss", "0,0.3333333333333333,0.7"]
    assert second.columns == {"val_loss": [0.7, 0.5, 0.6], "loss": [1 / 3, 0.1, 1e-9]} and second.weights == [1]
