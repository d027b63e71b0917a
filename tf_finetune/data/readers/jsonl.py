"""JSON Lines: one object a line, its keys the columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tf_finetune.data.readers.table import Row, Table, check_column_names
from tf_finetune.data.readers.text_stream import check_encoding, read_lines
from tf_finetune.errors import DataError

__all__ = ["JsonlTable"]


# every row has all keys: objects with ever new ones would fill the memory
MAX_KEYS = 10_000


class JsonlTable(Table):
    """A JSON Lines file, plain or gzipped. A key that an object lacks is None.

    The file is read once to learn the keys and to check every line, and again for the rows.

    Args:
        path: the file.
        encoding: of the file; a byte order mark is skipped.

    Raises:
        DataError: The file is empty, a line is broken or no object, or the file is in another encoding.
    """

    def __init__(self, path: Path, *, encoding: str) -> None:
        self.origin = str(path)
        self._path = path
        self._encoding = check_encoding(encoding)
        keys: dict[str, None] = {}
        objects = 0
        for number, values in self._objects(unique_keys=True):
            objects += 1
            keys.update(dict.fromkeys(values))
            if len(keys) > MAX_KEYS:
                raise DataError(
                    f"{path}:{number}: over {MAX_KEYS} different keys. Expected the same keys in every line."
                )
        if not objects:
            raise DataError(f"{path}: is empty. Expected one JSON object a line.")
        self.columns = check_column_names(self.origin, tuple(keys))

    def rows(self, wanted: Sequence[str] | None = None) -> Iterator[Row]:
        """Yields every object, numbered by its line."""
        names = self.columns if wanted is None else tuple(wanted)
        for number, values in self._objects(unique_keys=False):
            yield self.origin, number, {name: values.get(name) for name in names}

    def _objects(self, *, unique_keys: bool) -> Iterator[tuple[int, dict[str, Any]]]:
        decoder = json.JSONDecoder(
            parse_constant=_refuse_constant, object_pairs_hook=_unique_keys if unique_keys else None
        )
        for number, line in enumerate(read_lines(self._path, encoding=self._encoding, newline="\n"), start=1):
            if not line.strip():
                continue
            values = self._parse(decoder, line.rstrip(), number)
            if not isinstance(values, dict):
                raise DataError(
                    f"{self.origin}:{number}: expected a JSON object such as "
                    f'{{"text": "...", "label": "..."}}, received {_KINDS.get(type(values), "another value")}.'
                )
            yield number, values

    def _parse(self, decoder: json.JSONDecoder, line: str, number: int) -> object:
        where = f"{self.origin}:{number}"
        try:
            values = decoder.decode(line)
            if "\\u" in line:
                _refuse_lone_surrogates(values)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{where}: broken JSON at column {error.colno}: {error.msg}. Expected one complete object a line."
            ) from error
        except RecursionError as error:
            raise DataError(f"{where}: the JSON is nested too deeply.") from error
        except ValueError as error:
            raise DataError(f"{where}: {error}.") from error
        return values


_KINDS: dict[type, str] = {
    list: "an array",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value; write null, or leave the key out")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} occurs more than once in one object")
    return values


def _refuse_lone_surrogates(values: object) -> None:
    try:
        json.dumps(values, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        raise ValueError(f"the escape \\u{code:04x} is half of a surrogate pair, which is no character") from error
