from __future__ import annotations

import re

import pytest

from tests.reporting.browser import HAS_BROWSER, browser
from tests.reporting.reading import read
from tf_finetune.cli.main import main


@pytest.fixture
def run(capsys):
    def run(*words):
        code = main(list(map(str, words)))
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_the_command_prints_the_path_of_the_page(run, run_copy):
    code, out, _ = run("report", run_copy, "--no-words", "--resamples", "200")
    assert (code, out) == (0, f"{run_copy / 'report.html'}\n")
    assert "200 resamples" in read(run_copy / "report.html").words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--label-map", "a=b"], "--label-map: no effect without --data"),
        (["--split", "test"], "--split: no effect without --data"),
        (["--batch-size", "4", "--on-bad-row", "skip"], "--on-bad-row, --batch-size: no effect without --data"),
        (["--overwrite"], "--overwrite: no effect without --html"),
        (["--html", "page.txt"], "ends in .html"),
        (["--html", "here.html"], "exists already"),
    ],
)
def test_options_that_cannot_work_are_refused(run, run_copy, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.html").write_text("kept")
    code, out, err = run("report", run_copy, *words)
    assert (code, out) == (2, "") and message in err
    assert (tmp_path / "here.html").read_text() == "kept"


def test_no_run_is_an_error(run, tmp_path):
    code, _, err = run("report", tmp_path)
    assert code == 1 and "is no model folder" in err


@pytest.mark.slow
@pytest.mark.skipif(not HAS_BROWSER, reason="there is no chromium, or no chromedriver")
def test_a_browser_shows_the_page_sorts_its_tables_and_asks_for_nothing(run, hostile_run, tmp_path):
    page = tmp_path / "page.html"
    assert run("report", hostile_run, "--html", page)[0] == 0
    with browser(tmp_path) as found:
        for width, dark in [(1100, False), (390, True)]:
            found.requests()  # of what was open before
            found.open(page, width=width, dark=dark)
            assert found.run("return document.documentElement.scrollWidth") <= width
            assert found.run("return document.title") == "Report of <b>model & co"
            paper = found.run("return getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", paper))) < 200) == dark
            size = found.shot(tmp_path / f"{width}.png")
            assert size["height"] > 3000 and (tmp_path / f"{width}.png").stat().st_size > 50_000
            rows = "[...document.querySelectorAll('#confusion tbody tr')].map(row => Number(row.cells[2].dataset.sort))"
            head = "document.querySelector('#confusion th:nth-child(3) button')"
            before, once, twice = (
                found.run(f"return {rows}"),
                found.run(f"{head}.click(); return {rows}"),
                found.run(f"{head}.click(); return {rows}"),
            )
            assert len(before) > 1 and once == sorted(before) and twice == sorted(before, reverse=True)
            assert found.requests() == [page.as_uri()]
            assert [entry["message"] for entry in found.log("browser")] == []


@pytest.mark.slow
@pytest.mark.skipif(not HAS_BROWSER, reason="there is no chromium, or no chromedriver")
def test_the_browser_would_tell_of_a_script_and_of_a_request(tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<script>missing()</script><img src="http://localhost:9/x.png">')
    with browser(tmp_path) as found:
        found.requests()
        found.open(page)
        assert "http://localhost:9/x.png" in found.requests()
        assert "missing is not defined" in " ".join(entry["message"] for entry in found.log("browser"))
