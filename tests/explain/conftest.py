"""Tiny random classifiers whose logits depend on every word."""

import pytest

TALL = {"initializer_range": 0.5, "num_labels": 3, "vocab_size": 40}
BERT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
}
KINDS = {
    "albert": {**BERT, "embedding_size": 8},
    "bert": BERT,
    "deberta-v2": {**BERT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 40},
    "electra": {**BERT, "embedding_size": 8},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40, "pad_token_id": 0},
    "mistral": {**BERT, "num_key_value_heads": 2, "pad_token_id": 0},
    "mpnet": {**BERT, "pad_token_id": 1},
    "roberta": {**BERT, "pad_token_id": 1},
    "xlm-roberta": {**BERT, "pad_token_id": 1},
    "xlnet": {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32},
}


@pytest.fixture(scope="session")
def make_embedded():
    """Model type to an `EmbeddedModel` of a random classifier."""
    from transformers.models.auto.modeling_tf_auto import TF_MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING as CLASSES

    from tf_finetune.backend import keras, transformers
    from tf_finetune.explain.embeddings import embedded_model

    def make(kind, **settings):
        keras.utils.set_random_seed(3)
        config = transformers.AutoConfig.for_model(kind, **{**TALL, **KINDS.get(kind, {}), **settings})
        model = CLASSES[type(config)](config)
        model.build_in_name_scope()
        return embedded_model(model, {"input_ids": None})

    return make
