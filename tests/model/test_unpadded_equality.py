"""The unpadded encoder's logits and gradients against each model's own call."""

import numpy as np
import pytest

from tests.model.unpadded_models import LABELS, LONGEST, SIZES, batch, make, shared

BOUND = 3e-6
RELATIVES = {"camembert", "xlm-roberta"}
"""Their code is RoBERTa's."""
KINDS = [pytest.param(kind, marks=pytest.mark.slow if kind in RELATIVES else ()) for kind in SIZES]


def largest(differences):
    return max(differences.values())


@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_all_gradients_with_padding_anywhere(kind):
    from tf_finetune.model.unpadded import check_equal

    model = shared(kind)
    differences = check_equal(model, *batch(kind))
    assert len(differences) == 1 + len(model.trainable_variables)
    assert largest(differences) < BOUND


BATCHES = [(1,), (7,), (1, 1, 1), (LONGEST,) * 3, (LONGEST, *[2] * 40), (9, 4, 1, 7, 12, 5)]
"""Lengths of the rows of batches."""


def weighted_step(model, forward):
    """Logits and gradients of all variables, for rows with weights and smoothed labels: one trace for all sizes."""
    from tf_finetune.backend import tf
    from tf_finetune.model.loss import make_loss

    loss = make_loss(label_smoothing=0.2)

    @tf.function(autograph=False, reduce_retracing=True)
    def step(inputs, labels, weights):
        with tf.GradientTape() as tape:
            logits = forward(inputs)
            value = loss(labels, logits, sample_weight=weights)
        gradients = tape.gradient(value, model.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [logits, *map(tf.convert_to_tensor, gradients)]

    spec = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)]
    names = batch(model.config.model_type)[0]
    return step.get_concrete_function({name: tf.TensorSpec([None, None], tf.int32, name) for name in names}, *spec)


@pytest.mark.parametrize("kind", KINDS)
def test_any_batch_and_any_length_with_class_weights_and_smoothing(kind):
    from tf_finetune.backend import tf
    from tf_finetune.model.unpadded.switch import Unpadded

    model = shared(kind)
    unpadded = Unpadded(model, seed=0)
    theirs = weighted_step(model, lambda inputs: model(inputs, training=False).logits)
    ours = weighted_step(model, lambda inputs: unpadded.logits(inputs, training=True, dropout=False))
    class_weights = np.array([0.5, 0.0, 3.0], np.float32)
    for lengths in BATCHES:
        inputs, labels = batch(kind, lengths=lengths)
        values = tf.nest.map_structure(tf.constant, (inputs, labels, class_weights[labels]))
        found, expected = ours(*values), theirs(*values)
        assert len(found) == len(expected) == 1 + len(model.trainable_variables)
        for one, other in zip(found, expected):
            assert np.abs(one - other).max() < BOUND, lengths
        assert max(np.abs(gradient).max() for gradient in expected[1:]) > 1e-2


def test_rows_longer_than_a_group():
    """Rows of 700, 600 and 500 tokens and 30 short ones take several attention products."""
    from tf_finetune.model.unpadded import check_equal

    model = make("bert", max_position_embeddings=700)
    assert largest(check_equal(model, *batch(lengths=(3, 700, 20, 600, 500, *[9, 33] * 15)))) < BOUND


def test_a_row_of_padding_alone_leaves_the_others_as_they_are():
    from tf_finetune.model.unpadded.switch import Unpadded

    inputs, _ = batch(lengths=(5, 3, 7))
    unpadded = Unpadded(shared("bert"), seed=0)
    before = unpadded.logits(inputs, training=False).numpy()
    inputs["attention_mask"][1] = 0
    after = unpadded.logits(inputs, training=False).numpy()
    assert np.isfinite(after).all()
    assert np.allclose(after[[0, 2]], before[[0, 2]], atol=1e-6)


def test_inference_of_no_rows():
    from tf_finetune.model.unpadded.switch import Unpadded

    inputs = {name: value[:0] for name, value in batch()[0].items()}
    assert Unpadded(shared("bert"), seed=0).logits(inputs, training=False).shape == (0, LABELS)


@pytest.mark.parametrize("kind", KINDS)
def test_inference_without_mask_and_types(kind):
    from tf_finetune.model.unpadded.switch import Unpadded

    model, ids = shared(kind), batch(kind, lengths=(6, 6))[0]["input_ids"]
    unpadded = Unpadded(model, seed=0).logits({"input_ids": ids}, training=False)
    assert np.allclose(unpadded, model(ids, training=False).logits, atol=BOUND)


def test_frozen_parts_have_no_gradient_and_the_others_the_same():
    from tf_finetune.model.freeze import freeze
    from tf_finetune.model.unpadded import check_equal

    model = make("bert")
    everything = len(model.trainable_variables)
    freeze(model, "embeddings,0")
    differences = check_equal(model, *batch())
    assert len(differences) == 1 + len(model.trainable_variables) < everything
    assert not any("embeddings" in name or "layer_._0" in name for name in differences)
    assert largest(differences) < BOUND


def test_the_check_sees_a_difference():
    """A model that does something else in its own call."""
    from tf_finetune.model.unpadded import check_equal

    model = make("bert")
    model.bert.encoder.layer[0].intermediate.intermediate_act_fn = lambda x: x
    assert largest(check_equal(model, *batch())) > 1e-3


def test_a_graph_is_traced_once_for_all_sizes():
    from tf_finetune.backend import tf
    from tf_finetune.model.unpadded.switch import Unpadded

    model, unpadded = shared("bert"), Unpadded(shared("bert"), seed=0)
    spec = {name: tf.TensorSpec([None, None], tf.int32) for name in batch()[0]}
    forward = tf.function(lambda x: unpadded.logits(x, training=False), input_signature=[spec])
    for lengths in [(3, 5), (12, 1, 1, 4), (2,), (LONGEST,) * 9]:
        inputs, _ = batch(lengths=lengths)
        assert np.allclose(forward(inputs), model(inputs, training=False).logits, atol=BOUND)
    assert forward.experimental_get_tracing_count() == 1
