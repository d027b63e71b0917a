"""The last layer's attention from first tokens alone, without a projection of all tokens to keys and values."""

from __future__ import annotations

import math
from typing import Any

from tf_finetune.backend import tf
from tf_finetune.model.unpadded.dropout import Place
from tf_finetune.model.unpadded.parts import EncoderLayer
from tf_finetune.model.unpadded.random_bits import keep_mask
from tf_finetune.model.unpadded.tokens import Tokens

__all__ = ["attend_first"]


def attend_first(
    x: Any, first: Any, layer: EncoderLayer, tokens: Tokens, *, heads: int, place: Place | None, training: bool
) -> Any:
    """Attention of the first tokens over all tokens of their rows.

    A score is `q . (x W_k + b_k)`, which is `(W_k q) . x` plus a term that is the same for all keys and falls out of
    the softmax; and the sum of `p (x W_v + b_v)` is `(sum p x) W_v + (sum p) b_v`. So only `batch * heads` vectors go
    through the projections.

    Args:
        x: float32 `[tokens, hidden]`.
        first: float32 `[batch, hidden]`, first tokens of the sorted rows.
        layer: The last layer.
        tokens: Where the rows are.
        heads: Attention heads.
        place: Dropout of the probabilities; None drops nothing.
        training: Whether gradients are wanted.

    Returns:
        float32 `[batch, hidden]`.
    """
    hidden = x.shape[1]
    query, key, value = (_by_head(dense.kernel, heads) for dense in (layer.query, layer.key, layer.value))
    states, scores_bias = _padded(x, tokens, training=training)  # [batch, length, hidden], [batch, 1, length]
    query_bias = layer.query.bias + 0.0 * layer.key.bias  # the gradient of the keys' bias is 0, rather than missing
    q = tf.matmul(first, query) + tf.reshape(query_bias, [heads, 1, -1])  # [heads, batch, size]
    q = tf.matmul(q / math.sqrt(hidden // heads), key, transpose_b=True)  # [heads, batch, hidden]
    scores = tf.matmul(tf.transpose(q, [1, 0, 2]), states, transpose_b=True)
    probabilities = tf.nn.softmax(scores + scores_bias)  # [batch, heads, length]
    if place is not None:
        probabilities *= keep_mask(place.key, tf.constant(place.rate), tf.shape(probabilities))
    sums = tf.transpose(tf.matmul(probabilities, states), [1, 0, 2])  # [heads, batch, hidden]
    weights = tf.transpose(tf.reduce_sum(probabilities, axis=-1))[..., None]  # [heads, batch, 1]
    context = tf.matmul(sums, value) + weights * tf.reshape(layer.value.bias, [heads, 1, -1])
    return tf.reshape(tf.transpose(context, [1, 0, 2]), [-1, hidden])


def _by_head(kernel: Any, heads: int) -> Any:
    """float32 `[heads, hidden, size]` of a kernel `[hidden, hidden]`."""
    return tf.transpose(tf.reshape(kernel, [kernel.shape[0], heads, -1]), [1, 0, 2])


def _padded(x: Any, tokens: Tokens, *, training: bool) -> tuple[Any, Any]:
    """Tokens as rows padded to the longest, and what hides the padding's scores."""
    cells, flat = tokens.grid(0, tf.shape(tokens.length)[0])
    if not training:
        return tf.gather(x, cells), tokens.hide(cells)[:, None]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def pad(x: Any) -> Any:
        return tf.gather(x, cells), lambda gradient: tokens.fill(
            tf.gather(tf.reshape(gradient, [-1, x.shape[1]]), flat)
        )

    return pad(x), tokens.hide(cells)[:, None]
