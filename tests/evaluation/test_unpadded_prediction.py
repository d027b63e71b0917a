"""A run predicts through the unpadded encoder where it fits: the model's own answers, whatever shares a batch."""

import dataclasses

import numpy as np
import pytest

from tests.conftest import tiny_rows

TEXTS = [*(text for text, _ in tiny_rows(40)), "", "great " * 5000, "naïve 良い 🙂 good", "bad " * 9, "film"]


@pytest.fixture(scope="module")
def loaded(tiny_run):
    from tf_finetune.model.trained import load_run

    return load_run(tiny_run.run)


@pytest.fixture(scope="module")
def table(loaded):
    from tf_finetune.tokens.table import TokenTable

    return TokenTable.of_texts(loaded.encoder, TEXTS)


@pytest.fixture(scope="module")
def forward(loaded):
    from tf_finetune.evaluation.predictor import make_forward

    return make_forward(loaded.model, loaded.spec)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_the_logits_are_the_models_own_in_the_order_of_the_rows(loaded, table, forward, batch_size):
    from tf_finetune.evaluation.predictor import table_logits

    assert forward.unpadded
    columns = table.inputs()
    own = loaded.model({name: columns[name] for name in loaded.spec}, training=False).logits.numpy()
    found = table_logits(forward, loaded.spec, table, batch_size=batch_size)
    assert np.ptp(own[:, 0]) > 0.01
    assert np.abs(found - own).max() < 1e-5


@pytest.mark.parametrize(("unpadded", "expected"), [(True, [45]), (False, [32, 13])])
def test_the_unpadded_encoder_gets_batches_by_tokens_and_the_models_own_by_rows(loaded, table, unpadded, expected):
    from tf_finetune.backend import tf
    from tf_finetune.evaluation.predictor import Forward, table_logits

    batches = []

    def function(inputs):
        batches.append(inputs["input_ids"].shape)
        return tf.zeros([inputs["input_ids"].shape[0], 2])

    table_logits(Forward(function, unpadded), loaded.spec, table, batch_size=32)
    assert [rows for rows, _ in batches] == expected
    batches.clear()
    table_logits(Forward(function, unpadded), loaded.spec, table, batch_size=1)
    assert unpadded == (len(batches) < len(table))
    assert all(rows == 1 or rows * (length - 7) <= 256 for rows, length in batches)  # lengths are rounded up to 8


@pytest.mark.parametrize("hindrance", ["another activation", "a GPU"])
def test_where_it_does_not_fit_the_model_computes_itself(tiny_run, monkeypatch, hindrance):
    import tf_finetune.serving.graph.forward as module
    from tf_finetune.evaluation.predictor import make_forward
    from tf_finetune.model.trained import load_run

    loaded = load_run(tiny_run.run)
    if hindrance == "a GPU":
        monkeypatch.setattr(module, "gpus", lambda: ["/gpu:0"])
    else:
        loaded.model.config.hidden_act = "relu"
    assert not make_forward(loaded.model, loaded.spec).unpadded


def test_a_keras_model_of_logits_computes_itself():
    from tf_finetune.backend import keras, tf
    from tf_finetune.evaluation.predictor import make_forward

    ids = keras.Input([None], dtype="int32", name="input_ids")
    model = keras.Model({"input_ids": ids}, keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(9, 2)(ids)))
    forward = make_forward(model, {"input_ids": tf.TensorSpec([None, None], tf.int32)})
    assert not forward.unpadded
    assert forward.function({"input_ids": tf.ones([3, 4], tf.int32)}).shape == (3, 2)


def test_the_predictor_answers_alike_whatever_the_batch_size(tiny_run):
    from tf_finetune.evaluation.predictor import load_predictor

    predictor = load_predictor(tiny_run.run.path)
    assert predictor.forward.unpadded
    few = dataclasses.replace(predictor, batch_size=1)
    assert np.abs(predictor.probabilities(TEXTS) - few.probabilities(TEXTS)).max() < 1e-5


def test_an_unpadded_encoder_that_answers_otherwise_is_not_used(tiny_run, monkeypatch, caplog):
    from tf_finetune.evaluation.predictor import load_predictor
    from tf_finetune.model.unpadded import Unpadded

    logits = Unpadded.logits
    monkeypatch.setattr(Unpadded, "logits", lambda *args, **named: logits(*args, **named) + 1e-3)
    predictor = load_predictor(tiny_run.run.path)
    assert not predictor.forward.unpadded
    assert "the unpadded encoder differs by 1e-03 from the model's own, which is used" in caplog.text
