"""TFRecord files without TensorFlow: length, bytes, and a masked CRC32C of each.

Format: tensorflow/core/lib/io/record_writer.h. CRC32C: RFC 3720, appendix B.4, Castagnoli's polynomial.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from tf_finetune.errors import ExportError
from tf_finetune.files import whole_file

__all__ = ["LARGEST_RECORD", "crc32c", "read_records", "write_records"]

LARGEST_RECORD = 64 << 20
"""Bytes of a record that is still read."""

POLYNOMIAL = 0x82F63B78
"""Castagnoli's, bits reversed."""

MASK_DELTA = 0xA282EAD8
"""Added to a rotated checksum, so that checksums of data that holds checksums are sound (crc32c.h, `Mask`)."""


def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


TABLE = _table()


def crc32c(data: bytes) -> int:
    """The CRC32C checksum of some bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF)


def read_records(path: Path, *, limit: int = LARGEST_RECORD) -> Iterator[bytes]:
    """Yields the records of a file.

    Args:
        path: An uncompressed TFRecord file.
        limit: Largest record, in bytes.

    Raises:
        ExportError: It cannot be read, a record is larger, cut off, or does not match its checksum.
    """
    try:
        with open(path, "rb") as file:
            number = 0
            while header := file.read(12):
                number += 1
                if len(header) < 12 or _masked(header[:8]) != header[8:]:
                    raise ExportError(f"{path} is damaged: record {number} is cut off, or its length is wrong.")
                (length,) = struct.unpack("<Q", header[:8])
                if length > limit:
                    raise ExportError(f"{path}: record {number} has {length:,} bytes; at most {limit:,} are read.")
                data = file.read(length + 4)
                if len(data) < length + 4 or _masked(data[:length]) != data[length:]:
                    raise ExportError(f"{path} is damaged: record {number} is cut off, or its checksum is wrong.")
                yield data[:length]
    except OSError as error:
        raise ExportError(f"Cannot read {path}: {error}") from error


def write_records(path: Path, records: Iterable[bytes]) -> None:
    """Writes records as a TFRecord file, whole or not at all."""
    with whole_file(path) as file:
        for record in records:
            length = struct.pack("<Q", len(record))
            file.write(length + _masked(length) + record + _masked(record))
