"""The model card: valid for the hub, true to the run, and never at the cost of what a person wrote."""

import json
import os
import re

import numpy as np
import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard import metadata_load
from markdown_it import MarkdownIt

from tf_finetune.config import DataConfig
from tf_finetune.errors import RunError
from tf_finetune.evaluation.calibration import calibrate
from tf_finetune.evaluation.intervals import score_intervals
from tf_finetune.evaluation.logits import read_logits, softmax, write_logits
from tf_finetune.files import read_json
from tf_finetune.run import ModelFolder
from tf_finetune.sharing.card import card_for_hub, refresh_card, write_card

FOUR = ("Business", "Sci/Tech", "Sports", "World")
HOSTILE = (
    "<script>alert(1)</script>",
    "a|b",
    "*bold* _thin_ `code`",
    "[click](http://example.org) www.example.org <b@example.org>",
    "--- \n# not a heading\n<!-- keep: notes -->",
    "&amp; $x$ ~~no~~ :+1: \x1b[31m \\",
    "naïve 良い 😀",
)


def rendered(text):
    """The Markdown below the metadata as tokens."""
    return MarkdownIt("commonmark").enable("table").parse(text.split("\n---\n", 1)[1])


def inline_tokens(text):
    return [child for token in rendered(text) for child in token.children or ()]


def test_the_hub_reads_the_card(described_run):
    folder = described_run()
    assert write_card(folder.path) == folder.path / "README.md"
    card = ModelCard.load(folder.card)
    assert card.data.pipeline_tag == "text-classification"
    assert (card.data.library_name, card.data.base_model) == ("transformers", "distilbert-base-uncased")
    assert {"text-classification", "tf", "tf_finetune"} <= set(card.data.tags)
    assert (card.data.license, card.data.language) == (None, None)  # for the person to fill in
    recorded = read_json(folder.metrics)
    found = {(one.dataset_split, one.metric_name): one.metric_value for one in card.data.eval_results}
    for split in ("validation", "test"):
        for field, name in {"accuracy": "Accuracy", "macro_f1": "Macro F1", "mcc": "MCC", "auroc": "AUROC"}.items():
            assert found.pop((split, name)) == pytest.approx(recorded[split][field], abs=1e-6)
    assert not found
    assert {one.dataset_name for one in card.data.eval_results} == {"reviews.csv", "held.tsv"}
    assert card.data.metrics == ["accuracy", "f1", "matthews_correlation", "roc_auc"]
    assert metadata_load(folder.card)["model-index"][0]["name"] == "reviews"


def test_scores_come_with_the_intervals_of_evaluate(described_run):
    folder = described_run(FOUR)
    text = write_card(folder.path).read_text()
    labels, logits = read_logits(folder.validation_logits)
    of_validation = score_intervals(labels, softmax(logits), FOUR).scores
    confusion = np.array(read_json(folder.metrics)["test"]["confusion"])
    true, answers = (np.repeat(found, confusion.ravel()) for found in np.indices(confusion.shape).reshape(2, -1))
    of_test = score_intervals(true, np.eye(4, dtype=np.float32)[answers], FOUR)
    for field, title in {
        "accuracy": "Accuracy",
        "macro_f1": "Macro F1",
        "mcc": r"Matthews correlation \(MCC\)",
    }.items():
        cells = [
            rf"{one.estimate:.3f} \[{one.low:.3f} to {one.high:.3f}\]"
            for one in (of_test.scores[field], of_validation[field])
        ]
        assert re.search(rf"\| {title} \| {cells[0]} \| {cells[1]} \|", text)
    auroc = of_validation["auroc"]
    assert f"| {auroc.estimate:.3f} [{auroc.low:.3f} to {auroc.high:.3f}] |" in text
    f1 = of_test.classes[1]["f1"]
    assert re.search(rf"\| Sci/Tech \|.*\| {f1.estimate:.3f} \[{f1.low:.3f} to {f1.high:.3f}\] \|", text)


def test_the_card_says_what_a_reader_has_to_know(described_run):
    folder = described_run(FOUR)
    text = write_card(folder.path).read_text()
    count, true, answer = max(
        (count, -true, -answer)
        for true, row in enumerate(read_json(folder.metrics)["test"]["confusion"])
        for answer, count in enumerate(row)
        if true != answer
    )
    assert f"Most frequent mistakes: {FOUR[-true]} taken for {FOUR[-answer]} ({count})" in text
    assert "one of 4 classes: Business, Sci/Tech, Sports, World" in text
    assert (
        "- Train: 900 texts of reviews.csv\n- Validation: 150 texts of reviews.csv\n- Test: 120 texts of held.tsv"
        in text
    )
    assert "| 2 | Sports | 225 |" in text
    assert "It reads at most 64 tokens of a text; of a longer one, a quarter from the start" in text
    assert "in 1 min 14 s on 2 CPU cores; the weights kept are those of epoch 2" in text
    assert "| Class weights | balanced |" in text
    assert "not calibrated" in text
    assert "TensorFlow Serving" not in text  # there is no export
    assert "/home/someone" not in text and "/data" not in text


def test_lengths_that_the_run_has_recorded_are_told(described_run):
    folder = described_run(truncate="head")
    lengths = {"max_length": 64, "percentiles": {"50": 21, "100": 380}, "truncated": 0.123, "lost": 0.019}
    folder.environment.write_text(json.dumps({**read_json(folder.environment), "lengths": lengths}))
    text = write_card(folder.path).read_text()
    assert "the start is read and the rest is not. 12.3 % of the training texts were longer, and 1.9 %" in text
    assert "(percentiles): 50 %: 21, 100 %: 380." in text


def test_without_test_data_the_validation_is_not_praised(described_run):
    text = write_card(described_run(test=False, data=DataConfig()).path).read_text()
    assert "There was no test data" in text
    assert "| Validation (150 texts) |" in text and "Test (" not in text
    assert "the embedded reviews of tf" in text


def test_a_calibrated_model_is_told_as_it_is(described_run):
    folder = described_run(FOUR)
    before = write_card(folder.path).read_text()
    found = calibrate(folder.path, threshold_for="precision=0.9")
    text = write_card(folder.path).read_text()
    assert text != before
    assert f"the logits are divided by {found.temperature.value:.3f}" in text
    change = found.validation
    assert f"calibration error went from {change.before.ece:.3f} to {change.after.ece:.3f}" in text
    loss = re.search(r"\| Log loss \| not measured \| ([\d.]+) \[", text)  # of the test rows nothing is known now
    assert float(loss.group(1)) == pytest.approx(change.after.log_loss, abs=5e-4)
    assert re.search(r"\| AUROC \| not measured \|", text)  # of four classes, a temperature can change it
    for name, one in zip(FOUR, found.operating_point.classes):
        threshold = "never taken" if one.threshold is None else f"{one.threshold:.4f}"
        assert f"| {name} | {threshold} | {one.accepted} of {one.predicted} |" in text
    assert "for a precision of 90.0 % in each class" in text
    assert f".logits / {found.temperature.value!r})" in text


def test_what_a_person_wrote_stays(described_run):
    folder = described_run()
    text = write_card(folder.path).read_text()
    text = text.replace("# license: apache-2.0, or what you choose: the model's licence\n", "license: mit\n")
    text = text.replace("# language: en, or what the texts are in\n", "language: no\nreviewed: 2026-01-31\n")
    text = text.replace("- tf_finetune\n", "- tf_finetune\n- cinema\n", 1)
    mine = "Ask *Ada*.\n\n## My own heading\n\n| a | b |\n| - | - |\n"
    text = re.sub(r"(?<=<!-- keep: description -->\n).*?(?=<!-- end)", lambda _: mine, text, flags=re.DOTALL)
    folder.card.write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))  # an editor on Windows
    calibrate(folder.path)
    new = write_card(folder.path).read_text()
    assert mine in new and "are calibrated" in new
    data = ModelCard(new).data
    assert (data.license, data.language, data.reviewed) == ("mit", "no", "2026-01-31")
    assert data.tags[-1] == "cinema" and data.tags.count("tf_finetune") == 1
    assert "# license" not in new
    assert write_card(folder.path).read_text() == new


def test_a_base_model_that_only_the_person_knows_stays_with_its_run(described_run):
    folder = described_run()
    environment = read_json(folder.environment)
    environment["model"] |= {"name": "/home/someone/mine", "source": "local folder"}
    folder.environment.write_text(json.dumps(environment))
    text = write_card(folder.path).read_text()
    assert "base_model" not in text and "a local checkpoint (distilbert)" in text and "/home" not in text
    folder.card.write_text(text.replace("tags:", "base_model: acme/mine\ntags:", 1))
    assert ModelCard(write_card(folder.path).read_text()).data.base_model == "acme/mine"
    folder.complete.write_text(json.dumps({**read_json(folder.complete), "run_id": "fedcba9876543210"}))
    assert "base_model" not in write_card(folder.path).read_text()  # it may be another one


def test_leaks_that_were_allowed_are_told(described_run):
    assert "allow-leaks" not in write_card(described_run().path).read_text()
    leaky = described_run(name="leaky", data=DataConfig(data=("a.csv",), allow_leaks=True))
    assert "It was trained with `--allow-leaks`" in write_card(leaky.path).read_text()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "# My model\n",
        lambda text: text.replace("## Scores", "## Results"),
        lambda text: text + "\nPS: one more thing.\n",
        lambda text: text.replace("<!-- end of keep -->\n", "", 1),
        lambda text: text.replace("tags:", "tags: [", 1),
        lambda text: text.replace("\n<!-- keep: notes -->", "\n<!-- keep: description -->"),
    ],
    ids=["by hand", "a heading", "at the end", "a mark is gone", "no YAML", "a place twice"],
)
def test_a_card_that_was_changed_elsewhere_is_not_replaced(described_run, caplog, change):
    folder = described_run()
    changed = change(write_card(folder.path).read_text())
    folder.card.write_text(changed)
    with pytest.raises(RunError, match="by hand, or changed outside the places marked keep"):
        write_card(folder.path)
    assert refresh_card(folder.path) is None
    assert "the model card was not written" in caplog.text
    assert folder.card.read_text() == changed
    assert card_for_hub(folder, "acme/reviews", exports=True) == changed


def test_names_of_users_are_shown_as_they_are(described_run):
    folder = described_run(HOSTILE, name="<b>bold [x](y)")
    text = write_card(folder.path).read_text()
    tokens = inline_tokens(text)
    kinds = {token.type for token in tokens}
    assert not kinds & {"link_open", "html_inline", "image"}
    blocks = [token.content.strip() for token in rendered(text) if token.type == "html_block"]
    assert all(re.fullmatch(r"<!-- (keep: [a-z ]+|end of keep|Written by tf_finetune .*) -->", one) for one in blocks)
    assert blocks.count("<!-- keep: notes -->") == 1
    shown = {"".join(child.content for child in token.children) for token in rendered(text) if token.type == "inline"}
    assert {
        "<script>alert(1)</script>",
        "a|b",
        "*bold* _thin_ `code`",
        "--- # not a heading <!-- keep: notes -->",
        "&amp; $x$ ~~no~~ :+1: \\x1b[31m \\",
        "naïve 良い 😀",
    } <= shown
    assert "http://" not in text.split("\n---\n", 1)[1] and "www.ex" not in text
    assert ModelCard(text).data.to_dict()["model-index"][0]["name"] == "<b>bold [x](y)"
    code = [token.content for token in rendered(text) if token.type == "fence"]
    assert code and not any("<b>" in one for one in code)
    assert write_card(folder.path).read_text() == text


def test_many_classes_stay_readable(described_run):
    names = tuple(f"class {i}" for i in range(90))
    text = write_card(described_run(names).path).read_text()
    assert "class 0, class 1, class 2" in text and "and 78 more" in text
    assert text.count("\n| class ") == 60 and "30 more classes are not shown" in text
    assert "Fewer than 30 test texts" in text and "and 80 more" in text
    assert len(text) < 30_000


def test_pairs_have_two_texts_in_all_examples(described_run):
    text = write_card(described_run(pairs=True).path).read_text()
    assert "It reads two texts" in text
    assert 'tokenizer(["Not bad at all."], ["I liked it."]' in text
    assert "--data pairs.csv" in text


def test_the_python_example_gives_what_predict_gives(trained_run, capsys):
    from tf_finetune.evaluation.predictor import load_predictor

    calibrate(trained_run.path)
    text = write_card(trained_run.path).read_text()
    assert str(trained_run.path.parent) not in text and "base_model" not in text  # a folder of someone's machine
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    exec(code.replace("saved_models/tiny", str(trained_run.path)), {})
    label, probability = capsys.readouterr().out.split()
    expected = load_predictor(trained_run.path).probabilities(["Not bad at all."])[0]
    assert label == trained_run.read_manifest().label_names[expected.argmax()]
    assert float(probability) == pytest.approx(expected.max(), abs=1e-5)


def test_exports_of_another_state_are_not_told(trained_run):
    assert '"instances": ["Not bad at all."]' in write_card(trained_run.path).read_text()
    calibrate(trained_run.path)
    assert "TensorFlow Serving" not in write_card(trained_run.path).read_text()


def test_what_is_no_finished_run_gets_no_card(described_run, tmp_path, caplog):
    folder = described_run()
    with pytest.raises(RunError, match="no model folder"):
        write_card(tmp_path / "nowhere")
    folder.metrics.write_text('{"test": {"rows": 3}}')
    with pytest.raises(RunError, match="damaged: no model card can be made of its files"):
        write_card(folder.path)
    folder.complete.unlink()
    with pytest.raises(RunError, match="unfinished"):
        write_card(folder.path)
    assert refresh_card(folder.path) is None
    assert "unfinished" in caplog.text
    assert not folder.card.exists()


def test_answers_of_another_run_are_refused(described_run):
    folder = described_run()
    labels, logits = read_logits(folder.validation_logits)
    write_logits(folder.validation_logits, labels, -logits)
    with pytest.raises(RunError, match="not of the same run"):
        write_card(folder.path)
    metrics = read_json(folder.metrics)
    metrics["test"]["confusion"][0][0] = 10**30
    folder.validation_logits.unlink()
    folder.metrics.write_text(json.dumps(metrics))
    with pytest.raises(RunError, match="damaged"):
        write_card(folder.path)


def test_a_hostile_block_does_not_grow(described_run):
    folder = described_run()
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 7))
    folder.card.write_text(f"---\n{bomb}tags: [*a6]\n---\n")
    assert write_card(folder.path).stat().st_size < 20_000
    folder.card.write_text(f"---\na: {'[' * 400}{']' * 400}\n---\n")
    assert refresh_card(folder.path) is None or folder.card.stat().st_size < 200_000


def test_a_hostile_manifest_writes_nothing_of_its_own(described_run):
    folder = described_run()
    folder.complete.write_text(json.dumps({**read_json(folder.complete), "run_id": "`--> <script>"}))
    with pytest.raises(RunError, match="no hexadecimal digits"):
        write_card(folder.path)


@pytest.mark.parametrize("missing", ["model", "data", "versions"])
def test_a_damaged_environment_is_an_error_of_ours(described_run, missing):
    folder = described_run()
    environment = read_json(folder.environment)
    folder.environment.write_text(json.dumps({**environment, missing: 7}))
    with pytest.raises(RunError, match="damaged"):
        write_card(folder.path)


def test_a_card_that_cannot_be_read_is_left_alone(described_run):
    folder = described_run()
    folder.card.write_bytes(b"\xff\xfe")
    with pytest.raises(RunError, match="UTF-8"):
        write_card(folder.path)
    folder.card.write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(RunError, match="at most 1 MB"):
        write_card(folder.path)
    folder.card.unlink()
    os.mkfifo(folder.card)  # reading it would wait for ever
    with pytest.raises(RunError, match="no model card"):
        write_card(ModelFolder(folder.path).path)
