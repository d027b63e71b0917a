"""What is done to each number alone, in single passes: GELU, and dropout, residual and layer norm in one.

In training each is one XLA cluster with a gradient of its own, compiled once for each number of tokens. In inference,
and for few tokens, they are plain operations, which can be exported.
"""

from __future__ import annotations

import math
from typing import Any

from tf_finetune.backend import tf
from tf_finetune.model.unpadded.dropout import Place
from tf_finetune.model.unpadded.random_bits import keep_mask

__all__ = ["add_norm", "drop", "gelu", "norm", "project"]


def project(x: Any, kernel: Any, bias: Any, *, training: bool) -> Any:
    """`x @ kernel + bias` for float32 `[tokens, size]`; the bias' gradient is a matrix product too, which is faster."""
    if not training:
        return tf.nn.bias_add(tf.matmul(x, kernel), bias)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def forward(x: Any, kernel: Any, bias: Any) -> Any:
        """The value, and the gradients of all three."""

        def backward(gradient: Any) -> tuple[Any, Any, Any]:
            inner = tf.matmul(gradient, kernel, transpose_b=True)
            return inner, tf.matmul(x, gradient, transpose_a=True), _column_sums(gradient)

        return tf.nn.bias_add(tf.matmul(x, kernel), bias), backward

    return forward(x, kernel, bias)


def gelu(x: Any, bias: Any, *, compiled: bool) -> Any:
    """GELU of `x + bias`, `u * (1 + erf(u / sqrt(2))) / 2` (Hendrycks and Gimpel 2016).

    Args:
        x: float32 `[tokens, size]`.
        bias: float32 `[size]`.
        compiled: Whether to use the cluster, which computes the derivative with the value.
    """
    if not compiled:
        return tf.nn.gelu(tf.nn.bias_add(x, bias), approximate=False)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def activate(x: Any, bias: Any) -> Any:
        """The value, and the gradients from the derivative."""
        value, derivative = _gelu_and_derivative(x, bias)

        def backward(gradient: Any) -> tuple[Any, Any]:
            inner = gradient * derivative
            return inner, _column_sums(inner)

        return value, backward

    return activate(x, bias)


def norm(x: Any, layer: Any, *, compiled: bool) -> Any:
    """A Keras LayerNormalization over the last axis of float32 `[tokens, size]`."""
    return add_norm(x, tf.zeros_like(layer.beta), tf.zeros_like(x), layer, None, compiled=compiled)


def add_norm(x: Any, bias: Any, residual: Any, layer: Any, place: Place | None, *, compiled: bool) -> Any:
    """`layer(dropout(x + bias) + residual)`.

    The mask is drawn again in the backward pass rather than kept.

    Args:
        x: float32 `[tokens, size]`.
        bias: float32 `[size]`.
        residual: float32 `[tokens, size]`.
        layer: A Keras LayerNormalization over the last axis.
        place: The dropout; None drops nothing.
        compiled: Whether to use the clusters.
    """
    epsilon = tf.constant(layer.epsilon, tf.float32)
    gamma, beta = (tf.convert_to_tensor(weight) for weight in (layer.gamma, layer.beta))
    if not compiled:
        dropped = tf.nn.bias_add(x, bias)
        if place is not None:
            dropped *= keep_mask(place.key, place.rate, tf.shape(x))
        return _normalize(dropped + residual, epsilon)[0] * gamma + beta
    key, rate = _key_and_rate(place)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def forward(x: Any, bias: Any, residual: Any, gamma: Any, beta: Any) -> Any:
        """The value, and the gradients of all five."""
        y, normalized, scale = _add_norm(x, bias, residual, gamma=gamma, beta=beta, key=key, rate=rate, epsilon=epsilon)

        def backward(gradient: Any) -> tuple[Any, ...]:
            inner, dropped, products = _add_norm_gradient(gradient, normalized, scale, gamma=gamma, key=key, rate=rate)
            return dropped, _column_sums(dropped), inner, _column_sums(products), _column_sums(gradient)

        return y, backward

    return forward(x, bias, residual, gamma, beta)


def drop(x: Any, place: Place | None) -> Any:
    """Dropout of float32 `[tokens, size]`."""
    if place is None:
        return x
    key, rate = _key_and_rate(place)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def forward(x: Any) -> Any:
        return _drop(x, key, rate), lambda gradient: _drop(gradient, key, rate)

    return forward(x)


def _key_and_rate(place: Place | None) -> tuple[Any, Any]:
    if place is None:
        return tf.zeros([2], tf.uint32), tf.constant(0.0)
    return place.key, tf.constant(place.rate, tf.float32)


def _column_sums(x: Any) -> Any:
    return tf.matmul(tf.ones([1, tf.shape(x)[0]]), x)[0]


def _normalize(x: Any, epsilon: Any) -> tuple[Any, Any]:
    centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    scale = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True) + epsilon)
    return centred * scale, scale


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def _gelu_and_derivative(x: Any, bias: Any) -> tuple[Any, Any]:
    x = x + bias
    probability = 0.5 + 0.5 * tf.math.erf(x * math.sqrt(0.5))
    density = tf.exp(-0.5 * tf.square(x)) / math.sqrt(2.0 * math.pi)
    return x * probability, probability + x * density


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def _add_norm(
    x: Any, bias: Any, residual: Any, *, gamma: Any, beta: Any, key: Any, rate: Any, epsilon: Any
) -> tuple[Any, Any, Any]:
    dropped = (x + bias) * keep_mask(key, rate, tf.shape(x))
    normalized, scale = _normalize(dropped + residual, epsilon)
    return normalized * gamma + beta, normalized, scale


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def _add_norm_gradient(
    gradient: Any, normalized: Any, scale: Any, *, gamma: Any, key: Any, rate: Any
) -> tuple[Any, Any, Any]:
    scaled = gradient * gamma
    along = tf.reduce_mean(scaled * normalized, axis=-1, keepdims=True)
    inner = (scaled - tf.reduce_mean(scaled, axis=-1, keepdims=True) - normalized * along) * scale
    return inner, inner * keep_mask(key, rate, tf.shape(inner)), gradient * normalized


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def _drop(x: Any, key: Any, rate: Any) -> Any:
    return x * keep_mask(key, rate, tf.shape(x))
