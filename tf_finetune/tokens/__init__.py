"""Texts to token ids: tokenizer, encoder, token table on disk, batch order, tf.data pipeline."""

from tf_finetune.tokens.encoder import EncodedTexts, TextEncoder
from tf_finetune.tokens.order import batch_order, padded_tokens
from tf_finetune.tokens.table import TokenTable, encode
from tf_finetune.tokens.tokenizer import load_tokenizer

__all__ = [
    "EncodedTexts",
    "TextEncoder",
    "TokenTable",
    "batch_order",
    "encode",
    "load_tokenizer",
    "padded_tokens",
]
