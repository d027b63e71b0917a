"""Each fault of the data is found, in its row, and sound data is left in peace."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from tf_finetune.audit.audit import audit
from tf_finetune.audit.cheap import cheap_audit
from tf_finetune.audit.labels import typo_pairs
from tf_finetune.audit.texts import has_markup, is_mojibake, without_words
from tf_finetune.config import DataConfig
from tf_finetune.data import Examples, Splits, load_splits
from tf_finetune.errors import DataError

NAMES = ("bad", "good", "so so")


def examples(texts, labels, names=NAMES, pairs=None):
    return Examples.from_lists(texts, labels, label_names=names, pairs=pairs)


def sound(count, seed, names=NAMES):
    """Texts of unlike words, with the classes in turn."""
    chance = random.Random(seed)
    words = [f"{a}{b}{c}" for a in "bdgklmn" for b in "aeiou" for c in "nrstlm"]
    texts = [" ".join(chance.choices(words, k=chance.randint(6, 15))) for _ in range(count)]
    return texts, [names[i % len(names)] for i in range(count)]


def kinds(found):
    return {finding.kind for finding in found}


def find(findings, kind, split=None):
    (found,) = (one for one in findings if one.kind == kind and (split is None or one.splits == split))
    return found


def wheres(finding):
    return [place.where for place in finding.rows]


def test_sound_data_has_no_findings():
    found = audit({"train": examples(*sound(90, 1)), "test": examples(*sound(30, 2))})
    assert not found.findings
    assert found.rows == {"train": 90, "test": 30}
    assert found.classes["test"] == {"bad": 10, "good": 10, "so so": 10}
    lengths = [len(place.text) for place in found.shortest]
    assert lengths == sorted(lengths) and len(lengths) == 10
    assert len(found.longest[0].text) >= len(found.longest[-1].text) > lengths[-1]


def test_equal_texts_in_one_split_in_two_and_under_two_labels():
    train, labels = sound(90, 1)
    train[4] = train[3] = train[0]  # bad, bad and good
    train[8] = train[5]  # twice the same
    test, test_labels = sound(30, 2)
    test[7], test[8] = train[20], train[5]  # as a good one, and both as so so
    validation, validation_labels = sound(30, 3)
    validation[9] = test[3]
    splits = {
        "train": examples(train, labels),
        "validation": examples(validation, validation_labels),
        "test": examples(test, test_labels),
    }
    findings = audit(splits).findings
    leak = find(findings, "leak", ("train", "test"))
    assert (leak.severity, leak.count, wheres(leak)) == ("error", 2, ["memory:8", "memory:9"])
    assert [place.other for place in leak.rows] == ["memory:21", "memory:6"]
    assert find(findings, "leak", ("validation", "test")).count == 1
    assert wheres(find(findings, "duplicates", ("train",))) == ["memory:4", "memory:5", "memory:9"]
    conflict = find(findings, "conflicting_labels")
    assert (conflict.count, wheres(conflict)) == (5, ["memory:1", "memory:4", "memory:5", "memory:21", "memory:8"])
    assert "2 texts in 5 rows" in conflict.message
    assert findings[0].severity == "error" and findings[-1].severity != "error"
    assert not {one for one in findings if one.kind == "duplicates" and one.splits != ("train",)}


def test_near_duplicates_inside_and_across_splits():
    train, labels = sound(60, 1)
    long = " ".join(sound(3, 9)[0])
    train[10], train[11] = long, long.replace(long.split()[3], "another", 1)
    test, test_labels = sound(30, 2)
    test[5] = long.upper() + "!"
    test[6] = train[30]  # an exact leak is not told twice
    test_labels[5], labels[10], labels[11] = "good", "bad", "bad"
    findings = audit({"train": examples(train, labels), "test": examples(test, test_labels)}).findings
    near = find(findings, "near_leak")
    assert [(place.where, place.other, place.similarity) for place in near.rows] == [("memory:6", "memory:11", 1.0)]
    assert near.message.endswith("1 of them under another label than the row that they are like.")
    inside = find(findings, "near_duplicates", ("train",))
    assert "another label" not in inside.message
    assert [(place.where, place.other) for place in inside.rows] == [("memory:12", "memory:11")]
    assert 0.8 <= inside.rows[0].similarity < 1


@pytest.mark.parametrize(("repeated", "severity"), [(5, "note"), (20, "warning")])
def test_many_near_duplicates_are_more_than_a_note(repeated, severity):
    texts, labels = sound(100, 1)
    texts[-repeated:] = [text.upper() for text in texts[:repeated]]
    found = find(audit({"train": examples(texts, labels)}).findings, "near_duplicates")
    assert (found.count, found.severity) == (repeated, severity)


def test_classes_that_are_rare_mistyped_missing_and_out_of_balance():
    names = ("negative", "neutral", "positive", "postive", "Positive", "odd")
    labels = ["positive"] * 400 + ["negative"] * 600 + ["neutral"] * 30 + ["postive"] * 3 + ["Positive"] * 2
    texts, _ = sound(len(labels), 1)
    test, _ = sound(40, 2)
    splits = {
        "train": examples(texts, labels, names),
        "test": examples(test, ["positive", "negative"] * 19 + ["odd"] * 2, names),
    }
    findings = audit(splits).findings
    unknown = find(findings, "unknown_label")
    assert (unknown.severity, wheres(unknown)) == ("error", ["memory:39", "memory:40"]) and "'odd'" in unknown.message
    rare = find(findings, "rare_labels")
    assert rare.count == 2 and "'postive' (3 rows)" in rare.message and "neutral" not in rare.message
    assert find(findings, "typo_labels").count == 3
    assert "'negative' would be right for 58%" in find(findings, "unbalanced").message
    assert "'neutral'" in find(findings, "class_not_scored").message


def test_many_small_classes_are_not_rare():
    names = tuple(f"topic {chr(97 + i // 26)}{chr(97 + i % 26)}x{i}" for i in range(200))
    texts, _ = sound(4000, 1)
    splits = {"train": examples(texts, [names[i % 200] for i in range(4000)], names)}
    assert "rare_labels" not in kinds(audit(splits).findings)


@pytest.mark.parametrize(
    ("one", "two", "is_typo"),
    [
        ("positive", "postive", True),
        ("positive", "positvie", True),
        ("positive", "Positive ", True),
        ("sci-fi", "Sci Fi", True),
        ("comedy", "comady", True),
        ("comedy", "comedys", True),
        ("yes", "Yes", True),
        ("cat", "car", False),
        ("1", "2", False),
        ("star1", "star2", False),
        ("topic 10", "topic 1", False),
        ("positive", "positively", False),
        ("drama", "dream", False),
        ("positivé", "positive\u0301", True),
        ("pos", "pos\u200b", True),
        ("sci_fi", "sci-fi", True),
        ("class-1", "class 1", True),
        ("-1", "1", False),
        ("score -1", "score 1", False),
        ("grade A-", "grade A", False),
        ("1-2", "12", False),
    ],
)
def test_labels_one_typo_apart(one, two, is_typo):
    assert typo_pairs([one, "something else", two]) == ([(0, 2)] if is_typo else [])


def test_ten_thousand_labels_are_compared_at_once():
    names = [f"class {np.base_repr(i * 7919 + 10**7, 36)}" for i in range(10_000)]
    assert isinstance(typo_pairs(names), list)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("10/10 !!!", "no letters"),
        ("\U0001f44d", "no letters"),
        ("aaaaAAAA!", "one character repeated"),
        ("https://a.b/c www.d.org", "URLs only"),
        ("see https://a.b/c", None),
        ("ok", None),
        ("hmm", None),
        ("我很喜欢", None),
        ("good", None),
    ],
)
def test_texts_without_words(text, reason):
    assert without_words(text) == reason


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("cafÃ© with", True),
        ("donâ€™t", True),
        ("ðŸ˜€ yes", True),
        ("Ð¿Ñ€Ð¸Ð²ÐµÑ‚", True),
        ("Â£5", True),
        ("café, naïve, don’t, £5, 😀", False),
        ("NÃO, IRMÃO", False),
        ("un «CAFÉ» fermé", False),
        ("plain", False),
    ],
)
def test_utf8_read_as_something_else(text, is_so):
    assert is_mojibake(text) is is_so
    if not text.isascii() and not is_so and all(ord(char) < 256 for char in text):
        assert is_mojibake(text.encode("utf-8").decode("latin-1"))


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("a<br />b", True),
        ("<p>x</p>", True),
        ("a &amp; b", True),
        ("it #39;s", True),
        ('<a href="x">y</a>', True),
        ("1 < 2; 3 > 2", False),
        ("I <3 you & me; yes", False),
        ("C#; and #1", False),
    ],
)
def test_markup(text, is_so):
    assert has_markup(text) is is_so


def test_odd_characters_are_told_apart():
    texts, labels = sound(60, 1)
    texts[3] += " \ufffd"
    texts[4] += " \x07"
    texts[5] += "\ufeff inside"
    texts[6] += " e\u0301tude"
    texts[7] += " it\x92s"
    findings = audit({"train": examples(texts, labels)}).findings
    names = ("replacement_characters", "control_characters", "byte_order_marks", "not_nfc", "windows_characters")
    for number, kind in enumerate(names, start=4):
        assert wheres(find(findings, kind)) == [f"memory:{number}"]
    assert kinds(findings) == set(names)


def test_random_letters_are_told_by_the_other_texts():
    splits = load_splits(DataConfig(), seed=1)
    texts = splits.train.texts()[:1500]
    labels = [splits.train.label_names[i] for i in splits.train.labels[:1500]]
    texts[7] = "asdkjh qweiuy zmxncb lkrtpq"
    texts[9] = "strč prst skrz krk vlk zmrzl pln skvrn"
    texts[11] = "Dieser Film war wirklich sehr schlecht gespielt"
    found = audit({"train": examples(texts, labels, splits.train.label_names)})
    assert [place.text for place in find(found.findings, "without_words").rows] == [texts[7]]
    assert not found.notes
    few = audit({"train": examples(texts[:20], labels[:20], splits.train.label_names)})
    assert "without_words" not in kinds(few.findings)
    assert "random letters" in few.notes[0]


def test_pairs_are_one_text_together():
    texts, labels = sound(60, 1)
    pairs, _ = sound(60, 2)
    texts[3] = texts[0]  # with another second sentence
    texts[9], pairs[9] = texts[6], pairs[6]
    texts[12] = "!!!"  # the second sentence has words
    findings = audit({"train": examples(texts, labels, pairs=pairs)}).findings
    assert kinds(findings) == {"duplicates"}
    assert wheres(find(findings, "duplicates")) == ["memory:10"]


def test_a_finding_lists_a_hundred_rows_and_counts_all():
    texts, labels = sound(300, 1)
    texts = [f"{text}<br />" for text in texts]
    found = audit({"train": examples(texts, labels)})
    markup = find(found.findings, "markup")
    assert (markup.count, len(markup.rows)) == (300, 100)
    json.dumps(found.to_dict(), allow_nan=False)


def test_splits_must_have_the_same_classes():
    with pytest.raises(DataError, match="same class names"):
        audit({"train": examples(*sound(6, 1)), "test": Examples.from_lists(["a", "b"], ["x", "y"])})


def test_the_cheap_audit_of_fit_finds_leaks_and_labels(tmp_path):
    train, labels = sound(90, 1)
    train[1] = train[0]
    test, test_labels = sound(30, 2)
    test[3] = train[20]
    splits = Splits(examples(train, labels), examples(*sound(30, 3)), examples(test, test_labels))
    findings = cheap_audit(splits)
    assert kinds(findings) == {"leak", "duplicates", "conflicting_labels"}
    assert find(findings, "leak").splits == ("train", "test")
    marked = examples([f"{text} &amp;" for text in sound(90, 4)[0]], labels)
    found = cheap_audit(Splits(marked, examples(*sound(30, 3)), None))
    assert kinds(found) == {"markup"} and find(found, "markup").count == 90


def test_the_cheap_audit_reads_few_texts(monkeypatch):
    splits = load_splits(DataConfig(), seed=1)
    assert all(part.row_hashes is not None for part in (splits.train, splits.validation, splits.test))
    read = []
    batches = Examples.batches
    monkeypatch.setattr(Examples, "batches", lambda self, size=4096: read.append(len(self)) or batches(self, size))
    cheap_audit(splits)
    assert sum(read) <= 600


def test_the_embedded_sample_is_sound():
    findings = cheap_audit(load_splits(DataConfig(), seed=1))
    assert kinds(findings) <= {"markup"}
