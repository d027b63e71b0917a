"""Where each architecture keeps the layers that the unpadded encoder reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tf_finetune.backend import tf

__all__ = ["FAMILIES", "Encoder", "EncoderLayer", "read_encoder"]

Head = Callable[[Any, Callable[[Any, Any], Any]], Any]


@dataclass(frozen=True)
class EncoderLayer:
    """One layer: Keras layers of the model, and the dropout rates between them.

    Attributes:
        query: Dense, as are `key`, `value`, `output`, `intermediate` and `narrow`.
        key: See `query`.
        value: See `query`.
        output: Dense after attention.
        attention_norm: LayerNormalization after attention and its residual.
        intermediate: Dense of the feed-forward network, before GELU.
        narrow: Dense after GELU.
        output_norm: LayerNormalization after the feed-forward network and its residual.
        probability_rate: Dropout of the attention probabilities.
        attention_rate: Dropout between `output` and the residual.
        output_rate: Dropout between `narrow` and the residual.
    """

    query: Any
    key: Any
    value: Any
    output: Any
    attention_norm: Any
    intermediate: Any
    narrow: Any
    output_norm: Any
    probability_rate: float
    attention_rate: float
    output_rate: float


@dataclass(frozen=True)
class Encoder:
    """A classifier taken apart.

    Attributes:
        words: Variable `[vocabulary, size]`.
        positions: Variable `[positions, size]`.
        types: Variable `[types, size]`, or None without token types.
        norm: LayerNormalization of the embeddings.
        rate: Dropout of the embeddings.
        project: Dense from the embeddings' size to the hidden size, or None.
        layers: From first to last.
        heads: Attention heads.
        padding_position: Position of padding tokens, after which positions are counted over tokens other than padding,
            or None if positions are columns.
        head: Takes the first tokens' states `[batch, hidden]` and a function `dropout(x, keras_dropout)`, gives logits.
    """

    words: Any
    positions: Any
    types: Any
    norm: Any
    rate: float
    project: Any
    layers: tuple[EncoderLayer, ...]
    heads: int
    padding_position: int | None
    head: Head


def read_encoder(model: Any) -> Encoder:
    """Takes a classifier of one of `FAMILIES` apart."""
    return FAMILIES[type(model).__name__](model)


def _bert(model: Any) -> Encoder:
    def head(first: Any, dropout: Any) -> Any:
        return model.classifier(dropout(model.bert.pooler.dense(first), model.dropout))

    return _like_bert(model, model.bert, head)


def _roberta(model: Any) -> Encoder:
    def head(first: Any, dropout: Any) -> Any:
        layers = model.classifier
        return layers.out_proj(dropout(layers.dense(dropout(first, layers.dropout)), layers.dropout))

    return _like_bert(model, model.roberta, head, padding_position=model.roberta.embeddings.padding_idx)


def _electra(model: Any) -> Encoder:
    def head(first: Any, dropout: Any) -> Any:
        layers = model.classifier
        states = tf.nn.gelu(layers.dense(dropout(first, layers.dropout)))
        return layers.out_proj(dropout(states, layers.dropout))

    return _like_bert(model, model.electra, head)


def _like_bert(model: Any, main: Any, head: Head, padding_position: int | None = None) -> Encoder:
    layers = tuple(_bert_layer(layer) for layer in main.encoder.layer)
    return _encoder(main, layers, head, heads=model.config.num_attention_heads, padding_position=padding_position)


def _encoder(
    main: Any, layers: tuple[EncoderLayer, ...], head: Head, *, heads: int, padding_position: int | None = None
) -> Encoder:
    embeddings = main.embeddings
    return Encoder(
        words=embeddings.weight,
        positions=embeddings.position_embeddings,
        types=getattr(embeddings, "token_type_embeddings", None),
        norm=embeddings.LayerNorm,
        rate=embeddings.dropout.rate,
        project=getattr(main, "embeddings_project", None),
        layers=layers,
        heads=heads,
        padding_position=padding_position,
        head=head,
    )


def _bert_layer(layer: Any) -> EncoderLayer:
    attention, after, last = layer.attention.self_attention, layer.attention.dense_output, layer.bert_output
    return EncoderLayer(
        query=attention.query,
        key=attention.key,
        value=attention.value,
        output=after.dense,
        attention_norm=after.LayerNorm,
        intermediate=layer.intermediate.dense,
        narrow=last.dense,
        output_norm=last.LayerNorm,
        probability_rate=attention.dropout.rate,
        attention_rate=after.dropout.rate,
        output_rate=last.dropout.rate,
    )


def _distilbert(model: Any) -> Encoder:
    def head(first: Any, dropout: Any) -> Any:
        return model.classifier(dropout(model.pre_classifier(first), model.dropout))

    layers = tuple(_distilbert_layer(layer) for layer in model.distilbert.transformer.layer)
    return _encoder(model.distilbert, layers, head, heads=model.config.n_heads)


def _distilbert_layer(layer: Any) -> EncoderLayer:
    attention = layer.attention
    return EncoderLayer(
        query=attention.q_lin,
        key=attention.k_lin,
        value=attention.v_lin,
        output=attention.out_lin,
        attention_norm=layer.sa_layer_norm,
        intermediate=layer.ffn.lin1,
        narrow=layer.ffn.lin2,
        output_norm=layer.output_layer_norm,
        probability_rate=attention.dropout.rate,
        attention_rate=0.0,  # it has a dropout layer there, and does not call it
        output_rate=layer.ffn.dropout.rate,
    )


FAMILIES: dict[str, Callable[[Any], Encoder]] = {
    "TFBertForSequenceClassification": _bert,
    "TFRobertaForSequenceClassification": _roberta,
    "TFXLMRobertaForSequenceClassification": _roberta,
    "TFCamembertForSequenceClassification": _roberta,
    "TFDistilBertForSequenceClassification": _distilbert,
    "TFElectraForSequenceClassification": _electra,
}
"""Class name to its reader. All their heads read the first token alone."""
