"""Text files line by line: gzip, encodings and byte order marks, and the place of the first byte that does not fit."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from tf_finetune.errors import ConfigError, DataError

__all__ = ["MAX_LINE", "check_encoding", "open_bytes", "read_lines", "read_text"]

# bounds the memory that a file without line ends, or a gzip bomb, can take: characters
MAX_LINE = 1 << 26

_SIGNATURES = (
    (b"\x1f\x8b", "It is compressed with gzip: give it a name that ends in .gz."),
    (b"PK\x03\x04", "It is a ZIP archive or a spreadsheet: save the table as CSV."),
    (b"PAR1", "It is a Parquet file: give it a name that ends in .parquet."),
    (codecs.BOM_UTF16_LE, "It starts with a UTF-16 byte order mark: give --encoding utf-16."),
    (codecs.BOM_UTF16_BE, "It starts with a UTF-16 byte order mark: give --encoding utf-16."),
)


def check_encoding(encoding: str) -> str:
    """The encoding's canonical name.

    Raises:
        ConfigError: Python knows no text encoding of that name.
    """
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        name = codecs.lookup(encoding).name
    except (LookupError, ValueError) as error:
        raise ConfigError(
            f"--encoding: {encoding!r} is no text encoding that Python knows. Try utf-8, utf-16, cp1252 or latin-1."
        ) from error
    # read_lines skips the mark itself; the decoder that does it would shift the byte offsets of faults
    return "utf-8" if name == "utf-8-sig" else name


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for reading, unpacked if its name ends in ``.gz``.

    Raises:
        DataError: The file cannot be read, or is no complete gzip file.
    """
    packed = path.suffix.lower() == ".gz"
    try:
        with cast(BinaryIO, gzip.open(path, "rb")) if packed else path.open("rb") as file:
            yield file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: is no complete gzip file ({error}). Pack it again, or drop .gz from its name."
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error


def read_lines(path: Path, *, encoding: str, newline: str) -> Iterator[str]:
    r"""Yields the lines of a text file with their line ends, without a byte order mark.

    Args:
        path: the file; unpacked if its name ends in ``.gz``.
        encoding: a name that `check_encoding` returned.
        newline: ``""`` ends lines at ``\n``, ``\r\n`` and ``\r``; ``"\n"`` only at ``\n``.

    Raises:
        DataError: Bytes that do not fit the encoding, a NUL character, or a line beyond all measure.
    """
    with open_bytes(path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline=newline) as text:
        number = 0
        try:
            while line := text.readline(MAX_LINE):
                number += 1
                if number == 1:
                    line = line.removeprefix("\ufeff")
                if "\x00" in line:
                    raise DataError(_nul_fault(path, number))
                if len(line) == MAX_LINE:
                    raise DataError(f"{path}:{number}: the line has over {MAX_LINE} characters. Is it a text file?")
                yield line
        except UnicodeDecodeError as error:
            # the decoder's last input ends where the file was read to
            offset = raw.tell() - len(error.object) + error.start
            raise DataError(_encoding_fault(path, encoding, offset, error.object[error.start])) from error
        except UnicodeError as error:
            raise DataError(f"{path}: cannot be decoded as {encoding} ({error}). {_advice(path, encoding)}") from error


def read_text(path: Path, *, encoding: str) -> str:
    """The text of a whole file, without a byte order mark and the line ends at its end."""
    lines, length = [], 0
    for line in read_lines(path, encoding=encoding, newline=""):
        lines.append(line)
        length += len(line)
        if length > MAX_LINE:
            raise DataError(f"{path}: has over {MAX_LINE} characters, too many for the text of one row.")
    return "".join(lines).rstrip("\r\n")


def _nul_fault(path: Path, line: int) -> str:
    return (
        f"{path}:{line}: a NUL byte, which text files do not have. "
        "If the file is UTF-16, give --encoding utf-16 (or utf-16-le); otherwise it is damaged or no text file."
    )


def _encoding_fault(path: Path, encoding: str, offset: int, byte: int) -> str:
    unpacked = " of the unpacked text" if path.suffix.lower() == ".gz" else ""
    return (
        f"{path}: byte offset {offset}{unpacked}: byte 0x{byte:02x} is not valid {encoding}. {_advice(path, encoding)}"
    )


def _advice(path: Path, encoding: str) -> str:
    with path.open("rb") as file:
        start = file.read(8)
    if path.suffix.lower() != ".gz":
        for signature, advice in _SIGNATURES:
            if start.startswith(signature):
                return advice
    other = "cp1252 or --encoding utf-16-le" if encoding == "utf-8" else "utf-8"
    if encoding in ("utf-16", "utf-32"):
        other = f"utf-8, or without a byte order mark --encoding {encoding}-le or {encoding}-be"
    return f"Give the encoding that the file has, for example --encoding {other}."
