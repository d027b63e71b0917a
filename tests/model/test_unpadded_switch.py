"""The unpadded encoder in Keras: compile, fit, save, export; what it leaves to the model; what it refuses."""

import inspect

import numpy as np
import pytest

from tests.model.unpadded_models import LABELS, SIZES, VOCABULARY, batch, dataset, make, shared

BOUND = 3e-6


def fitted(kind="bert", unpadded=True, parts=1, weights=None, smoothing=0.0, frozen=None):
    """A model after one update with plain SGD, and Keras' history."""
    from tf_finetune.backend import keras
    from tf_finetune.model.compile import compile_model
    from tf_finetune.model.freeze import freeze
    from tf_finetune.model.unpadded import use_unpadded_encoder
    from tf_finetune.tokens.cuts import Cuts

    model = make(kind)
    if frozen:
        freeze(model, frozen)
    compile_model(
        model,
        updates=1,
        optimizer=keras.optimizers.SGD(0.5),
        cuts=Cuts(parts=parts),
        label_smoothing=smoothing,
    )
    if unpadded:
        use_unpadded_encoder(model, seed=1)
    more = () if weights is None else (np.array(weights, np.float32),)
    history = model.fit(dataset(*batch(kind), *more), verbose=0).history
    return model, history


def short(variable):
    """Its name without that of the model, which Keras numbers."""
    return variable.name.partition("/")[2]


EVERYTHING = {"parts": 4, "weights": [1, 0.5, 0, 2, 3, 1], "smoothing": 0.1, "frozen": "embeddings,0"}
OTHERS = [pytest.param(kind, EVERYTHING, marks=pytest.mark.slow) for kind in SIZES if kind != "bert"]


@pytest.mark.parametrize(("kind", "settings"), [("bert", {}), ("bert", EVERYTHING), *OTHERS])
def test_fit_gives_the_same_weights(kind, settings):
    ours, our_history = fitted(kind, **settings)
    theirs, their_history = fitted(kind, unpadded=False, **settings)
    for name in their_history:
        assert our_history[name] == pytest.approx(their_history[name], abs=1e-5)
    before = {short(variable): variable.numpy() for variable in make(kind).variables}
    moved = 0.0
    for one, other in zip(ours.variables, theirs.variables, strict=True):
        assert np.abs(one.numpy() - other.numpy()).max() < 1e-5
        moved = max(moved, np.abs(one.numpy() - before[short(one)]).max())
    assert moved > 1e-2


def test_evaluate_predict_and_the_outputs_are_the_models():
    from tf_finetune.model.unpadded import use_model_encoder, use_unpadded_encoder

    model = shared("bert")
    inputs, labels = batch()
    model.compile(loss=lambda y, p: p[:, 0], metrics=["accuracy"])
    signature = inspect.signature(model.call)

    def answers():
        output = model(inputs, training=False, labels=labels)
        return (
            type(output),
            output.loss,
            output.logits,
            model.predict(dataset(inputs, labels), verbose=0).logits,
            model.evaluate(dataset(inputs, labels), verbose=0),
        )

    kind, *theirs = answers()
    unpadded = use_unpadded_encoder(model, seed=1)
    assert inspect.signature(model.call) == signature
    our_kind, *ours = answers()
    use_model_encoder(model)
    assert "call" not in vars(model)
    assert int(unpadded.counter) == 0
    assert our_kind is kind
    for one, other in zip(ours, theirs):
        assert np.allclose(one, other, atol=1e-5)


def test_another_function_in_its_place_is_not_ours_to_remove():
    from tf_finetune.model.unpadded import use_model_encoder

    model = make("bert")
    own = model.call = lambda *args, **kwargs: None
    use_model_encoder(model)
    assert model.call is own


def test_inputs_in_all_forms():
    from tf_finetune.model.unpadded import use_model_encoder, use_unpadded_encoder

    model, (inputs, _) = shared("bert"), batch()
    expected = model(inputs, training=False).logits
    unpadded = use_unpadded_encoder(model, seed=1)
    calls = []
    unpadded.logits = lambda given, _logits=unpadded.logits, **more: calls.append(1) or _logits(given, **more)
    forms = [
        lambda: model(inputs, training=False).logits,
        lambda: model(**inputs, training=False).logits,
        lambda: model(inputs["input_ids"], inputs["attention_mask"], inputs["token_type_ids"]).logits,
        lambda: model({name: value.astype(np.int64) for name, value in inputs.items()}).logits,
    ]
    try:
        for form in forms:
            assert np.allclose(form(), expected, atol=BOUND)
        assert len(calls) == len(forms)
        # what it does not compute, the model computes itself
        assert len(model(inputs, output_hidden_states=True).hidden_states) == 3
        assert isinstance(model(inputs, return_dict=False), tuple)
        columns = np.arange(inputs["input_ids"].shape[1], dtype=np.int32)[None]
        assert np.allclose(model(inputs, position_ids=columns).logits, expected, atol=BOUND)
        assert len(calls) == len(forms)
    finally:
        use_model_encoder(model)


def test_fit_counts_its_steps_and_leaves_the_weights_as_they_were(tmp_path):
    from tf_finetune.backend import transformers
    from tf_finetune.model.unpadded import use_unpadded_encoder

    model = make("bert", rate=0.1)
    names = [weight.name for weight in model.weights]
    model.compile(optimizer="sgd", loss=lambda y, p: p[:, 0])
    unpadded = use_unpadded_encoder(model, seed=3)
    inputs, labels = batch()
    model.fit(dataset(inputs, labels).repeat(3), verbose=0)
    assert int(unpadded.counter) == 3
    assert [weight.name for weight in model.weights] == names

    model.save_pretrained(str(tmp_path))
    again = transformers.TFBertForSequenceClassification.from_pretrained(str(tmp_path))
    assert np.allclose(again(inputs).logits, model(inputs, training=False).logits, atol=BOUND)


def test_an_exported_graph_has_core_operations_and_the_same_logits(tmp_path):
    from tf_finetune.backend import tf
    from tf_finetune.model.unpadded import use_unpadded_encoder

    model = make("bert", rate=0.1)
    expected = {lengths: model(batch(lengths=lengths)[0]).logits for lengths in [(3, 9), (12, 1, 4)]}
    use_unpadded_encoder(model, seed=3)
    spec = {name: tf.TensorSpec([None, None], tf.int32, name) for name in batch()[0]}
    module = tf.Module()
    module.variables_of_the_model = list(model.variables)  # as in our exports: not the Keras model itself
    module.forward = tf.function(lambda inputs: model(inputs, training=False).logits, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path), signatures=module.forward)
    exported = tf.saved_model.load(str(tmp_path))
    for lengths, logits in expected.items():
        inputs = {name: tf.constant(value) for name, value in batch(lengths=lengths)[0].items()}
        assert np.allclose(exported.forward(inputs), logits, atol=BOUND)
    graph = exported.forward.concrete_functions[0].graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert not any(node.attr["_XlaMustCompile"].b or "StatelessRandom" in node.op for node in nodes)


@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        ("bert", {"hidden_act": "relu"}, "activation is 'relu'"),
        ("bert", {"hidden_act": "gelu_new"}, "activation is 'gelu_new'"),
        ("distilbert", {"activation": "relu"}, "activation is 'relu'"),
        ("bert", {"position_embedding_type": "relative_key"}, "position embeddings are 'relative_key'"),
        ("bert", {"is_decoder": True}, "decoder"),
        ("bert", {"output_attentions": True}, "output_attentions is set"),
        ("bert", {"output_hidden_states": True}, "output_hidden_states is set"),
        ("bert", {"return_dict": False}, "return_dict is off"),
        ("xlnet", {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16}, "TFXLNet.* is not one of TFBert"),
        ("mpnet", {**SIZES["roberta"]}, "bias for each distance"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(kind, settings, reason):
    from tf_finetune.errors import ModelError
    from tf_finetune.model.unpadded import check_equal, use_unpadded_encoder, why_not

    one_layer = {"n_layers": 1} if kind == "distilbert" else {} if kind == "xlnet" else {"num_hidden_layers": 1}
    model = make(kind, **{**settings, **one_layer})
    with pytest.raises(ModelError, match=reason):
        use_unpadded_encoder(model, seed=1)
    with pytest.raises(ModelError, match=reason):
        check_equal(model, *batch())
    assert why_not(model) and "call" not in vars(model)


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_other_precision_is_refused(kind, dtype):
    from tf_finetune.backend import precision_policy
    from tf_finetune.model.unpadded import why_not

    one_layer = {"n_layers": 1} if kind == "distilbert" else {"num_hidden_layers": 1}
    with precision_policy(f"mixed_{dtype}"):
        assert why_not(make(kind, **one_layer)) == f"it computes in {dtype}, and only float32 was found equal"


def test_xla_is_refused():
    from tf_finetune.model.unpadded import why_not

    model = make("bert", num_hidden_layers=1)
    assert why_not(model) is None
    model.compile(optimizer="sgd", jit_compile=True)
    assert "XLA" in why_not(model)


def test_all_families_fit():
    from tf_finetune.model.unpadded import why_not
    from tf_finetune.model.unpadded.parts import FAMILIES

    assert {type(shared(kind)).__name__ for kind in SIZES} == set(FAMILIES)
    assert all(why_not(shared(kind)) is None for kind in SIZES)
    assert LABELS < VOCABULARY
