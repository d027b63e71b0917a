"""Self-attention among the tokens of each row, group by group, with a gradient of its own."""

from __future__ import annotations

from typing import Any

from tf_finetune.backend import tf
from tf_finetune.model.unpadded.dropout import Place
from tf_finetune.model.unpadded.random_bits import mask_cells
from tf_finetune.model.unpadded.sizes import round_up
from tf_finetune.model.unpadded.tokens import Tokens

__all__ = ["attend"]

SHAPES = ([3, None, None, None, None], [None] * 4, [None] * 4)
"""What is kept of a group: q, k, v `[3, rows, heads, length, size]`; probabilities `[rows, heads, length, length]`, and
the same after dropout."""
MASK_STEPS = 2
"""Sizes of masks between a power of two and the next: drawing too much is cheaper than compiling for many sizes."""


def attend(projected: Any, tokens: Tokens, *, heads: int, place: Place | None, training: bool) -> Any:
    """Scaled dot-product attention (Vaswani et al. 2017, "Attention Is All You Need", section 3.2).

    Args:
        projected: float32 `[tokens, 3 * hidden]`: queries divided by the root of the head's size, keys, values.
        tokens: Where the rows are.
        heads: Attention heads.
        place: Dropout of the probabilities; None drops nothing.
        training: Whether gradients are wanted.

    Returns:
        float32 `[tokens, hidden]`.
    """
    groups = _Attention(tokens, heads, projected.shape[1] // 3 // heads, place)
    if not training:
        return groups.forward(projected, keep=False)[0]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def forward(projected: Any) -> Any:
        context, kept = groups.forward(projected, keep=True)
        return context, lambda gradient: groups.backward(gradient, context, kept)

    return forward(projected)


class _Attention:
    """Both directions of attention, as loops over the groups.

    Args:
        tokens: Where the rows are.
        heads: Attention heads.
        size: Size of a head.
        place: Dropout of the probabilities.
    """

    def __init__(self, tokens: Tokens, heads: int, size: int, place: Place | None) -> None:
        self.tokens, self.heads, self.size, self.place = tokens, heads, size, place

    def forward(self, projected: Any, *, keep: bool) -> tuple[Any, list[Any]]:
        """The context `[tokens, hidden]`, and if asked what the backward pass reads of each group."""
        groups = self.tokens.groups
        arrays = [_array(groups.count) for _ in range(1 + len(SHAPES) * keep)]

        def attend_group(i: Any, first_cell: Any, arrays: list[Any]) -> tuple[Any, Any, list[Any]]:
            """Writes the context of group `i`, and what is kept of it."""
            cells, flat = self.tokens.grid(groups.first_row[i], groups.rows[i])
            rows, length = tf.shape(cells)[0], tf.shape(cells)[1]
            parts = tf.reshape(tf.gather(projected, cells), [rows, length, 3, self.heads, self.size])
            parts = tf.transpose(parts, [2, 0, 3, 1, 4])  # [3, rows, heads, length, size]
            bias = self.tokens.hide(cells)[:, None, None]
            probabilities = tf.nn.softmax(tf.matmul(parts[0], parts[1], transpose_b=True) + bias)
            dropped, next_cell = self._drop(probabilities, first_cell)
            context = tf.transpose(tf.matmul(dropped, parts[2]), [0, 2, 1, 3])
            context = tf.gather(tf.reshape(context, [rows * length, self.heads * self.size]), flat)
            values = [context, parts, probabilities, dropped]
            return i + 1, next_cell, [array.write(i, value) for array, value in zip(arrays, values)]

        _, _, arrays = tf.while_loop(
            lambda i, *_: i < groups.count, attend_group, (0, 0, arrays), parallel_iterations=2
        )
        return self._join(arrays[0], self.heads * self.size), arrays[1:]

    def backward(self, gradient: Any, context: Any, kept: list[Any]) -> Any:
        """The gradient of `projected` from that of the context, which is 0 for padding."""
        groups = self.tokens.groups
        # the softmax's sum over keys is that of the context with its gradient
        sums = tf.reduce_sum(tf.reshape(gradient * context, [-1, self.heads, self.size]), axis=-1)

        def attend_group(i: Any, array: Any) -> tuple[Any, Any]:
            """Writes the gradient of group `i`, float32 `[tokens of the group, 3 * hidden]`."""
            cells, flat = self.tokens.grid(groups.first_row[i], groups.rows[i])
            rows, length = tf.shape(cells)[0], tf.shape(cells)[1]
            parts, probabilities, dropped = (
                tf.ensure_shape(array.read(i), shape) for array, shape in zip(kept, SHAPES)
            )
            q, k, v = parts[0], parts[1], parts[2]
            outer = tf.reshape(tf.gather(gradient, cells), [rows, length, self.heads, self.size])
            outer = tf.transpose(outer, [0, 2, 1, 3])
            d_v = tf.matmul(dropped, outer, transpose_a=True)
            along = tf.transpose(tf.gather(sums, cells), [0, 2, 1])[..., None]
            d_scores = dropped * tf.matmul(outer, v, transpose_b=True) - probabilities * along
            d_q, d_k = tf.matmul(d_scores, k), tf.matmul(d_scores, q, transpose_a=True)
            parts = tf.transpose(tf.stack([d_q, d_k, d_v]), [1, 3, 0, 2, 4])
            parts = tf.gather(tf.reshape(parts, [rows * length, 3 * self.heads * self.size]), flat)
            return i + 1, array.write(i, parts)

        _, array = tf.while_loop(
            lambda i, _: i < groups.count, attend_group, (0, _array(groups.count)), parallel_iterations=2
        )
        return self._join(array, 3 * self.heads * self.size)

    def _drop(self, probabilities: Any, first_cell: Any) -> tuple[Any, Any]:
        """Probabilities after dropout, and the number of the next group's first cell."""
        if self.place is None:
            return probabilities, first_cell
        size = tf.size(probabilities)
        mask = mask_cells(self.place.key, tf.constant(self.place.rate), round_up(size, MASK_STEPS), first_cell)
        return probabilities * tf.reshape(mask[:size], tf.shape(probabilities)), first_cell + size

    def _join(self, array: Any, size: int) -> Any:
        """float32 `[tokens, size]`: the groups' tokens, and zeros for the padding after them."""
        padding = tf.shape(self.tokens.ids)[0] - tf.shape(self.tokens.row)[0]
        array = array.write(self.tokens.groups.count, tf.zeros([padding, size]))
        return tf.ensure_shape(array.concat(), [None, size])


def _array(groups: Any) -> Any:
    return tf.TensorArray(tf.float32, size=groups + 1, infer_shape=False, element_shape=None)
