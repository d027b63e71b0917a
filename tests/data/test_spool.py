from __future__ import annotations

import gc
import os
from pathlib import Path

import pyarrow as pa
import pytest

from tf_finetune.data import read_examples
from tf_finetune.data import spool as spool_module
from tf_finetune.data.spool import Spool
from tf_finetune.errors import DataError


def test_rows_come_back_in_order_from_many_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "BATCH_ROWS", 3)
    with Spool(pairs=True, spool_dir=str(tmp_path)) as spool:
        for i in range(10):
            spool.append(f"ä {i}", f"b {i}", f"file {i // 4}", i)
        table = spool.finish()
    gc.collect()
    assert table.column_names == ["text", "pair", "origin", "row"]
    assert table.to_pylist() == [
        {"text": f"ä {i}", "pair": f"b {i}", "origin": f"file {i // 4}", "row": i} for i in range(10)
    ]
    assert pa.types.is_dictionary(table.schema.field("origin").type)
    assert table.column("text").num_chunks == 4


def test_long_texts_fill_a_batch_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "BATCH_CHARACTERS", 100)
    with Spool(pairs=False, spool_dir=str(tmp_path)) as spool:
        for i in range(4):
            spool.append("x" * 60, None, "f", i)
        assert spool.finish().column("text").num_chunks == 2


def test_texts_lie_on_disk_and_not_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"{'word ' * 400}{i},{i % 2}\n" for i in range(5_000)), encoding="utf-8")
    before = pa.total_allocated_bytes()
    examples = read_examples([str(path)], spool_dir=str(tmp_path))
    assert examples.table.nbytes > 10_000_000
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_the_file_has_no_name(tmp_path: Path) -> None:
    with Spool(pairs=False, spool_dir=str(tmp_path)) as spool:
        spool.append("a", None, "f", 1)
        if os.name == "posix":
            assert not list(tmp_path.iterdir())
        table = spool.finish()
    assert not list(tmp_path.iterdir())
    assert table.column("text").to_pylist() == ["a"]


def test_no_rows_are_a_table_without_rows(tmp_path: Path) -> None:
    with Spool(pairs=False, spool_dir=str(tmp_path)) as spool:
        assert spool.finish().num_rows == 0


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Cannot write the texts to a temporary file in .*nowhere.*TMPDIR"):
        Spool(pairs=False, spool_dir=str(tmp_path / "nowhere"))


def test_a_full_disk_is_a_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Spool(pairs=False, spool_dir=str(tmp_path)) as spool:
        spool.append("a", None, "f", 1)

        class Full:
            def write_batch(self, batch: pa.RecordBatch) -> None:
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(spool, "_writer", Full())
        with pytest.raises(DataError, match="No space left on device.*Make room there"):
            spool.finish()


def test_half_characters_are_refused_with_their_row(tmp_path: Path) -> None:
    with Spool(pairs=False, spool_dir=str(tmp_path)) as spool:
        spool.append("a", None, "f", 1)
        spool.append("b \ud800", None, "f", 2)
        with pytest.raises(DataError, match="f:2: the text holds half of a surrogate pair"):
            spool.finish()


def test_file_names_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    with Spool(pairs=False, spool_dir=str(tmp_path)) as spool:
        spool.append("a", None, "caf\udce9.txt", 0)
        assert spool.finish().column("origin").to_pylist() == ["caf\\udce9.txt"]
