"""`TokenTable`: the token ids of a whole data set, ragged, on disk, memory-mapped, cached by content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tf_finetune.config import TokensConfig
from tf_finetune.data.examples import Examples
from tf_finetune.errors import DataError, RunError
from tf_finetune.files import cache_folder, new_folder, read_json, write_json
from tf_finetune.tokens.encoder import TextEncoder
from tf_finetune.tokens.order import padded_length
from tf_finetune.tokens.tokenizer import tokenizer_fingerprint

__all__ = ["TokenTable", "encode"]

logger = logging.getLogger(__name__)

INPUT_NAMES = ("input_ids", "attention_mask", "token_type_ids")
FORMAT = 2
PAD_MULTIPLE = 8
BATCH_TEXTS = 1024
COLUMNS = {"ids": np.int32, "types": np.int8, "lengths": np.int32, "full_lengths": np.int32}
"""Files of a table: values one after the other without a header, memory-mapped as they are, so nothing is unpickled."""


@dataclass(frozen=True)
class TokenTable:
    """Token ids and labels of `n` rows.

    `ids` and `types` are memory-mapped: only the rows of a batch are read. In memory are 16 bytes a row.

    Attributes:
        ids: int32 `[tokens]`, all rows one after the other.
        types: int8 `[tokens]`, token type ids.
        offsets: int64 `[n + 1]`; row `i` is `ids[offsets[i] : offsets[i + 1]]`.
        full_lengths: int32 `[n]`, length of each row before truncation.
        labels: int32 `[n]`.
        max_length: Longest row that was allowed.
        pad_id: Token id of the padding.
        pad_type: Token type id of the padding.
        padding_side: ``right``, or ``left`` for models that read the last position.
    """

    ids: np.ndarray
    types: np.ndarray
    offsets: np.ndarray
    full_lengths: np.ndarray
    labels: np.ndarray
    max_length: int
    pad_id: int
    pad_type: int
    padding_side: str

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> np.ndarray:
        """int64 `[n]`, tokens in each row."""
        return np.diff(self.offsets)

    def pad(
        self, rows: np.ndarray, *, multiple: int = PAD_MULTIPLE, length: int | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pads some rows to one length: the longest, rounded up to `multiple`, at most `max_length`.

        Args:
            rows: int64 `[batch]`.
            multiple: Lengths are rounded up to a multiple of it.
            length: Pad to this length instead, which no row may exceed.

        Returns:
            `input_ids`, `attention_mask` and `token_type_ids`, each int32 `[batch, length]`.
        """
        starts, ends = self.offsets[rows], self.offsets[rows + 1]
        if length is None:
            length = padded_length(int((ends - starts).max(initial=1)), multiple=multiple, max_length=self.max_length)
        ids = np.full((len(rows), length), self.pad_id, np.int32)  # [batch, length]
        types = np.full((len(rows), length), self.pad_type, np.int32)
        mask = np.zeros((len(rows), length), np.int32)
        for i, (start, end) in enumerate(zip(starts, ends)):
            place = slice(length - (end - start), length) if self.padding_side == "left" else slice(0, end - start)
            ids[i, place], types[i, place], mask[i, place] = self.ids[start:end], self.types[start:end], 1
        return ids, mask, types

    def inputs(self, rows: np.ndarray | None = None, *, multiple: int = PAD_MULTIPLE) -> dict[str, np.ndarray]:
        """What `pad` returns by name, of some rows or of all."""
        rows = np.arange(len(self)) if rows is None else rows
        return dict(zip(INPUT_NAMES, self.pad(rows, multiple=multiple)))

    @classmethod
    def of_texts(cls, encoder: TextEncoder, texts: Sequence[str], pairs: Sequence[str] | None = None) -> TokenTable:
        """A table in memory of a few texts (or pairs) for prediction; its labels are zeros."""
        encoded = encoder.encode(texts, pairs)
        return cls(
            ids=encoded.ids,
            types=encoded.types,
            offsets=_offsets(encoded.lengths),
            full_lengths=encoded.full_lengths,
            labels=np.zeros(len(texts), np.int32),
            max_length=encoder.max_length,
            **_padding(encoder.tokenizer),
        )


def encode(
    examples: Examples,
    tokenizer: Any,
    *,
    max_length: int,
    truncate: str = TokensConfig.truncate,
    cache_dir: str | None = None,
) -> TokenTable:
    """Tokenizes examples into a table on disk, or opens the table that an earlier call has left there.

    The table is keyed by content: the examples' fingerprint, the tokenizer's, `max_length` and `truncate`. Memory
    grows with a batch of texts, not with the data.

    Args:
        examples: `n` labelled texts.
        tokenizer: A tokenizer from `load_tokenizer`.
        max_length: Longest row in tokens, special tokens included.
        truncate: ``head``, ``tail`` or ``head+tail``.
        cache_dir: Cache folder; see `tf_finetune.files.cache_folder`.

    Raises:
        DataError: There are no examples.
        TokenizerError: `max_length` leaves no room for text.
        RunError: The cache folder cannot be written.
    """
    if not len(examples):
        raise DataError("There are no texts to encode.")
    encoder = TextEncoder(tokenizer, max_length=max_length, truncate=truncate, pairs=examples.has_pairs)
    key = json.dumps([FORMAT, examples.fingerprint, tokenizer_fingerprint(tokenizer), max_length, truncate])
    folder = cache_folder(cache_dir) / "tokens" / hashlib.sha256(key.encode()).hexdigest()[:32]
    while True:
        if not _is_whole(folder, len(examples)):
            _write(examples, encoder, folder)
        try:
            return _open(folder, examples.labels, tokenizer, max_length)
        except FileNotFoundError:  # another process took it for torn in the middle of our looking
            logger.debug("token table vanished: %s", folder)


def _padding(tokenizer: Any) -> dict[str, Any]:
    return {
        "pad_id": int(tokenizer.pad_token_id),
        "pad_type": int(tokenizer.pad_token_type_id),
        "padding_side": tokenizer.padding_side,
    }


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _write(examples: Examples, encoder: TextEncoder, folder: Path) -> None:
    """Writes the columns of a table batch by batch and publishes the folder by rename."""
    try:
        _clear_torn(folder, len(examples))
        with new_folder(folder) as staging:
            files: dict[str, BinaryIO] = {name: open(staging / name, "wb") for name in COLUMNS}  # noqa: SIM115
            try:
                for texts, pairs in examples.batches(BATCH_TEXTS):
                    encoded = encoder.encode(texts, pairs)
                    for name, dtype in COLUMNS.items():
                        files[name].write(np.ascontiguousarray(getattr(encoded, name), dtype=dtype).tobytes())
            finally:
                for file in files.values():
                    file.close()
            sizes = {name: (staging / name).stat().st_size for name in COLUMNS}
            write_json(staging / "table.json", {"format": FORMAT, "sizes": sizes})
    except (RunError, OSError) as error:
        if not _is_whole(folder, len(examples)):  # else another process has written the same table meanwhile
            raise RunError(
                f"Cannot write the token table {folder}: {error} Name another folder: --cache-dir."
            ) from error


def _clear_torn(folder: Path, rows: int) -> None:
    """Removes a table that is not whole, by a rename first, so that nobody finds half of it."""
    aside = folder.with_name(f".torn-{folder.name}-{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):
        if not _is_whole(folder, rows):
            folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)


def _is_whole(folder: Path, rows: int) -> bool:
    """Whether the folder holds a finished table of `rows` rows: sizes as written, lengths that add up to the tokens."""
    try:
        sizes = {name: (folder / name).stat().st_size for name in COLUMNS}
        if sizes != read_json(folder / "table.json").get("sizes"):
            return False
        lengths = np.fromfile(folder / "lengths", COLUMNS["lengths"], count=rows)
    except (RunError, OSError):
        return False
    tokens = int(lengths.sum(dtype=np.int64))
    values = {"ids": tokens, "types": tokens, "lengths": rows, "full_lengths": rows}
    return sizes == {name: values[name] * np.dtype(COLUMNS[name]).itemsize for name in COLUMNS} and lengths.min() > 0


def _open(folder: Path, labels: np.ndarray, tokenizer: Any, max_length: int) -> TokenTable:
    logger.debug("token table: %s", folder)
    columns = {name: np.memmap(folder / name, dtype=dtype, mode="r") for name, dtype in COLUMNS.items()}
    return TokenTable(
        ids=columns["ids"],
        types=columns["types"],
        offsets=_offsets(columns["lengths"]),
        full_lengths=np.array(columns["full_lengths"]),
        labels=labels,
        max_length=max_length,
        **_padding(tokenizer),
    )
