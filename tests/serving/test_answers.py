"""Recorded answers, and the architectures whose answers depend on padding."""

import dataclasses

import numpy as np
import pytest

from tests.conftest import save_tiny_tokenizer, tiny_model
from tf_finetune.serving.answers import choose_texts, measure_padding, record_answers
from tf_finetune.serving.comparison import compare, request
from tf_finetune.serving.exported import ExportFolder


@pytest.fixture(scope="module")
def loaded(tiny_run):
    from tf_finetune.model.trained import load_run

    return load_run(tiny_run.run)


@pytest.fixture(scope="module")
def mobilebert(loaded, tmp_path_factory):
    """A random MobileBERT, which looks at the next position, with the tiny run's labels and tokenizer."""
    from tf_finetune.backend import keras
    from tf_finetune.tokens.encoder import TextEncoder
    from tf_finetune.tokens.tokenizer import load_tokenizer

    folder = tmp_path_factory.mktemp("mobilebert")
    size = len(save_tiny_tokenizer(folder))
    keras.utils.set_random_seed(3)
    sizes = ("hidden_size", "intermediate_size", "embedding_size", "intra_bottleneck_size", "true_hidden_size")
    model = tiny_model(
        "TFMobileBertForSequenceClassification",
        size,
        **dict.fromkeys(sizes, 16),
        num_hidden_layers=1,
        num_feedforward_networks=1,
        initializer_range=0.5,
    )
    encoder = TextEncoder(load_tokenizer(folder), max_length=16)
    return dataclasses.replace(loaded, model=model, encoder=encoder)


def test_texts_are_chosen_from_the_shortest_to_the_longest():
    texts = [f"{'x' * n}" for n in range(1, 101)]
    chosen = [text for text, _ in choose_texts(texts, None, count=5)][-5:]
    assert [len(text) for text in chosen] == [1, 26, 51, 75, 100]
    assert len(choose_texts(texts, None, count=0)) == len(choose_texts([], None, count=8)) == 5
    assert len(choose_texts(["a", "b"], None, count=8)) == 7
    assert "" in [text for text, _ in choose_texts([], None, count=0)]


def test_huge_texts_are_not_kept_in_an_export():
    assert len(choose_texts(["x" * 20_000, "short"], None, count=2)) == 6


def test_pairs_are_chosen_together():
    rows = choose_texts(["a", "bb"], ["c", "d"], count=2)
    assert rows[-2:] == [("a", "c"), ("bb", "d")]
    assert all(pair is not None for _, pair in rows)


def test_padding_changes_no_answer_of_bert(loaded):
    answers = record_answers(loaded, choose_texts(["one", "two three"], None, count=2), columns=["input_ids"])
    assert 0 <= measure_padding(loaded, answers) < 1e-5
    assert set(answers[0].token_ids) == {"input_ids"}


def test_padding_changes_answers_of_mobilebert(mobilebert):
    rows = choose_texts(["the film was great .", "bad"], None, count=2)
    answers = record_answers(mobilebert, rows, columns=["input_ids"])
    assert measure_padding(mobilebert, answers) > 1e-3


@pytest.mark.parametrize(("padding", "sizes"), [(0.0, [1, 1, 1, 3]), (0.1, [1, 1, 1])])
def test_batches_are_compared_where_padding_changes_nothing(tiny_run, loaded, monkeypatch, padding, sizes):
    import tf_finetune.serving.proof as module

    exported = ExportFolder(tiny_run.export)
    answers = exported.read_answers()[:3]
    info = dataclasses.replace(exported.read_info(), padding_difference=padding)
    seen = {}

    def spy(call, columns, batch, *rest, **settings):
        seen.setdefault(tuple(columns), []).append(len(batch))
        return compare(call, columns, batch, *rest, **settings)

    monkeypatch.setattr(module, "compare", spy)
    proof = module.prove(loaded.encoder, exported.path, answers, ([], None), info)
    assert seen[("inputs",)] == sizes
    assert 0 <= proof.largest_difference < 1e-5


def test_token_ids_are_padded_as_the_export_says(tiny_run):
    exported = ExportFolder(tiny_run.export)
    info = dataclasses.replace(exported.read_info(), padding={"input_ids": 9, "attention_mask": 0}, padding_side="left")
    first, second = exported.read_answers()[:2]
    batch = request([first, second], ["input_ids", "attention_mask"], info)
    ids = [list(answer.token_ids["input_ids"]) for answer in (first, second)]
    longest = max(map(len, ids))
    assert batch["input_ids"].dtype == np.int32
    assert batch["input_ids"].tolist() == [[9] * (longest - len(row)) + row for row in ids]
    assert batch["attention_mask"].sum(axis=1).tolist() == list(map(len, ids))


def change(answers, **values):
    return [dataclasses.replace(answers[0], **values)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"logits": [0.0, 0.0]}, "the largest difference of a logit is"),
        ({"label": "other"}, "instead of 'other'"),
        ({"probabilities": [0.5, 0.5]}, "The output probabilities differs"),
    ],
)
def test_answers_that_differ_are_told(tiny_run, values, message):
    from tf_finetune.backend import tf
    from tf_finetune.errors import ExportError

    exported = ExportFolder(tiny_run.export)
    signature = tf.saved_model.load(str(exported.path)).signatures["text"]

    def call(inputs):
        return {name: value.numpy() for name, value in signature(text=tf.constant(inputs["text"])).items()}

    info, answers = exported.read_info(), exported.read_answers()
    assert compare(call, ["text"], answers, info, tolerance=1e-5) < 1e-5
    with pytest.raises(ExportError, match=message):
        compare(call, ["text"], change(answers, **values), info, tolerance=1e-5)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({}, "Expected the output logits .* Received: no such output"),
        ({"logits": np.zeros((1, 3), np.float32)}, r"the shape \[1, 3\]"),
        (
            {"input_ids": np.array([[2, 9, 3]]), "attention_mask": np.array([[1, 1, 1]])},
            "has other token ids, from token",
        ),
        ({"scores": np.zeros((1, 2)), "classes": np.array([[b"a", b"b"]])}, "The classes are not"),
    ],
)
def test_outputs_that_are_missing_or_misshapen_are_told(tiny_run, outputs, message):
    from tf_finetune.errors import ExportError

    exported = ExportFolder(tiny_run.export)
    answers = [answer for answer in exported.read_answers() if answer.text == "Great."]
    answers = [dataclasses.replace(answers[0], probabilities=[0.0, 0.0])]
    with pytest.raises(ExportError, match=message):
        compare(lambda inputs: outputs, ["text"], answers, exported.read_info(), tolerance=1e-5)
