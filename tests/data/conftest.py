from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from tf_finetune.data import Examples, read_examples
from tf_finetune.errors import FinetuneError

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file below tmp_path, packed if its name ends in .gz, and returns its path."""

    def write_file(name: str, content: str | bytes, encoding: str = "utf-8") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = content.encode(encoding) if isinstance(content, str) else content
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return str(path)

    return write_file


@pytest.fixture
def refusal(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The message with which data is refused; fails if it is read, or if anything was written."""

    def read_and_catch(*paths: str, **options: object) -> str:
        spool = tmp_path_factory.mktemp("spool")
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(FinetuneError) as caught:
            read_examples(list(paths), spool_dir=str(spool), **options)  # type: ignore[arg-type]
        assert sorted(tmp_path.rglob("*")) == before
        assert not list(spool.iterdir())
        return str(caught.value)

    return read_and_catch


@pytest.fixture
def rows_of() -> Callable[[Examples], list[tuple[str, str]]]:
    """(text, class name) of every row."""

    def pairs(examples: Examples) -> list[tuple[str, str]]:
        return [
            (text, examples.label_names[i]) for text, i in zip(examples.texts(), examples.labels.tolist(), strict=True)
        ]

    return pairs
