"""Explanations of a trained tiny model: the word that decides, the page, the terminal, and what is refused."""

import io
import json
import re
import shutil
import sys

import pytest

from tests.conftest import BAD, GOOD, THINGS
from tf_finetune.cli.main import main
from tf_finetune.errors import ConfigError, DataError, RunError
from tf_finetune.explain import ExplainedText, Explanation, Word, explain, explain_many
from tf_finetune.explain.html import explanation_sections, marked_text
from tf_finetune.explain.terminal import format_explanation

TEXT = "the film was really really superb ."


@pytest.fixture(scope="module")
def folder(tiny_run):
    return tiny_run.run.path


@pytest.fixture
def run(capsys):
    def run(*words):
        code = main(["explain", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def invented(text="so good", *, values=(0.25, 2.0), cut=(), total=2.25, label="positive"):
    words = [Word(found.start(), found.end(), value) for found, value in zip(re.finditer(r"\S+", text), values)]
    return Explanation(
        label=label,
        probabilities={"negative": 0.1, label: 0.9},
        text=ExplainedText(text, tuple(words), tuple(cut)),
        pair=None,
        logit=2.0,
        baseline_logit=-0.25,
        baseline="[PAD]",
        total=total,
        steps=16,
    )


def test_the_word_that_decides_has_the_largest_attribution(folder):
    pairs = list(zip(GOOD[:9], BAD[:9], strict=True))
    texts = [f"the {thing} was {word} ." for pair, thing in zip(pairs, THINGS) for word in pair]
    found = explain_many(folder, texts, labels=["positive"] * len(texts))
    hits = 0
    for good, bad in zip(found[::2], found[1::2]):
        # both have the same baseline, so what sets them apart is in their attributions alone
        values = [[word.attribution for word in one.text.words] for one in (good, bad)]
        moved = [first - second for first, second in zip(*values)]
        assert sum(moved) == pytest.approx(good.logit - bad.logit, abs=0.05)
        hits += max(range(len(moved)), key=lambda i: abs(moved[i])) == 3
    assert hits >= 8
    assert all(one.is_complete and one.error <= 0.01 for one in found)
    assert all(sum(word.attribution for word in one.text.words) == pytest.approx(one.total) for one in found)


def test_the_numbers_are_those_of_the_model(folder):
    from tf_finetune.evaluation.predictor import load_predictor

    found = explain(folder, TEXT, label="negative")
    predictor = load_predictor(folder)
    (row,) = predictor.probabilities([TEXT])
    assert list(found.probabilities.values()) == pytest.approx(row.tolist(), abs=1e-5)
    assert (found.label, found.predicted) == ("negative", predictor.label_names[row.argmax()])
    assert [TEXT[word.start : word.end] for word in found.text.words] == TEXT.split()


def test_both_sentences_of_a_pair_are_explained(tiny_run):
    from tf_finetune.explain.embeddings import embedded_model
    from tf_finetune.explain.explainer import Explainer
    from tf_finetune.model.trained import load_run
    from tf_finetune.tokens.encoder import TextEncoder

    loaded = load_run(tiny_run.run)
    encoder = TextEncoder(loaded.encoder.tokenizer, max_length=16, pairs=True)
    explainer = Explainer(loaded.manifest.label_names, encoder, embedded_model(loaded.model, loaded.spec))
    found = explainer.explain("the film was good .", "the plot , really bad !", label="positive")
    assert [[one.text[word.start : word.end] for word in one.words] for one in found.texts] == [
        "the film was good .".split(),
        "the plot , really bad !".split(),
    ]
    assert found.is_complete
    assert sum(word.attribution for one in found.texts for word in one.words) == pytest.approx(found.total)
    assert found.to_dict()["pair"]["words"][4]["word"] == "bad"
    assert format_explanation(found, colours=False).count("really") >= 1
    with pytest.raises(DataError, match="trained on sentence pairs: give the second one with --pair"):
        explainer.explain("the film was good .")


def test_an_empty_text_and_a_cut_one(folder):
    empty, long = explain_many(folder, ["", "awful " + "the film was great and " * 20])
    assert empty.text.words == () and empty.difference == 0 and empty.is_complete
    assert "no word to explain" in format_explanation(empty, colours=True)
    assert "no word to explain" in "".join(explanation_sections(empty))
    ((start, end),) = long.text.cut
    assert long.is_complete and 0 < start < end < len(long.text.text)
    assert f"[... {end - start} characters cut ...]" in format_explanation(long, colours=False)
    assert "has not seen" in "".join(explanation_sections(long))


def test_what_cannot_be_explained_is_told(folder, tmp_path):
    with pytest.raises(ConfigError, match="--label: expected one of 'negative', 'positive'. Received: 'neutral'"):
        explain(folder, TEXT, label="neutral")
    with pytest.raises(DataError, match="--pair: the model was trained on single texts. Leave it out"):
        explain(folder, TEXT, "a second one")
    with pytest.raises(ConfigError, match="`steps` must lie in 1..1024. Received: 0"):
        explain(folder, TEXT, steps=0)
    with pytest.raises(DataError, match="`labels` must be as many as `texts`, 1. Received: 2"):
        explain_many(folder, [TEXT], labels=["negative", "positive"])
    with pytest.raises(RunError, match="There is no model folder"):
        explain(tmp_path / "none", TEXT)


def test_the_run_is_enough_and_a_missing_sum_is_logged(folder, tmp_path, caplog, monkeypatch):
    from tf_finetune.explain import explainer, gradients

    shutil.copytree(folder / "run", tmp_path / "copy" / "run")
    integrate = gradients.integrate

    def misses(function, start, end, *, steps):
        found = integrate(function, start, end, steps=steps)
        return gradients.Integral(found.attributions * 0.9, found.start, found.end, 1024)

    monkeypatch.setattr(explainer, "integrate", misses)
    found = explain(tmp_path / "copy", TEXT)
    assert not found.is_complete and found.error == pytest.approx(0.1, abs=0.011)
    assert "with 1024 steps the attributions miss the difference" in caplog.text
    assert "take them as rough" in format_explanation(found, colours=False)


def test_a_terminal_gets_colours_and_a_pipe_signs():
    shown = invented("so good\x1b[2J <b>", values=(-0.5, 2.0, 0.01))
    colours, plain = (format_explanation(shown, colours=on) for on in (True, False))
    assert "\x1b[38;5;16;48;5;223mso\x1b[0m \x1b[38;5;16;48;5;75mgood\\x1b[2J\x1b[0m <b>" in colours
    assert "so(-0.50) good\\x1b[2J(+2.00) <b>\n" in plain and "\x1b" not in plain
    assert "+2.0000  good" in plain and "-0.5000  so" in plain


def test_html_shows_any_text_as_text():
    hostile = '<script>alert(1)</script> "x" &amp; \u202e\x00'
    shown = invented(hostile, values=(1.0, -0.5, 0.001, 0.2), label="<i>")
    page = "".join(explanation_sections(shown))
    assert "<script>" not in page and "&lt;script&gt;" in page and "&amp;amp;" in page and "&lt;i&gt;" in page
    assert "\x00" not in page and "\u202e" not in page
    marked = marked_text(shown.text, shown.largest)
    assert marked.count("<mark") == 3
    assert "rgb(26 128 192 / 60%)" in marked and "rgb(213 94 0 / 30%)" in marked
    text = re.sub(r"<[^>]*>", "", marked)
    assert text.startswith("&lt;script&gt;alert(1)&lt;/script&gt; &quot;x&quot; &amp;amp;")


def test_the_command_prints_json_and_writes_a_page(folder, tmp_path, run, monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO((TEXT + "\n").encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    page = tmp_path / "page.html"
    code, out, err = run(folder, "-", "--json", "--html", page, "--label", "negative")
    found = json.loads(out)
    assert code == 0 and err.endswith(f"Page: {page}\n")
    assert found["text"]["text"] == TEXT and found["label"] == "negative" and found["completeness"]["complete"]
    assert [word["word"] for word in found["text"]["words"]] == TEXT.split()
    assert "superb</mark>" in page.read_text(encoding="utf-8")
    code, _, err = run(folder, TEXT, "--html", page)
    assert code == 2 and "exists already" in err


def test_the_command_prints_words(folder, run):
    code, out, _ = run(folder, TEXT)
    assert code == 0 and "\x1b" not in out
    assert re.search(r"superb\([+]\d", out) and "with every token replaced by [" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--overwrite"], "--overwrite: no effect without --html"),
        (["--html", "page.txt"], "expected a file that ends in .html"),
        (["--html", "nowhere/page.html"], "there is no folder nowhere"),
    ],
)
def test_the_command_refuses_pages_before_any_work(words, message, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("no-model", TEXT, *words)
    assert code == 2 and message in err


def test_standard_input_must_be_text(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe")))
    code, _, err = run("no-model", "-")
    assert code == 1 and "expected a text in UTF-8" in err


def test_colours_are_for_terminals_of_those_who_want_them(monkeypatch):
    from tf_finetune.cli.explain import _takes_colours

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert not _takes_colours()
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert _takes_colours()
    monkeypatch.setenv("TERM", "dumb")
    assert not _takes_colours()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not _takes_colours()
