"""From padded rows to the real tokens one after the other, and the groups of rows that share an attention product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tf_finetune.backend import tf
from tf_finetune.model.unpadded.sizes import round_size

__all__ = ["Groups", "Tokens", "find_tokens"]

GROUP_TOKENS = 512
"""Tokens of rows that share an attention product, which bounds its size."""
GROUP_CELLS = 512
"""Score cells a head by which the rows of a group may differ: short rows share a product, and long rows of different
length do not, since padding costs cells by the square of the length. Measured on IMDB (512 tokens): 8 % of a step."""
MASKED = -1e9
"""Added to the score of a key that is padding; its probability is then 0 exactly."""


@dataclass(frozen=True)
class Groups:
    """Neighbouring rows that are attended together, padded to the longest of them.

    Attributes:
        count: int32 scalar.
        first_row: int32 `[groups]`.
        rows: int32 `[groups]`, rows of the group.
    """

    count: Any
    first_row: Any
    rows: Any


@dataclass(frozen=True)
class Tokens:
    """The tokens of a batch, rows sorted from the longest to the shortest.

    Attributes:
        ids: int32 `[tokens]`; one token at least after the last real one is padding, zeros here and below.
        positions: int32 `[tokens]`.
        types: int32 `[tokens]`.
        attended: float32 `[tokens]`: 0 for padding and for a first token that the attention mask leaves out, else 1.
        row: int32 `[real tokens]`, number of the sorted row.
        rank: int32 `[real tokens]`, place in its row.
        offset: int32 `[batch]`, first token of each sorted row.
        length: int32 `[batch]`, tokens of each sorted row.
        place: int32 `[batch]`, number of the sorted row of each row of the batch.
        groups: For attention.
    """

    ids: Any
    positions: Any
    types: Any
    attended: Any
    row: Any
    rank: Any
    offset: Any
    length: Any
    place: Any
    groups: Groups

    def grid(self, first: Any, rows: Any) -> tuple[Any, Any]:
        """Some neighbouring rows as a rectangle.

        Args:
            first: int32 scalar, the first row.
            rows: int32 scalar, how many.

        Returns:
            Token numbers int32 `[rows, longest]`, where rows end in padding; and for each token of the rows, in their
            order, its place in the flat rectangle, int32 `[tokens of the rows]`.
        """
        length, offset = self.length[first : first + rows], self.offset[first : first + rows]
        longest = tf.reduce_max(tf.concat([length, [1]], axis=0))
        ranks = tf.range(longest)
        cells = tf.where(ranks < length[:, None], offset[:, None] + ranks, tf.shape(self.row)[0])
        start = tf.reduce_sum(self.length[:first])
        span = slice(start, start + tf.reduce_sum(length))
        return cells, (self.row[span] - first) * longest + self.rank[span]

    def hide(self, cells: Any) -> Any:
        """What is added to the scores of keys: 0, or for padding a number after which its probability is 0 exactly."""
        return (1.0 - tf.gather(self.attended, cells)) * MASKED

    def fill(self, x: Any) -> Any:
        """Real tokens `[real tokens, size]` with zeros after them, `[tokens, size]`."""
        return tf.pad(x, [[0, tf.shape(self.ids)[0] - tf.shape(self.row)[0]], [0, 0]])


def find_tokens(
    input_ids: Any,
    attention_mask: Any,
    token_type_ids: Any,
    *,
    padding_position: int | None,
    sizes: tuple[int, ...] | None = None,
) -> Tokens:
    """Leaves out the padding of a batch.

    What the attention mask leaves out is nobody's key, so that nothing else depends on it. The first column stays in
    any case, since the classifier reads it; in a row without any real token it attends to itself.

    Args:
        input_ids: int32 `[batch, length]`.
        attention_mask: `[batch, length]`, 0 for padding, in any column.
        token_type_ids: int32 `[batch, length]`, or None for zeros.
        padding_position: See `Encoder`.
        sizes: Numbers of tokens to round up to, for clusters that are compiled for each: see `round_size`. None does
            not round.
    """
    attended = tf.not_equal(attention_mask, 0)
    first = tf.one_hot(tf.zeros_like(input_ids[:, 0]), tf.shape(input_ids)[1], True, False, dtype=tf.bool)
    attended = attended | (first & ~tf.reduce_any(attended, axis=1, keepdims=True))
    kept = attended | first
    lengths = tf.reduce_sum(tf.cast(kept, tf.int32), axis=1)
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)
    length = tf.gather(lengths, order)
    offset = tf.cumsum(length, exclusive=True)
    cells = tf.where(tf.gather(kept, order))  # [tokens, 2]: sorted row, column
    row = tf.cast(cells[:, 0], tf.int32)
    cells = tf.stack([tf.gather(order, row), tf.cast(cells[:, 1], tf.int32)], axis=1)
    count = tf.shape(row)[0]
    extra = [[0, (count + 1 if sizes is None else round_size(count + 1, sizes)) - count]]

    def pick(grid: Any) -> Any:
        return tf.pad(tf.gather_nd(grid, cells), extra)

    types = tf.zeros_like(input_ids) if token_type_ids is None else token_type_ids
    return Tokens(
        ids=pick(input_ids),
        positions=pick(_positions(input_ids, padding_position)),
        types=pick(types),
        attended=pick(tf.cast(attended, tf.float32)),
        row=row,
        rank=tf.range(count) - tf.gather(offset, row),
        offset=offset,
        length=length,
        place=tf.argsort(order),
        groups=_group(length, offset),
    )


def _positions(input_ids: Any, padding_position: int | None) -> Any:
    """Positions int32 `[batch, length]` as the architecture counts them."""
    if padding_position is None:
        return tf.broadcast_to(tf.range(tf.shape(input_ids)[1]), tf.shape(input_ids))
    real = tf.cast(tf.not_equal(input_ids, padding_position), tf.int32)  # the same number is its token id
    return tf.cumsum(real, axis=1) * real + padding_position


def _group(length: Any, offset: Any) -> Groups:
    classes, blocks = length * length // GROUP_CELLS, (offset + length - 1) // GROUP_TOKENS
    _, _, rows = tf.unique_with_counts(tf.cast(classes, tf.int64) * 2**32 + tf.cast(blocks, tf.int64))
    return Groups(count=tf.shape(rows)[0], first_row=tf.cumsum(rows, exclusive=True), rows=rows)
