"""Texts on their way to disk: an Arrow stream in a temporary file that has no name, read back memory-mapped."""

from __future__ import annotations

import mmap
import tempfile
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tf_finetune.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Spool"]

# a batch is written when either is reached: rows, characters
BATCH_ROWS = 16_384
BATCH_CHARACTERS = 1 << 22


class Spool:
    """Writes rows to a temporary file, so that memory does not grow with the texts.

    The file has no name in the file system (on Windows: it vanishes when closed), so nothing is left behind however
    the process ends; its space is free again when the table is gone. The stream format, unlike the file format, lets
    every batch have its own dictionary of origins.

    Args:
        pairs: whether rows have a second sentence.
        spool_dir: folder of the file; the system's temporary folder by default.

    Attributes:
        rows: how many it has.

    Raises:
        DataError: No file can be made there.
    """

    def __init__(self, *, pairs: bool, spool_dir: str | None = None) -> None:
        import pyarrow as pa

        columns = [("text", pa.string())] + ([("pair", pa.string())] if pairs else [])
        columns += [("origin", pa.dictionary(pa.int32(), pa.string())), ("row", pa.int64())]
        self._schema = pa.schema(columns)
        self._folder = spool_dir or tempfile.gettempdir()
        self._values: dict[str, list[Any]] = {name: [] for name, _ in columns}
        self._characters = 0
        self.rows = 0
        try:
            self._file = tempfile.TemporaryFile(dir=spool_dir)  # noqa: SIM115 (closed by __exit__)
        except OSError as error:
            raise DataError(self._fault(error)) from error
        self._writer = pa.ipc.new_stream(self._file, self._schema)

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, text: str, pair: str | None, origin: str, number: int) -> None:
        """Takes one row."""
        self.rows += 1
        values = self._values
        values["text"].append(text)
        if pair is not None:
            values["pair"].append(pair)
            self._characters += len(pair)
        values["origin"].append(origin)
        values["row"].append(number)
        self._characters += len(text)
        if len(values["text"]) >= BATCH_ROWS or self._characters >= BATCH_CHARACTERS:
            self._write()

    def finish(self) -> pa.Table:
        """The rows as a memory-mapped table, which keeps the file alive."""
        import pyarrow as pa

        self._write()
        try:
            self._writer.close()
            self._file.flush()
        except OSError as error:
            raise DataError(self._fault(error)) from error
        mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return pa.ipc.open_stream(pa.BufferReader(pa.py_buffer(mapped))).read_all()

    def _write(self) -> None:
        import pyarrow as pa

        values = self._values
        if not values["text"]:
            return
        # file names may hold bytes that are no UTF-8
        values["origin"] = [name.encode("utf-8", "backslashreplace").decode() for name in values["origin"]]
        try:
            arrays = [pa.array(values[name], self._schema.field(name).type) for name in self._schema.names]
            self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        except UnicodeEncodeError as error:
            raise DataError(self._surrogate_fault()) from error
        except OSError as error:
            raise DataError(self._fault(error)) from error
        for column in values.values():
            column.clear()
        self._characters = 0

    def _surrogate_fault(self) -> str:
        texts = self._values["text"], self._values.get("pair", self._values["text"])
        faulty = [i for i, both in enumerate(zip(*texts, strict=True)) if not _is_encodable("".join(both))]
        where = f"{self._values['origin'][faulty[0]]}:{self._values['row'][faulty[0]]}"
        return f"{where}: the text holds half of a surrogate pair, which is no character. Correct the text."

    def _fault(self, error: OSError) -> str:
        return (
            f"Cannot write the texts to a temporary file in {self._folder} ({error.strerror or error}). "
            "Make room there, or set TMPDIR to another folder."
        )


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
