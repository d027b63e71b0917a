"""`encode`: padded inputs to logits through the real tokens alone."""

from __future__ import annotations

import math
from typing import Any

from tf_finetune.backend import tf
from tf_finetune.model.unpadded.attention import attend
from tf_finetune.model.unpadded.compiled import add_norm, drop, gelu, norm, project
from tf_finetune.model.unpadded.dropout import Dropout
from tf_finetune.model.unpadded.first_token import attend_first
from tf_finetune.model.unpadded.parts import Encoder, EncoderLayer
from tf_finetune.model.unpadded.tokens import Tokens, find_tokens

__all__ = ["encode"]


def encode(
    encoder: Encoder,
    input_ids: Any,
    attention_mask: Any,
    token_type_ids: Any,
    *,
    training: bool,
    seed: Any,
    sizes: tuple[int, ...] = (),
) -> Any:
    """Logits of a batch.

    Args:
        encoder: The model's parts.
        input_ids: int32 `[batch, length]`.
        attention_mask: `[batch, length]`, 0 for padding.
        token_type_ids: int32 `[batch, length]`, or None.
        training: Whether gradients are wanted: compiled clusters with their own gradients, else plain operations.
        seed: int64 `[2]`, seed and step of dropout; None drops nothing.
        sizes: Numbers of tokens that training rounds up to; see `round_size`.

    Returns:
        float32 `[batch, labels]`.
    """
    dropout = Dropout(seed)
    tokens = find_tokens(
        input_ids,
        attention_mask,
        token_type_ids,
        padding_position=encoder.padding_position,
        sizes=sizes if training else None,
    )
    x = _embed(encoder, tokens, dropout, training=training)
    for layer in encoder.layers[:-1]:
        x = _run_layer(layer, x, tokens, dropout, heads=encoder.heads, training=training)
    first = _run_last_layer(encoder.layers[-1], x, tokens, dropout, heads=encoder.heads, training=training)
    return encoder.head(tf.gather(first, tokens.place), dropout)


def _embed(encoder: Encoder, tokens: Tokens, dropout: Dropout, *, training: bool) -> Any:
    x = tf.gather(encoder.words, tokens.ids) + tf.gather(encoder.positions, tokens.positions)
    if encoder.types is not None:
        x += tf.matmul(tf.one_hot(tokens.types, encoder.types.shape[0]), encoder.types)  # a gradient without scattering
    x = drop(norm(x, encoder.norm, compiled=training), dropout.place(encoder.rate))
    if encoder.project is not None:
        x = project(x, encoder.project.kernel, encoder.project.bias, training=training)
    return x


def _run_layer(layer: EncoderLayer, x: Any, tokens: Tokens, dropout: Dropout, *, heads: int, training: bool) -> Any:
    scale = 1.0 / math.sqrt(x.shape[1] // heads)
    kernel = tf.concat([layer.query.kernel * scale, layer.key.kernel, layer.value.kernel], axis=1)
    bias = tf.concat([layer.query.bias * scale, layer.key.bias, layer.value.bias], axis=0)
    projected = project(x, kernel, bias, training=training)
    context = attend(projected, tokens, heads=heads, place=dropout.place(layer.probability_rate), training=training)
    return _after_attention(layer, context, x, dropout, compiled=training)


def _run_last_layer(
    layer: EncoderLayer, x: Any, tokens: Tokens, dropout: Dropout, *, heads: int, training: bool
) -> Any:
    """The last layer for the first token of each row, float32 `[batch, hidden]`."""
    first = tf.gather(x, tokens.offset)
    place = dropout.place(layer.probability_rate)
    context = attend_first(x, first, layer, tokens, heads=heads, place=place, training=training)
    return _after_attention(layer, context, first, dropout, compiled=False)


def _after_attention(layer: EncoderLayer, context: Any, x: Any, dropout: Dropout, *, compiled: bool) -> Any:
    """Output projection and feed-forward network, each with dropout, residual and layer norm."""
    places = dropout.place(layer.attention_rate), dropout.place(layer.output_rate)
    x = add_norm(
        tf.matmul(context, layer.output.kernel),
        layer.output.bias,
        x,
        layer.attention_norm,
        places[0],
        compiled=compiled,
    )
    inner = gelu(tf.matmul(x, layer.intermediate.kernel), layer.intermediate.bias, compiled=compiled)
    return add_norm(
        tf.matmul(inner, layer.narrow.kernel), layer.narrow.bias, x, layer.output_norm, places[1], compiled=compiled
    )
