"""Every architecture that is allowed: a tiny random checkpoint is loaded, trained, saved and loaded again."""

import numpy as np
import pytest

from tf_finetune.errors import ModelError
from tf_finetune.model.architectures import NOT_TEXT

LABELS = ("bad", "fine", "good")
VOCABULARY = 32
BERT = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 32,
}
ROBERTA = {**BERT, "max_position_embeddings": 34, "pad_token_id": 1}
GPT = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32}
XLM = {"emb_dim": 16, "n_layers": 1, "n_heads": 2, "max_position_embeddings": 32}
BART = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "max_position_embeddings": 32,
}
MOBILEBERT = {"embedding_size": 16, "intra_bottleneck_size": 16, "num_feedforward_networks": 1, "true_hidden_size": 16}
SIZES = {
    "albert": {**BERT, "embedding_size": 16},
    "bart": BART,
    "bert": BERT,
    "camembert": ROBERTA,
    "convbert": {**BERT, "embedding_size": 16},
    "ctrl": {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32, "dff": 16},
    "deberta": BERT,
    "deberta-v2": BERT,
    "distilbert": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16, "max_position_embeddings": 32},
    "electra": {**BERT, "embedding_size": 16},
    "flaubert": XLM,
    "funnel": {"d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 16, "block_sizes": [1], "num_decoder_layers": 1},
    "gpt-sw3": GPT,
    "gpt2": GPT,
    "gptj": {**GPT, "rotary_dim": 4},
    "longformer": {**ROBERTA, "attention_window": 4},
    "mistral": {**BERT, "num_key_value_heads": 2},
    "mobilebert": {**BERT, **MOBILEBERT},
    "mpnet": ROBERTA,
    "openai-gpt": GPT,
    "rembert": {**BERT, "input_embedding_size": 16, "output_embedding_size": 16},
    "roberta": ROBERTA,
    "roberta-prelayernorm": ROBERTA,
    "roformer": {**BERT, "embedding_size": 16},
    "xlm": XLM,
    "xlm-roberta": ROBERTA,
    "xlnet": {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16},
}
SLOW = {"bart", "camembert", "electra", "flaubert", "gpt-sw3", "longformer", "rembert", "xlm-roberta"}
"""The dearest to trace, and those whose code is that of another one here."""


class Tokenizer:
    """A stand-in for a tokenizer of the architecture: its size, its padding, its inputs."""

    def __init__(self, pad_token_id, model_input_names):
        self.pad_token_id = pad_token_id
        self.model_input_names = model_input_names

    def __len__(self):
        return VOCABULARY


def make(kind):
    """A random classifier of two labels, and the stand-in for its tokenizer."""
    from transformers.models.auto.modeling_tf_auto import TF_MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING as CLASSES

    from tf_finetune.backend import keras, transformers

    keras.utils.set_random_seed(1)
    config = transformers.AutoConfig.for_model(kind, vocab_size=VOCABULARY, num_labels=2, **SIZES[kind])
    model = CLASSES[type(config)](config)
    model.build_in_name_scope()
    pad = getattr(config, "pad_token_id", None)
    names = ["input_ids", "attention_mask"]
    if getattr(config, "type_vocab_size", 1) > 1:
        names.append("token_type_ids")
    return model, Tokenizer(0 if pad is None else pad, names)


def batch(spec, pad, end):
    """Four rows of eight positions, the last two of one row padding; BART wants one end in each row."""
    ids = np.random.default_rng(0).integers(6, VOCABULARY, (4, 8)).astype(np.int32)
    ids[:, 5] = end if end is not None and end < VOCABULARY else ids[:, 5]
    ids[1, 6:] = pad
    inputs = {
        "input_ids": ids,
        "attention_mask": (ids != pad).astype(np.int32),
        "token_type_ids": np.repeat(np.array([[0] * 4 + [1] * 4], np.int32), 4, axis=0),
    }
    return {name: inputs[name] for name in spec}


def dataset(inputs, spec, steps):
    """The same batch again and again, of unknown length as in training."""
    from tf_finetune.backend import tf

    labels = np.array([0, 1, 2, 0], np.int32)
    signature = (spec, tf.TensorSpec([None], tf.int32))
    generated = tf.data.Dataset.from_generator(
        lambda: ((inputs, labels) for _ in range(steps)), output_signature=signature
    )
    return generated.apply(tf.data.experimental.assert_cardinality(steps))


def cases():
    return [pytest.param(kind, marks=pytest.mark.slow if kind in SLOW else ()) for kind in SIZES]


@pytest.mark.parametrize("kind", cases())
def test_load_fit_predict_save_and_load_again(kind, tmp_path):
    from tf_finetune.backend import keras
    from tf_finetune.model.checkpoint import open_checkpoint
    from tf_finetune.model.compile import compile_model
    from tf_finetune.model.pretrained import load_model
    from tf_finetune.tokens.pipeline import input_spec

    random, tokenizer = make(kind)
    random.save_pretrained(str(tmp_path / "checkpoint"), safe_serialization=True)
    model = load_model(open_checkpoint(tmp_path / "checkpoint"), tokenizer, label_names=LABELS)
    spec = input_spec(model, tokenizer)
    inputs = batch(spec, tokenizer.pad_token_id, model.config.eos_token_id)

    compile_model(model, updates=2, optimizer=keras.optimizers.SGD(0.1))  # Adam's graph would take half of the time
    before = model.get_weights()
    history = model.fit(dataset(inputs, spec, 2), verbose=0).history
    assert np.isfinite(history["loss"][0])
    assert int(model.optimizer.iterations) == 2
    assert any(not np.array_equal(old, new) for old, new in zip(before, model.get_weights()))

    logits = model(inputs, training=False).logits.numpy()
    assert logits.shape == (4, 3) and np.isfinite(logits).all()
    assert np.allclose(model.predict(dataset(inputs, spec, 1), verbose=0).logits, logits, atol=1e-5)

    model.save_pretrained(str(tmp_path / "saved"), safe_serialization=True)
    again = load_model(open_checkpoint(tmp_path / "saved"), tokenizer, label_names=LABELS, complete=True)
    assert np.array_equal(again(inputs, training=False).logits, logits)
    assert again.config.id2label == {0: "bad", 1: "fine", 2: "good"}


def test_funnel_in_its_equivalent_form_gives_the_same_numbers(tmp_path):
    from tf_finetune.model.checkpoint import open_checkpoint
    from tf_finetune.model.pretrained import load_model

    random, tokenizer = make("funnel")
    random.save_pretrained(str(tmp_path), safe_serialization=True)
    model = load_model(open_checkpoint(tmp_path), tokenizer, label_names=("bad", "good"), complete=True)
    assert (random.config.attention_type, model.config.attention_type) == ("relative_shift", "factorized")
    inputs = batch(("input_ids", "attention_mask"), tokenizer.pad_token_id, None)
    assert np.allclose(model(inputs).logits, random(inputs).logits, atol=1e-6)


def test_every_architecture_is_tried_or_refused():
    from tf_finetune.model.pretrained import known_architectures

    assert set(SIZES) | set(NOT_TEXT) == set(known_architectures())
    assert not set(SIZES) & set(NOT_TEXT)
    assert len(SIZES) == 27 and set(SLOW) <= set(SIZES)


@pytest.mark.parametrize("kind", NOT_TEXT)
def test_what_reads_no_text_is_refused(kind, tmp_path):
    from tf_finetune.model.checkpoint import open_checkpoint
    from tf_finetune.model.pretrained import load_model

    (tmp_path / "config.json").write_text(f'{{"model_type": "{kind}"}}')
    (tmp_path / "model.safetensors").write_bytes(b"never read")
    with pytest.raises(ModelError, match=f"'{kind}' is not supported: {NOT_TEXT[kind][:20]}"):
        load_model(open_checkpoint(tmp_path), Tokenizer(0, []), label_names=LABELS)
