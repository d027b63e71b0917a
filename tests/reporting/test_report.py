from __future__ import annotations

import base64
import hashlib
import importlib
import json
import re

import numpy as np
import pytest

from tests.conftest import BAD, GOOD, tiny_rows, write_csv
from tests.reporting.conftest import CHARACTERS
from tests.reporting.reading import read
from tf_finetune.errors import ConfigError, ModelError, RunError
from tf_finetune.evaluation.logits import read_logits, softmax, write_logits
from tf_finetune.reporting.report import report
from tf_finetune.run import ModelFolder

HEADINGS = [
    "In short",
    "Scores",
    "Classes",
    "Confusion matrix",
    "Learning curves",
    "Can its probabilities be believed?",
    "Precision-recall and ROC",
    "Length and accuracy",
    "Worst errors",
    "Labels that may be wrong",
    "Data audit",
    "Configuration",
    "Environment",
]
PICTURES = [
    "Confusion matrix",
    "Loss by epoch",
    "Accuracy and macro F1 by epoch",
    "Reliability diagram",
    "Rows by the probability of the answer",
    "Precision-recall curves",
    "ROC curves",
    "Accuracy by length",
    "Lengths of the training texts in tokens",
]
MOST_BYTES = 3_000_000


@pytest.fixture(scope="module")
def page(tiny_run, tmp_path_factory):
    return report(tiny_run.run.path, output=tmp_path_factory.mktemp("reports") / "tiny.html")


@pytest.fixture(scope="module")
def hostile_page(hostile_run, tmp_path_factory):
    return report(hostile_run, output=tmp_path_factory.mktemp("reports") / "hostile.html")


def flipped(path):
    """Labelled data whose every label is wrong."""
    other = {"positive": "negative", "negative": "positive"}
    return [str(write_csv(path, [(text, other[label]) for text, label in tiny_rows(40)]))]


def pictures(found):
    return [attributes["aria-label"] for tag, attributes in found.tags if tag == "svg"]


def own_headings(found):
    return [heading for heading in found.headings if heading in HEADINGS]


def set_option(model, key, value):
    """Changes a line of the run's configuration."""
    text = model.config.read_text()
    model.config.write_text(re.sub(rf"^( +{key}: ).*", lambda found: found.group(1) + value, text, flags=re.MULTILINE))


def test_the_page_has_every_section_and_every_picture(page):
    found = read(page)
    assert own_headings(found) == HEADINGS
    assert sorted(pictures(found)) == sorted(PICTURES)
    links = {attributes["href"][1:] for tag, attributes in found.tags if tag == "a"}
    assert links and links <= {attributes.get("id") for _, attributes in found.tags}
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_its_numbers_are_those_of_the_run(page, tiny_run):
    found, model = read(page), tiny_run.run
    scores = json.loads(model.metrics.read_text())["validation"]
    for name, field in [
        ("accuracy", "accuracy"),
        ("macro F1", "macro_f1"),
        ("AUROC", "auroc"),
        ("log loss", "log_loss"),
    ]:
        assert f"{scores[field]:.4f}" in found.row(name)[1]
    for name, one in scores["classes"].items():
        row = found.row(name)
        assert [cell.split()[0] for cell in row[1:]] == [
            str(one["support"]),
            *(f"{one[field]:.4f}" for field in ("precision", "recall", "f1")),
        ]
    assert f"The model is right in {scores['accuracy']:.1%}" in found.words
    assert f"{scores['rows']} validation rows" in found.words
    assert found.row("data.validation_split")[1:] == ["0.25", "0.1"]
    assert found.row("run")[1] == json.loads(model.complete.read_text())["run_id"]


def test_the_page_loads_nothing_and_runs_its_own_script_alone(page, hostile_page):
    for path in (page, hostile_page):
        text = path.read_text(encoding="utf-8")
        scripts = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
        assert len(scripts) == 1 and f"script-src 'sha256-{digest}'" in text and "default-src 'none'" in text
        addresses = [
            value
            for _, attributes in read(path).tags
            for name, value in attributes.items()
            if name in ("src", "href", "xlink:href", "srcset", "action") and not value.startswith("#")
        ]
        assert not addresses
        assert path.stat().st_size < MOST_BYTES


def test_the_same_run_gives_the_same_page(page, tiny_run, tmp_path):
    assert report(tiny_run.run.path, output=tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_by_default_the_page_lies_beside_the_run_and_is_replaced(run_copy):
    (run_copy / "report.html").write_text("old")
    path = report(run_copy, words=False)
    assert path == run_copy / "report.html"
    assert own_headings(read(path)) == HEADINGS
    assert ModelFolder(run_copy).versions() == []


def test_what_needs_texts_is_left_out_where_they_have_changed(run_copy, tmp_path):
    model = ModelFolder(run_copy)
    environment = json.loads(model.environment.read_text())
    environment["data"]["validation"]["sha256"] = "0" * 64
    model.environment.write_text(json.dumps(environment))
    found = read(report(run_copy))
    assert own_headings(found) == HEADINGS
    assert {"Accuracy by length", "Lengths of the training texts in tokens"} == set(PICTURES) - set(pictures(found))
    assert found.words.count("This data is not what the run had, by its fingerprint: validation.") == 3


def test_what_needs_texts_is_left_out_where_they_are_gone(run_copy, caplog):
    set_option(ModelFolder(run_copy), "data", "[gone/*.csv]")
    found = read(report(run_copy))
    assert own_headings(found) == HEADINGS
    assert found.words.count("The data of the run cannot be read again: ") == 3
    assert "Accuracy by length" not in pictures(found)
    assert "Its paths are relative: write the report in the folder where fit was run." in caplog.text


def test_data_that_would_have_to_be_downloaded_is_left_out(run_copy, monkeypatch):
    from tf_finetune import backend

    class Tfds:
        def builder(self, name, data_dir):
            assert (name, data_dir) == ("imdb_reviews", None)
            return self

        def is_prepared(self):
            return False

        def __getattr__(self, name):
            raise AssertionError(name)

    monkeypatch.setattr(backend, "load_tfds", Tfds)
    set_option(ModelFolder(run_copy), "data", "['tfds:imdb_reviews']")
    found = read(report(run_copy, words=False))
    assert found.words.count("a report downloads nothing. Prepare it: tfds build imdb_reviews") == 3


def test_the_cache_of_another_machine_is_not_made(run_copy, tmp_path):
    set_option(ModelFolder(run_copy), "cache_dir", str(tmp_path / "theirs"))
    assert "Accuracy by length" in pictures(read(report(run_copy, words=False)))
    assert not (tmp_path / "theirs").exists()


def test_a_page_that_cannot_be_written_is_refused_before_the_work(run_copy, monkeypatch):
    (run_copy / "report.html").mkdir()
    monkeypatch.setattr("tf_finetune.reporting.report.read_run_data", None)
    with pytest.raises(ConfigError, match=r"report\.html cannot be written"):
        report(run_copy)


def test_other_data_is_answered_and_reported_on(run_copy, tmp_path):
    from tf_finetune.evaluation import evaluate

    data = flipped(tmp_path / "other.csv")
    scores = evaluate(run_copy, data)
    found = read(report(run_copy, data=data))
    assert own_headings(found) == HEADINGS
    assert "40 given rows" in found.words and "validation rows chose" not in found.words
    accuracy = found.row("accuracy")
    interval = scores.intervals.scores["accuracy"]
    assert f"{scores.accuracy:.4f} {interval.low:.3f} to {interval.high:.3f}" in accuracy[1]
    recorded = json.loads(ModelFolder(run_copy).metrics.read_text())["validation"]
    assert f"{recorded['accuracy']:.4f}" in accuracy[2]
    assert "negative taken for positive" in found.words and re.search(
        r"1\. .*? probability 0\.\d+ .*?/other\.csv:\d+", found.words
    )


def test_words_that_drove_an_error_are_coloured(run_copy, tmp_path):
    data = flipped(tmp_path / "other.csv")
    text = report(run_copy, data=data).read_text()
    words = re.findall(r'<mark style="[^"]*" title="[+-][^"]*">(\w+)</mark>', text)
    assert {*GOOD, *BAD} & set(words)
    plain = report(run_copy, data=data, words=False).read_text()
    assert "<mark" not in plain and "which were not asked for" in plain


def test_an_architecture_that_cannot_be_explained_is_said_so(run_copy, tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise ModelError("The architecture bart cannot be explained.")

    monkeypatch.setattr(importlib.import_module("tf_finetune.explain.explain"), "explain_many", refuse)
    data = flipped(tmp_path / "other.csv")
    found = read(report(run_copy, data=data))
    assert "Without the words that drove them: The architecture bart cannot be explained." in found.words
    assert any(text in found.words for text, _ in tiny_rows(40))


def test_four_classes_with_hostile_names_and_texts_are_shown_as_text(hostile_page):
    found = read(hostile_page)
    tags = {tag for tag, _ in found.tags}
    assert not tags & {"img", "iframe", "object", "link", "image"}
    assert own_headings(found) == HEADINGS
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert "<script>alert(1)</script>" in found.words and "\"quotes' & </svg>" in found.words
    assert "<b>model & co" in found.words and re.search(r"The (weakest )?class .{1,40} is ", found.words)
    text = hostile_page.read_text(encoding="utf-8")
    assert "\u202e" not in text and "\x1b" not in text and "\\u202e" in text
    assert "\u05e2\u05d1\u05e8\u05d9\u05ea \u0639\u0631\u0628\u064a" in found.words
    assert max(map(len, re.findall(r"x+", text))) < CHARACTERS / 10
    assert sorted(pictures(found)) == sorted(PICTURES)


def test_calibration_is_shown_before_and_after(hostile_page, hostile_run):
    found, model = read(hostile_page), ModelFolder(hostile_run)
    calibration = json.loads(model.calibration.read_text())
    before, after = calibration["validation"]["before"], calibration["validation"]["after"]
    assert f"Calibrated with temperature {calibration['temperature']['value']:.3f}" in found.words
    assert f"calibration error goes from {before['ece']:.4f} to {after['ece']:.4f}" in found.words
    assert f"{after['log_loss']:.4f}" in found.row("log loss")[1]
    labels, logits = read_logits(model.validation_logits)
    probabilities = softmax(logits, temperature=calibration["temperature"]["value"])
    thresholds = np.array(
        [calibration["operating_point"]["classes"][name]["threshold"] for name in json.loads(model.labels.read_text())]
    )
    answers = probabilities.argmax(axis=1)
    accepted = int((probabilities.max(axis=1) >= thresholds[answers].astype(float)).sum())
    row = next(row for row in found.rows if row[:1] == ["all"] and " of " in row[2])
    assert row[2].startswith(f"{accepted} of {len(labels)}")


def test_damaged_runs_are_refused(run_copy):
    model = ModelFolder(run_copy)
    history = model.history.read_text()
    model.history.write_text("epoch,loss\n0,much\n")
    with pytest.raises(RunError, match=r"history\.csv is damaged"):
        report(run_copy)
    model.history.write_text(history)
    metrics = json.loads(model.metrics.read_text())
    metrics["test"] = {"rows": 1}
    model.metrics.write_text(json.dumps(metrics))
    with pytest.raises(RunError, match=r"metrics\.json is damaged \(test\)"):
        report(run_copy)
    for key, value in (("rows", []), ("accuracy", "much"), ("confusion", [[10**30, 0], [0, 1]])):
        metrics["test"] = {**metrics["validation"], key: value}
        model.metrics.write_text(json.dumps(metrics))
        with pytest.raises(RunError, match=r"metrics\.json is damaged \(test\)"):
            report(run_copy)
    del metrics["test"]
    model.metrics.write_text(json.dumps(metrics))
    labels, logits = read_logits(model.validation_logits)
    write_logits(model.validation_logits, labels, logits[:, ::-1])
    with pytest.raises(RunError, match="not of the same run"):
        report(run_copy)
    model.validation_logits.unlink()
    with pytest.raises(RunError, match="--data FILE"):
        report(run_copy)
    model.complete.unlink()
    with pytest.raises(RunError, match="unfinished"):
        report(run_copy)


def test_a_run_without_configuration_still_has_its_scores(run_copy):
    model = ModelFolder(run_copy)
    model.config.unlink()
    complete = json.loads(model.complete.read_text())
    model.complete.write_text(json.dumps({**complete, "seconds": float("inf")}))
    assert own_headings(read(report(run_copy, words=False))) == HEADINGS


@pytest.mark.slow
def test_sentence_pairs_are_shown_with_both_sentences(tiny_checkpoint, tmp_path):
    from tf_finetune.config import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
    from tf_finetune.training.fit import fit

    rows = [(text, f"two {i} phones", label) for i, (text, label) in enumerate(tiny_rows(60))]
    data = write_csv(tmp_path / "pairs.csv", rows, header=("first", "second", "label"))
    columns = {"text_column": "first", "pair_column": "second", "validation_split": 0.4}
    fitted = fit(
        Config(
            data=DataConfig(data=(str(data),), **columns),
            tokens=TokensConfig(max_length=24, cache_dir=str(tmp_path / "tables")),
            model=ModelConfig(model=str(tiny_checkpoint)),
            fit=FitConfig(epochs=1, learning_rate=1e-5),
            export=ExportConfig(export=False),
            run=RunConfig(output=str(tmp_path / "pairs")),
        )
    )
    found = read(report(fitted.run.path))
    assert own_headings(found) == HEADINGS and sorted(pictures(found)) == sorted(PICTURES)
    card = found.words[found.words.index("Worst errors") : found.words.index("Labels that may be wrong")]
    assert re.search(r"probability 0\.\d+ .*?pairs\.csv:\d+.* was .*two \d+ phones", card)
