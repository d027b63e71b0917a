import numpy as np
import pytest

from tf_finetune.errors import ConfigError

BERT = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 20}
SIZES = {
    "bert": BERT,
    "distilbert": {"dim": 8, "n_layers": 3, "n_heads": 2, "hidden_dim": 8, "vocab_size": 20},
    "gpt2": {"n_embd": 8, "n_layer": 3, "n_head": 2, "n_positions": 16, "vocab_size": 20},
    "bart": {
        "d_model": 8,
        "encoder_layers": 3,
        "decoder_layers": 3,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 8,
        "decoder_ffn_dim": 8,
        "max_position_embeddings": 16,
        "vocab_size": 20,
    },
    "xlnet": {"d_model": 8, "n_layer": 3, "n_head": 2, "d_inner": 8, "vocab_size": 20},
    "xlm": {"emb_dim": 8, "n_layers": 3, "n_heads": 2, "vocab_size": 20, "max_position_embeddings": 16},
    "funnel": {"d_model": 8, "n_head": 2, "d_head": 4, "d_inner": 8, "block_sizes": [2, 1], "vocab_size": 20},
    "albert": {**BERT, "embedding_size": 8, "max_position_embeddings": 16},
    "mistral": {**BERT, "num_key_value_heads": 2},
}
EMBEDDINGS = {
    "bert": ["word_embeddings", "position_embeddings", "token_type_embeddings", "embeddings/LayerNorm"],
    "distilbert": ["word_embeddings", "position_embeddings", "embeddings/LayerNorm"],
    "gpt2": ["wte", "wpe"],
    "bart": ["model.shared", "embed_positions"],
    "xlnet": ["word_embedding"],
    "xlm": ["embeddings"],
    "funnel": ["word_embeddings", "embeddings/layer_norm"],
    "albert": ["word_embeddings", "position_embeddings", "token_type_embeddings", "embeddings/LayerNorm"],
    "mistral": ["embed_tokens"],
}
SECOND_LAYER = {
    "bert": ["layer_._1/"],
    "distilbert": ["layer_._1/"],
    "gpt2": ["h_._1/"],
    "bart": ["encoder/layers.1/", "decoder/layers.1/"],
    "xlnet": ["layer_._1/"],
    "xlm": ["attentions_._1/", "ffns_._1/", "layer_norm1_._1/", "layer_norm2_._1/"],
    "funnel": ["blocks_._0_._1/"],
    "mistral": ["layers.1/"],
}


@pytest.fixture(scope="module")
def build():
    """Makes a tiny classifier of a kind, built but untrained."""
    from transformers.models.auto.modeling_tf_auto import TF_MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING as CLASSES

    from tf_finetune.backend import transformers

    def model(kind):
        config = transformers.AutoConfig.for_model(kind, **SIZES[kind])
        model = CLASSES[type(config)](config)
        model.build_in_name_scope()
        return model

    return model


def frozen_names(model):
    trainable = {id(weight) for weight in model.trainable_weights}
    return [weight.name for weight in model.weights if id(weight) not in trainable]


def initially_frozen(build, kind):
    return set(frozen_names(build(kind)))


def check(model, parts, before=()):
    """All weights of the parts are frozen, and no others."""
    frozen = frozen_names(model)
    for part in parts:
        assert any(part in name for name in frozen), part
    for weight in model.weights:
        wanted = any(part in weight.name for part in parts)
        assert (weight.name in frozen) == wanted or weight.name.split("/", 1)[1] in before, weight.name


@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_embeddings(build, kind):
    from tf_finetune.model.freeze import freeze

    model = build(kind)
    before = {name.split("/", 1)[1] for name in frozen_names(model)}
    assert freeze(model, "embeddings") == ["embeddings"]
    # XLM's position embeddings are no layer; the documentation says so
    parts = [part if kind != "xlm" else "/embeddings/" for part in EMBEDDINGS[kind]]
    check(model, parts, before)


@pytest.mark.parametrize("kind", SECOND_LAYER)
def test_one_layer(build, kind):
    from tf_finetune.model.freeze import freeze

    model = build(kind)
    before = {name.split("/", 1)[1] for name in frozen_names(model)}
    assert freeze(model, "1") == ["1"]
    check(model, SECOND_LAYER[kind], before)


def test_lists_and_ranges(build):
    from tf_finetune.model.freeze import freeze

    model = build("bert")
    assert freeze(model, "embeddings, 0-1") == ["embeddings", "0-1"]
    check(model, [*EMBEDDINGS["bert"], "layer_._0/", "layer_._1/"])
    model = build("bert")
    freeze(model, "0,2")
    check(model, ["layer_._0/", "layer_._2/"])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ("3", "has no layer 3; its layers are 0 to 2"),
        ("embeddings,1-3", "has no layer 3; its layers are 0 to 2"),
        ("0-99999999999", "has no layer 99999999999; its layers are 0 to 2"),
        ("2-1", "takes 'embeddings' and layer numbers.*Received: '2-1'"),
        ("head", "Received: 'head'"),
        ("-1", "Received: '-1'"),
        ("1-", "Received: '1-'"),
        ("", "Received: ''"),
        ("0,", "Received: ''"),
    ],
)
def test_what_is_not_there_is_refused_and_nothing_is_frozen(build, parts, message):
    from tf_finetune.model.freeze import freeze

    model = build("bert")
    with pytest.raises(ConfigError, match=message):
        freeze(model, parts)
    assert frozen_names(model) == []


def test_a_model_without_such_parts():
    from tf_finetune.backend import keras
    from tf_finetune.model.freeze import freeze

    model = keras.Sequential([keras.layers.Input([4]), keras.layers.Dense(2)])
    with pytest.raises(ConfigError, match="embeddings: none were found in Sequential"):
        freeze(model, "embeddings")
    with pytest.raises(ConfigError, match="Sequential has no layer 0; none of its layers is numbered"):
        freeze(model, "0")


def test_nothing_left_to_train(build):
    from tf_finetune.model.freeze import freeze

    model = build("bert")
    model.classifier.trainable = model.bert.trainable = False
    with pytest.raises(ConfigError, match="--freeze 0 leaves nothing to train"):
        freeze(model, "0")


def test_training_leaves_frozen_weights_alone_and_moves_all_others(build):
    from tf_finetune.backend import tf
    from tf_finetune.model.compile import compile_model
    from tf_finetune.model.freeze import freeze

    model = build("bert")
    freeze(model, "embeddings,1")
    compile_model(model, updates=2, learning_rate=0.1, weight_decay=0.1)
    model.run_eagerly = True
    before = {weight.name: weight.numpy() for weight in model.weights}
    ids = np.random.default_rng(0).integers(1, 20, (4, 6)).astype(np.int32)
    dataset = tf.data.Dataset.from_tensors(({"input_ids": ids}, np.array([0, 1, 1, 0], np.int32))).repeat(2)
    model.fit(dataset, verbose=0)
    for weight in model.weights:
        kept = np.array_equal(before[weight.name], weight.numpy())
        assert kept == any(part in weight.name for part in ("/embeddings/", "layer_._1/")), weight.name
