from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.tuning.invented import HOSTILE, all_failed, invented_search
from tf_finetune.evaluation.bootstrap import Interval
from tf_finetune.tuning.report.html import write_report
from tf_finetune.tuning.report.importance import Importance

IMPORTANCE = Importance("By a forest.", 17, 0.75, {"fit.learning_rate": 0.8, "fit.batch_size": 0.2})
BETTER = Interval(0.0125, 0.0021, 0.0229, 0.95, 2000, 872)
VOID = {"meta", "wbr", "path", "use", "br"}


class Reader(HTMLParser):
    """Collects the texts, tags and tables of a page; refuses tags that do not nest."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.rows, self.words = [], [], [], []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def report(tmp_path, trials=None, **changes):
    path = tmp_path / "report.html"
    arguments = {
        "title": "Search of reviews",
        "objective": "val_accuracy",
        "trials": invented_search(names=3) if trials is None else trials,
        "comparison": BETTER,
        "importance": IMPORTANCE,
        "facts": {"algorithm": "random", "seed": 0},
    }
    write_report(path, **{**arguments, **changes})
    return path.read_text(encoding="utf-8")


def words(page):
    return " ".join("".join(Reader(page).words).split())


def search(*scores):
    return [replace(trial, score=score) for trial, score in zip(invented_search(6, names=2), scores)]


def test_the_page_has_the_verdict_the_pictures_and_every_trial(tmp_path):
    trials = search(0.9, 0.91, 0.8)
    page = report(tmp_path, trials)
    read = Reader(page)
    said = words(page)
    assert "Trial 0001 is the best: val_accuracy 0.9100." in said
    assert "That is 0.0125 more than the configuration as given (trial 0000, 0.9000)." in said
    assert "The 95% confidence interval of the difference goes from +0.0021 to +0.0229" in said
    assert "(paired bootstrap, 2000 resamples of 872 validation rows)" in said
    assert "the best of 3 trials by the same validation rows" in said and "likely smaller" in said
    assert sum(tag == "svg" for tag, _ in read.tags) == 3
    assert [one[0] for one in read.rows if re.fullmatch(r"\d{4}", one[0])] == ["0000", "0001", "0002"]
    assert ["fit.learning_rate", "80%", ""] in read.rows
    assert ["seed", "0"] in read.rows and ["objective", "val_accuracy"] in read.rows
    rate = trials[1].values["fit.learning_rate"], trials[0].values["fit.learning_rate"]
    assert ["fit.learning_rate", *map(str, rate)] in read.rows
    assert "By a forest. From 17 trials. It explains 75% of the variance" in said


@pytest.mark.parametrize(
    ("interval", "objective", "expected"),
    [
        (BETTER, "val_accuracy", "more than .* on the better side of 0"),
        (replace(BETTER, low=-0.001), "val_accuracy", r"from -0.0010 to \+0.0229 .* holds 0: .* may be chance"),
        (replace(BETTER, estimate=-0.02, low=-0.03, high=-0.01), "val_loss", "0.0200 less than .* on the better side"),
        (BETTER, "val_loss", "more than .* on the worse side of 0"),
    ],
)
def test_the_interval_is_put_into_words(tmp_path, interval, objective, expected):
    trials = search(0.5, 0.6) if objective == "val_accuracy" else search(0.6, 0.5)
    assert re.search(expected, words(report(tmp_path, trials, objective=objective, comparison=interval)))


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        (search(0.9, 0.8), "That is the configuration as given: no other trial was better."),
        (search(0.9, 0.95)[1:], "The configuration as given was not tried"),
        ([*all_failed(1), *search(0.9, 0.95)[1:]], r"The configuration as given \(trial 0000\) was not completed"),
        (search(0.9, 0.95), r"The configuration as given \(trial 0000, 0.9000\) was not compared"),
        (all_failed(), "No trial was completed. Trials: 6, of which 0 completed, 6 failed."),
        ([], "No trial was completed. Trials: 0, of which 0 completed, 0 failed."),
    ],
)
def test_without_a_comparison_the_page_says_why(tmp_path, trials, expected):
    found = words(report(tmp_path, trials, comparison=None))
    assert re.search(expected, found)
    assert "confidence interval" not in found


def test_one_trial_was_not_chosen(tmp_path):
    assert "likely smaller" not in words(report(tmp_path, search(0.9), comparison=None))


def test_failures_have_their_reasons_and_unfinished_trials_are_counted(tmp_path):
    page = report(tmp_path)
    reason, failed = [one for one in Reader(page).rows if one[0] == "0005"]
    assert failed[1:3] == ["failed", "–"] and reason[1].startswith("Out of memory.")
    assert "Trials: 20, of which 17 completed (3 of them stopped early), 2 failed, 1 unfinished." in words(page)
    trials = [replace(trial, reason="x" * 5000) for trial in all_failed(1)]
    assert "x … (the rest is in trials.csv)" in report(tmp_path, trials)


def test_nothing_can_be_told_of_importance_is_said(tmp_path):
    page = report(tmp_path, importance=Importance("m", 3, reason="Too few trials."))
    assert "Too few trials." in words(page)
    assert 'class="bar"' not in page


def test_what_users_wrote_is_text(tmp_path):
    trials = invented_search()
    facts = {HOSTILE: HOSTILE}
    importance = replace(IMPORTANCE, shares={HOSTILE: 1.0})
    page = report(tmp_path, trials, title=HOSTILE, facts=facts, importance=importance)
    read = Reader(page)
    tags = {tag for tag, _ in read.tags}
    assert sum(tag == "script" for tag, _ in read.tags) == 1
    assert "b" not in tags
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert "\x1b" not in page
    shown = HOSTILE.replace("\x1b", "\\x1b").replace("\ud800", "\\ud800")
    assert [shown, shown] in read.rows
    assert any(shown in cell for one in read.rows for cell in one if "Out of memory" in cell)


def test_the_page_loads_nothing_and_runs_its_own_script_alone(tmp_path):
    page = report(tmp_path)
    tags = Reader(page).tags
    policy = next(a["content"] for tag, a in tags if a.get("http-equiv") == "Content-Security-Policy")
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" == policy
    links = [a[name] for _, a in tags for name in ("href", "src", "xlink:href") if name in a]
    assert all(link.startswith("#") for link in links)
    assert "url(http" not in page and "@import" not in page
    assert page == report(tmp_path)


def test_numbers_are_sorted_by_all_of_their_digits(tmp_path):
    trials = invented_search(names=3)
    tags = Reader(report(tmp_path, trials)).tags
    keys = [attributes["data-sort"] for tag, attributes in tags if "data-sort" in attributes]
    assert repr(trials[3].values["fit.learning_rate"]) in keys
    assert repr(trials[3].score) in keys
    assert any(attributes.get("class") == "sortable" for tag, attributes in tags if tag == "table")
