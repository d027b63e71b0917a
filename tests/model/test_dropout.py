"""Dropout of the models' own encoders: all its state is in variables, its statistics are what they were."""

import functools

import numpy as np
import pytest

from tests.model.test_architectures import SIZES, VOCABULARY

USUAL = ("bert", "deberta-v2", "funnel")
STATEFUL = {"RngReadAndSkip", "ReadVariableOp", "ResourceGather", "Assert", "If"}
"""What a training call may do beside computing: draw from a generator, read variables, check."""


def make(kind, rate=0.3, **settings):
    """A tiny classifier with dropout wherever its configuration knows one."""
    from transformers.models.auto.modeling_tf_auto import TF_MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING as CLASSES

    from tf_finetune.backend import keras, transformers

    keras.utils.set_random_seed(1)
    sizes = {"vocab_size": VOCABULARY, "num_labels": 2, "pad_token_id": 0} | SIZES[kind]
    config = transformers.AutoConfig.for_model(kind, **sizes)
    for name, value in config.to_dict().items():
        if "drop" in name and "layerdrop" not in name and isinstance(value, (int, float)):
            setattr(config, name, rate)
    config.update(settings)
    model = CLASSES[type(config)](config)
    model.build_in_name_scope()
    return model


def inputs_of(model):
    """Two rows of eight tokens, with one end each, as BART wants."""
    from tf_finetune.backend import tf

    ids = np.random.default_rng(0).integers(6, VOCABULARY, (2, 8)).astype(np.int32)
    end = model.config.eos_token_id
    ids[:, 5] = end if end is not None and end < VOCABULARY else ids[:, 5]
    return {"input_ids": tf.constant(ids), "attention_mask": tf.ones_like(ids)}


@functools.cache
def seeded(kind):
    """A seeded model, its states, its training call as a graph, and inputs."""
    from tf_finetune.model.dropout import seed_dropout

    model = make(kind)
    states = seed_dropout(model, seed=1)
    return model, states, training_call(model), inputs_of(model)


def training_call(model):
    """Logits as one graph for batches of all sizes, as in training."""
    from tf_finetune.backend import tf

    spec = {name: tf.TensorSpec([None, None], tf.int32) for name in ("input_ids", "attention_mask")}
    return tf.function(lambda inputs: model(inputs, training=True).logits).get_concrete_function(spec)


def stateful_operations(call):
    """Types of all operations of a graph that keep or change something, those of its functions among them."""
    from tensorflow.python.framework import op_def_registry

    graph = call.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    known = {node.op: op_def_registry.get(node.op) for node in nodes}
    return {name for name, definition in known.items() if definition is not None and definition.is_stateful}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in USUAL else pytest.mark.slow) for kind in SIZES]
)
def test_training_draws_from_generators_alone(kind):
    _, states, call, inputs = seeded(kind)
    found = stateful_operations(call)
    assert "RngReadAndSkip" in found
    assert found <= STATEFUL

    before = [state.numpy() for state in states]
    first, second = call(inputs), call(inputs)
    assert not np.array_equal(first, second)
    for state, value in zip(states, before, strict=True):
        state.assign(value)
    assert np.array_equal(call(inputs), first) and np.array_equal(call(inputs), second)


def test_unseeded_training_would_draw_from_elsewhere():
    """The test above can fail."""
    assert "RandomUniform" in stateful_operations(training_call(make("distilbert")))


@pytest.mark.parametrize("kind", ["bert", "deberta-v2"])
def test_masks_follow_from_seed_and_place(kind):
    from tf_finetune.model.dropout import seed_dropout

    model, _, _, inputs = seeded(kind)

    def logits(seed):
        states = seed_dropout(model, seed=seed)
        assert len({state.numpy().tobytes() for state in states}) == len(states)  # each place has its own
        return model(inputs, training=True).logits.numpy()

    assert np.array_equal(logits(5), logits(5))
    assert not np.array_equal(logits(5), logits(6))


@pytest.mark.parametrize("kind", ["bert", "deberta-v2"])
def test_inference_draws_nothing(kind):
    model, states, _, inputs = seeded(kind)
    before = [state.numpy() for state in states]
    first, second = (model(inputs, training=False).logits.numpy() for _ in range(2))
    assert np.array_equal(first, second)
    assert all(np.array_equal(state, value) for state, value in zip(states, before, strict=True))


@pytest.mark.parametrize("kind", ["bert", "deberta"])
def test_weights_and_what_is_saved_stay(kind, tmp_path):
    from tf_finetune.model.dropout import seed_dropout

    model = make(kind)

    def saved(name):
        model.save_pretrained(str(tmp_path / name), safe_serialization=True)
        files = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        return files, [(weight.name, weight.shape) for weight in model.weights]

    before = saved("before")
    assert seed_dropout(model, seed=1)
    model(inputs_of(model), training=True)
    assert saved("after") == before


def stable_dropout(kind, rate):
    """A layer of DeBERTa's own dropout, as it was and seeded."""
    from tf_finetune.backend import keras
    from tf_finetune.model.dropout import STABLE_DROPOUT, seed_dropout

    found = next(layer for layer in seeded(kind)[0].submodules if type(layer).__name__ in STABLE_DROPOUT)
    own, ours = type(found)(rate), type(found)(rate)
    seed_dropout(keras.Sequential([ours]), seed=3)
    return own, ours


@pytest.mark.parametrize("kind", ["deberta-v2", pytest.param("deberta", marks=pytest.mark.slow)])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5])
def test_debertas_own_dropout_keeps_its_rate_mean_and_gradient(kind, rate):
    """Shares within 5 standard deviations."""
    from tf_finetune.backend import tf

    count = 100_000
    x = tf.random.stateless_uniform([count], (1, 2), 1.0, 2.0)
    upstream = tf.random.stateless_uniform([count], (3, 4), 1.0, 2.0)
    bound = 5 * np.sqrt(rate * (1 - rate) / count)
    for layer in stable_dropout(kind, rate):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        gradient = tape.gradient(y, x, output_gradients=upstream)
        kept = y.numpy() != 0
        assert abs((~kept).mean() - rate) <= bound
        assert np.allclose(y, np.where(kept, x / (1 - rate), 0.0))
        assert np.allclose(gradient, np.where(kept, upstream / (1 - rate), 0.0))
        assert np.array_equal(layer(x, training=False), x)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("flaubert", {"layerdrop": 1.0}),
        pytest.param("bart", {"encoder_layerdrop": 1.0, "decoder_layerdrop": 1.0}, marks=pytest.mark.slow),
    ],
)
def test_no_layer_is_left_out_of_the_whole_run(kind, settings, caplog):
    from tf_finetune.backend import tf
    from tf_finetune.model.dropout import seed_dropout

    def without_gradient(model):
        with tf.GradientTape() as tape:
            logits = model(inputs_of(model), training=True).logits
        return sum(gradient is None for gradient in tape.gradient(logits, model.trainable_variables))

    model, usual = make(kind, **settings), without_gradient(make(kind))
    assert without_gradient(model) > usual
    seed_dropout(model, seed=1)
    assert without_gradient(model) == usual
    assert "layerdrop 1 of" in caplog.text and len(caplog.messages) == len(settings)
