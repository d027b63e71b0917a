"""A page that cannot be written is an error of ours, and the former one stays."""

import pytest

from tf_finetune import files
from tf_finetune.errors import RunError
from tf_finetune.pages.page import section
from tf_finetune.pages.write import write_page


def test_a_page_is_written(tmp_path):
    write_page(tmp_path / "page.html", "a < b", [section("Part", "<p>words</p>")])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<title>a &lt; b</title>" in text and "<p>words</p>" in text


def test_what_cannot_be_written_is_said(tmp_path, monkeypatch):
    with pytest.raises(RunError, match="Cannot write the page .*page.html: No such file or directory"):
        write_page(tmp_path / "gone" / "page.html", "title", [])
    page = tmp_path / "page.html"
    page.write_text("former")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(RunError, match="No space left"):
        write_page(page, "title", [])
    assert page.read_text() == "former" and [path.name for path in tmp_path.iterdir()] == ["page.html"]
