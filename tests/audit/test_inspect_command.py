"""The command: lengths by the model's tokenizer, text for the terminal, JSON, a page, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import tiny_rows, write_csv
from tf_finetune.audit.lengths import measure_lengths
from tf_finetune.cli.main import main
from tf_finetune.data import Examples
from tf_finetune.tokens import encode, load_tokenizer
from tf_finetune.tokens.lengths import report_lengths


@pytest.fixture
def run(capsys):
    def run(*words):
        code = main(list(map(str, words)))
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="module")
def tokenizer(tiny_checkpoint):
    return load_tokenizer(tiny_checkpoint)


def lengths_of(counts, tokenizer, **options):
    texts = ["film " * count for count in counts]
    return measure_lengths(
        Examples.from_lists(texts, ["a", "b"] * (len(texts) // 2)), tokenizer, model="tiny", **options
    )


def test_lengths_are_those_that_fit_reports(tokenizer, tmp_path):
    rows = tiny_rows()
    texts, labels = zip(*rows, strict=True)
    examples = Examples.from_lists(texts, labels)
    table = encode(examples, tokenizer, max_length=8, cache_dir=str(tmp_path))
    wanted = report_lengths(table, batch_size=8, batching="plain")
    found = measure_lengths(examples, tokenizer, model="tiny", max_length=8)
    assert found.percentiles == wanted.percentiles
    assert found.current.truncated == wanted.truncated
    assert found.current.lost == pytest.approx(wanted.lost)
    assert found.current.tokens == wanted.tokens
    assert sum(count for _, count in found.histogram) == len(examples)


def test_the_suggestion_is_the_smallest_that_loses_little(tokenizer):
    counts = [50] * 99 + [600]  # 52 and 602 tokens with the special ones
    found = lengths_of(counts, tokenizer, max_length=256, longest=512)
    assert [choice.max_length for choice in found.choices] == [32, 64, 128, 256, 384, 512]
    assert found.suggestion is None or found.suggestion.lost < 0.01
    loss = {choice.max_length: choice.lost for choice in found.choices}
    total = 99 * 52 + 602
    assert loss[64] == pytest.approx((602 - 64) / total)
    assert loss[512] == pytest.approx((602 - 512) / total)
    assert "None up to 512 cuts less than 1%; that one still cuts 1.6%" in found.advice
    short = lengths_of([50] * 100, tokenizer, max_length=256)
    assert short.suggestion.max_length == 64 and short.current.lost == 0
    assert short.advice.startswith("--max-length 256 cuts none of the texts. --max-length 64 would do, too: it cuts 0")
    more = lengths_of([100] * 100, tokenizer, max_length=64, truncate="tail")
    assert more.suggestion.max_length == 128
    assert "1.59 times the tokens" in more.advice and "the start of a text: --truncate tail" in more.advice
    limited = lengths_of([100] * 100, tokenizer, max_length=64, longest=64)
    assert limited.suggestion is None and [choice.max_length for choice in limited.choices] == [32, 64]


@pytest.fixture
def dirty(tmp_path, reviews_csv):
    """The tiny reviews with a leak, and with texts and a label that would harm a terminal or a page."""
    rows = tiny_rows()
    rows[5] = ("the film was \x1b[31mred <script>alert(1)</script> \u202e", "positive")
    rows[7] = (rows[7][0], "<b>\x07</b>")
    return write_csv(tmp_path / "dirty.csv", rows), write_csv(
        tmp_path / "test.csv", [("a new one", "negative"), rows[0]]
    )


def test_the_terminal_json_and_page(run, dirty, tmp_path, tiny_checkpoint):
    train, test = dirty
    words = ("inspect", "--data", train, "--test", test, "--model", tiny_checkpoint, "--max-length", 16)
    code, out, err = run(*words, "--html", tmp_path / "page.html", "--write-clean", tmp_path / "clean.csv")
    assert code == 0
    assert "error: Texts that are also in the training data: 1 of 2 test rows (50%)" in out
    assert f"{test}:3 = {train}:2" in out
    assert "tokens a training text (percentiles): 50%: " in out
    assert not set(out) & set("\x1b\x07\u202e") and "\\x1b[31mred" in out
    assert all(len(line) <= 100 for line in out.splitlines() if not line.startswith("  "))
    assert "rows kept, as they were" in err and (tmp_path / "clean.dropped.csv").is_file()
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert page.count("<script>") == 1 and "<svg" in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert len(page) < 1_000_000
    code, out, _ = run(*words, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["rows"] == {"train": 96, "test": 2}
    assert found["lengths"]["current"]["max_length"] == 16
    assert found["findings"][0]["kind"] == "leak" and found["findings"][0]["severity"] == "error"


def test_no_tokens_loads_no_tensorflow(reviews_csv):
    code = (
        "import sys; from tf_finetune.cli.main import main; code = main(sys.argv[1:]); "
        "print(code, sorted({'tensorflow', 'transformers'} & sys.modules.keys()), file=sys.stderr)"
    )
    words = [sys.executable, "-c", code, "inspect", "--data", str(reviews_csv), "--no-tokens", "--json"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.stderr == "0 []\n"
    assert json.loads(done.stdout)["lengths"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--no-tokens", "--max-length", "64"), "--max-length: no effect with --no-tokens"),
        (("--no-tokens", "--overwrite"), "--overwrite: no effect without --html"),
        (("--no-tokens", "--html", "page.txt"), "ends in .html"),
        (("--no-tokens", "--html", "nowhere/page.html"), "no folder"),
        (("--no-tokens", "--html", "here.html"), "exists already"),
        (("--no-tokens", "--write-clean", "here.csv"), "exists already"),
        (("--truncate", "middle"), "--truncate"),
    ],
)
def test_what_has_no_effect_or_no_place_is_refused(run, reviews_csv, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    for name in ("here.html", "here.csv"):
        (tmp_path / name).write_text("kept")
    code, out, err = run("inspect", "--data", reviews_csv, *words)
    assert (code, out) == (2, "") and message in err
    assert (tmp_path / "here.html").read_text() == "kept"


@pytest.mark.parametrize("words", [("--html", "page.html"), ("--write-clean", "clean.csv")])
def test_a_folder_that_is_not_writable_is_refused_before_any_work(run, reviews_csv, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    code, out, err = run("inspect", "--data", reviews_csv, "--no-tokens", *words)
    assert (code, out) == (2, "") and "is not writable" in err


def test_a_length_that_the_model_does_not_take_is_refused(run, reviews_csv, tiny_checkpoint):
    code, _, err = run("inspect", "--data", reviews_csv, "--model", tiny_checkpoint, "--max-length", 65)
    assert code == 1 and "more than the 64 tokens" in err


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium")
def test_a_browser_shows_the_page_without_errors_or_requests(run, dirty, tmp_path):
    train, test = dirty
    assert run("inspect", "--data", train, "--test", test, "--no-tokens", "--html", tmp_path / "page.html")[0] == 0
    words = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    words += ["--disable-quic", "--no-first-run", "--disable-component-update", "--disable-sync"]
    words += ["--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=390,2000"]
    done = subprocess.run(
        [*words, f"--screenshot={tmp_path / 'shot.png'}", (tmp_path / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (tmp_path / "shot.png").stat().st_size > 20_000
    assert "CONSOLE" not in done.stderr
