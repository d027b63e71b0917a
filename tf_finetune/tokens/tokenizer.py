"""Fast tokenizers, loaded with every setting explicit and no code from the folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tf_finetune.config import TokensConfig
from tf_finetune.errors import TokenizerError

__all__ = [
    "VOCABULARIES",
    "check_tokenizer",
    "has_vocabulary",
    "load_tokenizer",
    "reset_backend",
    "tokenizer_errors",
    "tokenizer_fingerprint",
]

CODE_KEYS = ("auto_map", "custom_pipelines")
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model")
"""Files of which a fast tokenizer has one at least."""
ADVICE = "Expected a tokenizer.json, or the vocabulary files of a tokenizer with a fast form."


def has_vocabulary(folder: Path) -> bool:
    """Whether a folder holds one of `VOCABULARIES`."""
    return any(any(folder.glob(pattern)) for pattern in VOCABULARIES)


def check_tokenizer(folder: Path) -> None:
    """Refuses a tokenizer folder for what can be seen from its files, without loading it.

    Args:
        folder: Folder with `tokenizer.json`, or with the vocabulary of a tokenizer that has a fast form.

    Raises:
        TokenizerError: There is no such folder, it has no vocabulary, or it names code.
    """
    if not folder.is_dir():
        raise TokenizerError(f"There is no tokenizer folder {folder}.")
    _refuse_code(folder)
    if not has_vocabulary(folder):
        raise TokenizerError(f"{folder} holds no tokenizer that can be loaded. {ADVICE}")


def load_tokenizer(folder: str | Path, *, max_length: int | None = None, truncate: str = TokensConfig.truncate) -> Any:
    """Loads a fast tokenizer from a local folder.

    Literal special tokens in a text are text (`split_special_tokens`): a review that contains "[SEP]" does not end the
    sequence. Truncation and padding that `tokenizer.json` may carry are switched off; `TextEncoder` does both.

    Args:
        folder: Folder with `tokenizer.json`, or with the vocabulary of a tokenizer that has a fast form.
        max_length: Written into the tokenizer as `model_max_length`, for whoever loads it from the run folder.
        truncate: ``head``, ``tail`` or ``head+tail``; sets `truncation_side` (``head+tail`` has none in transformers).

    Returns:
        A `transformers.PreTrainedTokenizerFast` with a padding token.

    Raises:
        TokenizerError: The folder names code, holds no tokenizer, or one without a fast form.
    """
    from tf_finetune.backend import transformers

    folder = Path(folder)
    check_tokenizer(folder)
    settings: dict[str, Any] = {"split_special_tokens": True}
    if max_length is not None:
        settings["model_max_length"] = max_length
    if truncate != "head+tail":
        settings["truncation_side"] = "left" if truncate == "tail" else "right"
    with tokenizer_errors(f"{folder} holds no tokenizer that can be loaded", advice=ADVICE):
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(folder), use_fast=True, local_files_only=True, trust_remote_code=False, **settings
        )
    if not tokenizer.is_fast:
        raise TokenizerError(
            f"{folder} has only a slow tokenizer ({type(tokenizer).__name__}); a fast one is needed. "
            "Choose a model whose folder has a tokenizer.json."
        )
    reset_backend(tokenizer.backend_tokenizer)
    _split_literal_specials(tokenizer)
    _ensure_pad_token(tokenizer, folder)
    return tokenizer


@contextlib.contextmanager
def tokenizer_errors(what: str, *, advice: str = "") -> Iterator[None]:
    """Turns whatever transformers and tokenizers raise over a bad tokenizer into a TokenizerError.

    They raise a dozen types, ImportError for sentencepiece among them; a panic of the Rust code is no Exception at all.
    """
    try:
        yield
    except TokenizerError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise TokenizerError(f"{what}: {str(error).strip():.300} {advice}".rstrip()) from error


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """SHA-256 of everything that decides the ids: the tokenizer's whole JSON, and what stands for an empty text."""
    reset_backend(tokenizer.backend_tokenizer)
    settings = (tokenizer.backend_tokenizer.to_str(), tokenizer.unk_token_id, tokenizer.pad_token_id)
    return hashlib.sha256(json.dumps(settings).encode("utf-8")).hexdigest()


def _refuse_code(folder: Path) -> None:
    """Refuses settings that name Python code to be loaded with the tokenizer."""
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"{path} is no valid JSON: {error}") from error
    found = [key for key in CODE_KEYS if isinstance(settings, dict) and settings.get(key)]
    if found:
        raise TokenizerError(
            f"{path} names Python code to be loaded ({', '.join(found)}); tf_finetune never runs code from a model "
            "folder. Use a model whose tokenizer is part of transformers."
        )


def reset_backend(backend: Any) -> None:
    """Switches off truncation and padding of a `tokenizers.Tokenizer`, and makes special tokens in a text plain text.

    A saved tokenizer may carry such settings, and every call of a tokenizer changes them.
    """
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True


def _split_literal_specials(tokenizer: Any) -> None:
    """Cuts special tokens that stand in a text in two.

    `encode_special_tokens` keeps them from being looked up beforehand, but the vocabulary of a Unigram model (XLM-R,
    XLNet) holds them as pieces, of the highest score.
    """
    from tokenizers import Regex, pre_tokenizers

    backend = tokenizer.backend_tokenizer
    found = [
        token
        for token, i in zip(tokenizer.all_special_tokens, tokenizer.all_special_ids)
        if len(token) > 1 and i != tokenizer.unk_token_id and i in backend.encode(token, add_special_tokens=False).ids
    ]
    if found:
        pattern = "|".join(f"{re.escape(token[0])}(?={re.escape(token[1:])})" for token in found)
        cut = pre_tokenizers.Split(Regex(pattern), "isolated")
        before = backend.pre_tokenizer
        backend.pre_tokenizer = cut if before is None else pre_tokenizers.Sequence([before, cut])


def _ensure_pad_token(tokenizer: Any, folder: Path) -> None:
    """Decoders such as GPT-2 have no padding token: their end-of-sequence token serves, and is masked anyway."""
    if tokenizer.pad_token_id is not None:
        return
    if tokenizer.eos_token is None:
        raise TokenizerError(f"The tokenizer in {folder} has neither a padding nor an end-of-sequence token.")
    tokenizer.pad_token = tokenizer.eos_token
