"""`GraphTokenizer`: texts to token ids in the graph, exactly as the run's tokenizer and `TextEncoder` make them.

Steps: decode UTF-8, replace every code point by the table, cut at spaces, WordPiece, truncate, frame with special
tokens. All from core TensorFlow ops.
"""

from __future__ import annotations

import json
from typing import Any

from tf_finetune.backend import tf
from tf_finetune.errors import ExportError
from tf_finetune.serving.code_points import CodePointMap
from tf_finetune.serving.unicode_table import UnicodeTable, read_unicode_table
from tf_finetune.serving.wordpiece import WordPiece
from tf_finetune.tokens.encoder import TextEncoder
from tf_finetune.tokens.truncation import HEAD_SHARE

__all__ = ["GraphTokenizer", "why_not"]

HEAD_SHARES = {"head": 1.0, "tail": 0.0, "head+tail": HEAD_SHARE}
"""Share of the budget that is kept from the start of a text."""

MINIMUM_WIDTH = 2
"""Narrowest batch: attention over an empty batch of width 0 fails."""


def why_not(encoder: TextEncoder) -> str | None:
    """Why a tokenizer cannot be put into the graph exactly; None if it can.

    The table holds whatever looks at one code point at a time, so only BERT's own normalizer and pre-tokenizer will do.
    """
    tokenizer = encoder.tokenizer
    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    kinds = {name: (parts[name] or {}).get("type") for name in ("model", "normalizer", "pre_tokenizer")}
    wanted = {"model": "WordPiece", "normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer"}
    for name, kind in wanted.items():
        if kinds[name] != kind:
            return f"its {name.replace('_', '-')} is {kinds[name]}, and only {kind} is proven exact"
    plain = [token["content"] for token in parts["added_tokens"] if not token["special"]]
    if plain:
        return f"it has added tokens that are not special ({', '.join(plain[:3])})"
    if tokenizer.padding_side != "right":
        return "it pads on the left"
    return None


class GraphTokenizer(tf.Module):  # type: ignore[misc]
    """A run's tokenizer as part of the served graph.

    Args:
        encoder: The run's encoder: a WordPiece tokenizer with BERT's normalizer and pre-tokenizer.
        table: What `read_unicode_table` gave for the same normalizer and pre-tokenizer; read (2 s) if not given.

    Raises:
        ExportError: The tokenizer is of another kind; the message says which part of it.
    """

    def __init__(self, encoder: TextEncoder, *, table: UnicodeTable | None = None) -> None:
        super().__init__(name="tokenizer")
        refusal = why_not(encoder)
        if refusal:
            raise ExportError(f"This tokenizer cannot be put into the graph: {refusal}.")
        backend = encoder.tokenizer.backend_tokenizer
        model = json.loads(backend.to_str())["model"]
        self._template = encoder.template
        self._budget = encoder.max_length - encoder.template.added
        self._truncate = encoder.truncate
        self._pad = (encoder.tokenizer.pad_token_id, encoder.tokenizer.pad_token_type_id)
        self._words = CodePointMap(table or read_unicode_table(backend.normalizer, backend.pre_tokenizer))
        self._pieces = WordPiece(
            model["vocab"],
            unknown=model["unk_token"],
            prefix=model["continuing_subword_prefix"],
            longest_word=model["max_input_chars_per_word"],
        )

    def __call__(self, *columns: Any) -> tuple[Any, Any, Any]:
        """Ids, mask and types int32 `[batch, length]` of one or two columns string `[batch]`."""
        words = [self._words(column) for column in columns]
        if len(words) == 1:
            words = [self._limit(words[0])]
        segments = [w.with_flat_values(self._pieces(w.flat_values)).merge_dims(1, 2) for w in words]
        budgets = self._budgets([segment.row_lengths() for segment in segments])
        return self._frame([self._keep(segment, budget) for segment, budget in zip(segments, budgets)])

    def _limit(self, words: Any) -> Any:
        """Leaves out words that no budget reaches: every word is at least one token."""
        budget = self._budget
        position = tf.ragged.range(words.row_lengths())
        count = tf.gather(words.row_lengths(), position.value_rowids())
        head = int(budget * HEAD_SHARES[self._truncate])
        wanted = (position.flat_values < head) | (position.flat_values >= count - (budget - head))
        return tf.ragged.boolean_mask(words, position.with_flat_values(wanted))

    def _budgets(self, lengths: list[Any]) -> list[Any]:
        """Tokens that may stay of each segment, int64 `[batch]`; see `tokens.truncation.budget_pair`."""
        budget = tf.constant(self._budget, tf.int64)
        if len(lengths) == 1:
            return [tf.fill(tf.shape(lengths[0]), budget)]
        first, second = lengths
        short, long = tf.minimum(first, second), tf.maximum(first, second)
        over = first + second > budget
        long = tf.where(over, tf.where(short > budget, short, tf.maximum(short, budget - short)), long)
        still = short + long > budget
        short = tf.where(still, budget // 2, short)
        long = tf.where(still, short + budget % 2, long)
        ordered = first <= second
        return [tf.where(ordered, short, long), tf.where(ordered, long, short)]

    def _keep(self, segment: Any, budget: Any) -> Any:
        """The tokens of a ragged segment that stay, at most `budget` `[batch]` a row."""
        lengths = segment.row_lengths()
        row = segment.value_rowids()
        position = tf.range(tf.size(row, out_type=tf.int64)) - tf.gather(segment.row_starts(), row)
        head = tf.cast(tf.math.floor(tf.cast(budget, tf.float64) * HEAD_SHARES[self._truncate]), tf.int64)
        stays = (position < tf.gather(head, row)) | (position >= tf.gather(lengths - (budget - head), row))
        stays |= tf.gather(lengths <= budget, row)
        return tf.ragged.boolean_mask(segment, segment.with_flat_values(stays))

    def _frame(self, segments: list[Any]) -> tuple[Any, Any, Any]:
        """Puts the special tokens around the segments, and pads."""
        template = self._template
        batch = segments[0].nrows()

        def column(values: tuple[int, ...]) -> Any:
            return tf.tile(tf.constant([values], tf.int32, [1, len(values)]), [batch, 1])

        ids, types = [column(template.specials[0])], [column(template.special_types[0])]
        for number, segment in enumerate(segments):
            ids += [segment, column(template.specials[number + 1])]
            kind = template.segment_types[number]
            types += [
                segment.with_flat_values(tf.fill(tf.shape(segment.flat_values), kind)),
                column(template.special_types[number + 1]),
            ]
        row, kinds = tf.concat(ids, axis=1), tf.concat(types, axis=1)
        mask = row.with_flat_values(tf.ones_like(row.flat_values))
        width = tf.maximum(tf.reduce_max(row.row_lengths()), MINIMUM_WIDTH)
        shape = tf.stack([row.nrows(), width])
        return (
            row.to_tensor(self._pad[0], shape=shape),
            mask.to_tensor(0, shape=shape),
            kinds.to_tensor(self._pad[1], shape=shape),
        )
