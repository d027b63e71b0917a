"""`inspect`: the data options to an audit of all splits that there are."""

from __future__ import annotations

from tf_finetune.audit.audit import Audit, audit
from tf_finetune.audit.lengths import TokenLengths, measure_lengths
from tf_finetune.audit.read import read_data
from tf_finetune.config import DataConfig, ModelConfig, TokensConfig
from tf_finetune.data import Examples
from tf_finetune.files import cache_folder
from tf_finetune.model.architectures import check_length, longest_input
from tf_finetune.model.resolve import resolve_model
from tf_finetune.tokens.tokenizer import load_tokenizer

__all__ = ["inspect"]


def inspect(
    data: DataConfig,
    *,
    tokens: TokensConfig = TokensConfig(),  # noqa: B008
    model: str | None = ModelConfig.model,
) -> Audit:
    """Reads labelled texts and looks at them; nothing is trained, and no file is written.

    Args:
        data: Which texts, and how to read them. Validation data is looked at if it is there, and not held out.
        tokens: The length in tokens, and which part of longer texts is kept.
        model: Whose tokenizer counts the tokens: a folder, a model folder of ours, or a hub name. With None no
            tokens are counted, and no TensorFlow is loaded.

    Raises:
        DataError: The data cannot be read, or has fewer than two classes.
        ConfigError: An option is malformed, or has no effect.
        ModelError: There is no such model, or it takes no texts of that length.
        TokenizerError: Its tokenizer cannot be used.
    """
    read = read_data(data, spool_dir=str(cache_folder(tokens.cache_dir)))
    lengths = None if model is None else _lengths(read.splits["train"], model, tokens)
    return audit(read.splits, lengths=lengths, bad_rows=read.bad_rows, notes=read.notes)


def _lengths(train: Examples, model: str, tokens: TokensConfig) -> TokenLengths:
    checkpoint = resolve_model(model)
    check_length(checkpoint.config, tokens.max_length, name=checkpoint.name)
    return measure_lengths(
        train,
        load_tokenizer(checkpoint.tokenizer_folder, max_length=tokens.max_length, truncate=tokens.truncate),
        model=checkpoint.name,
        longest=longest_input(checkpoint.config),
        max_length=tokens.max_length,
        truncate=tokens.truncate,
    )
