"""An export answers as the model does, under the names that a client needs, and is published whole or not at all."""

import json
import shutil

import numpy as np
import pytest

from tests.conftest import tiny_rows
from tf_finetune.errors import ConfigError, ExportError, RunError
from tf_finetune.run import ModelFolder
from tf_finetune.serving.export import export

ANSWER = {
    "logits": ("float32", [None, 2]),
    "probabilities": ("float32", [None, 2]),
    "confidence": ("float32", [None]),
    "label_id": ("int32", [None]),
    "label": ("string", [None]),
}
IDS = {"input_ids": ("int32", [None, None]), "attention_mask": ("int32", [None, None])}


@pytest.fixture(scope="module")
def signatures(tiny_run):
    from tf_finetune.backend import tf

    return tf.saved_model.load(str(tiny_run.export)).signatures


@pytest.fixture(scope="module")
def served(signatures):
    return signatures["token_ids"]


def shapes(specs):
    return {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in specs.items()}


def ids(loaded, texts):
    from tf_finetune.backend import tf

    encoded = [loaded.encoder.encode([text]).ids for text in texts]
    length = max(map(len, encoded))
    rows = np.array([np.pad(row, (0, length - len(row))) for row in encoded], np.int32)
    return {"input_ids": tf.constant(rows), "attention_mask": tf.constant((rows != 0).astype(np.int32))}


@pytest.fixture(scope="module")
def loaded(tiny_run):
    from tf_finetune.model.trained import load_run

    return load_run(tiny_run.run)


def test_the_signatures_are_the_documented_ones(signatures):
    inputs = {name: shapes(signatures[name].structured_input_signature[1]) for name in signatures}
    outputs = {name: shapes(signatures[name].structured_outputs) for name in signatures}
    assert inputs == {
        "serving_default": {"text": ("string", [None])},
        "token_ids": IDS,
        "text": {"text": ("string", [None])},
        "tokenize": {"text": ("string", [None])},
        "classify": {"inputs": ("string", [None])},
    }
    assert outputs == {
        "serving_default": ANSWER,
        "token_ids": ANSWER,
        "text": ANSWER,
        "tokenize": IDS,
        "classify": {"classes": ("string", [None, 2]), "scores": ("float32", [None, 2])},
    }
    assert not [name for output in outputs.values() for name in output if name.endswith("_bytes")]


@pytest.mark.parametrize("batch", [0, 1, 33])
def test_texts_are_answered_as_the_run_does(signatures, tiny_run, batch):
    from tf_finetune.backend import tf
    from tf_finetune.evaluation.predictor import load_predictor

    texts = [tiny_rows()[i % 96][0] for i in range(batch)]
    answer = signatures["text"](text=tf.constant(texts, tf.string))
    expected = load_predictor(tiny_run.run.path).probabilities(texts)
    assert answer["probabilities"].shape == expected.shape
    assert np.allclose(answer["probabilities"].numpy(), expected, atol=1e-5)
    names = ["negative", "positive"]
    assert [label.decode() for label in answer["label"].numpy()] == [names[i] for i in expected.argmax(-1)]


def test_classify_takes_serialized_examples(signatures):
    from tf_finetune.backend import tf

    texts = ["the film was great .", "the film was awful ."]
    features = [{"text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))} for text in texts]
    rows = [tf.train.Example(features=tf.train.Features(feature=row)).SerializeToString() for row in features]
    answer = signatures["classify"](inputs=tf.constant(rows))
    assert answer["classes"].numpy().tolist() == [[b"negative", b"positive"]] * 2
    same = signatures["text"](text=tf.constant(texts))["probabilities"].numpy()
    assert np.allclose(answer["scores"].numpy(), same, atol=1e-6)


def test_rows_longer_than_the_model_takes_are_refused(signatures):
    from tf_finetune.backend import tf

    ids = tf.ones([1, 65], tf.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="longer than the 64 tokens"):
        signatures["token_ids"](input_ids=ids, attention_mask=ids)


@pytest.mark.parametrize(
    ("ids", "mask", "message"),
    [
        ([[2, 7, 3]], [[1]], "attention_mask has another shape than input_ids"),
        ([[2, 7, 3]], [[1, 1, 1]] * 2, "attention_mask has another shape than input_ids"),
        ([[]], [[]], "input_ids have no tokens"),
    ],
)
def test_rows_that_do_not_fit_are_refused(signatures, ids, mask, message):
    from tf_finetune.backend import tf

    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        signatures["token_ids"](input_ids=tf.constant(ids, tf.int32), attention_mask=tf.constant(mask, tf.int32))


@pytest.mark.parametrize("chosen", [("token_ids",), ("text",), ("classify", "token_ids")])
def test_signatures_can_be_chosen(tiny_run, tmp_path, chosen):
    from tf_finetune.backend import tf

    shutil.copytree(tiny_run.run.run, tmp_path / "m" / "run")
    found = set(tf.saved_model.load(str(export(tmp_path / "m", signatures=chosen))).signatures)
    extra = {"text": {"text", "tokenize"}, "token_ids": {"token_ids"}, "classify": {"classify"}}
    assert found == {"serving_default"}.union(*(extra[name] for name in chosen))


def test_unknown_signatures_are_refused(tiny_run):
    with pytest.raises(ConfigError, match=r"takes some of text, token_ids, classify. Received: tokens"):
        export(tiny_run.run.path, signatures=["tokens"])


def test_a_tokenizer_that_is_not_exact_gets_token_ids_alone(tiny_run, tmp_path, monkeypatch, caplog):
    import tf_finetune.serving.graph.saved_model as module
    from tf_finetune.backend import tf

    shutil.copytree(tiny_run.run.run, tmp_path / "m" / "run")
    monkeypatch.setattr(module, "why_not", lambda encoder: "its model is BPE")
    with caplog.at_level("WARNING", logger="tf_finetune"):
        folder = export(tmp_path / "m")
    assert "no text signature: its model is BPE" in caplog.text
    assert set(tf.saved_model.load(str(folder)).signatures) == {"serving_default", "token_ids"}
    with pytest.raises(ExportError, match="The signature text is not possible: its model is BPE"):
        export(tmp_path / "m", signatures=["text"])


@pytest.mark.parametrize("batch", [1, 2, 33])
def test_it_answers_as_the_model_does(served, loaded, batch):
    inputs = ids(loaded, [tiny_rows()[i % 96][0] for i in range(batch)])
    answer = served(**inputs)
    expected = loaded.model(inputs, training=False).logits.numpy()
    assert np.abs(answer["logits"].numpy() - expected).max() < 1e-6
    assert np.allclose(answer["probabilities"].numpy().sum(-1), 1.0, atol=1e-6)
    assert answer["label_id"].numpy().tolist() == expected.argmax(-1).tolist()
    names = ["negative", "positive"]
    assert [label.decode() for label in answer["label"].numpy()] == [names[i] for i in expected.argmax(-1)]
    assert np.allclose(answer["confidence"].numpy(), answer["probabilities"].numpy().max(-1))


def test_it_serves_without_our_packages(tiny_run):
    """The server has neither transformers nor Keras: a process with TensorFlow alone must do."""
    import subprocess
    import sys

    code = (
        "import sys, tensorflow as tf\n"
        "f = tf.saved_model.load(sys.argv[1]).signatures['text']\n"
        "print(f(text=tf.constant(['the film was great .']))['label'].numpy()[0].decode())\n"
        "print([m for m in ('transformers', 'tf_finetune') if m in sys.modules])\n"
    )
    words = [sys.executable, "-c", code, str(tiny_run.export)]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split("\n")
    assert out[0] in ("negative", "positive")
    assert out[1] == "[]"


def test_the_next_free_version_is_taken_and_a_taken_one_refused(tiny_run, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_run.run.run, folder / "run")
    (folder / "7").mkdir()
    assert export(folder, signatures=["token_ids"]).name == "8"
    assert export(folder, version=3, signatures=["token_ids"]).name == "3"
    with pytest.raises(ExportError, match=r"exists already; the next free version is 9"):
        export(folder, version=7)
    for version in (0, -1, 1 << 63):
        with pytest.raises(ConfigError, match=f"from 1 to 9223372036854775807.* Received: {version}"):
            export(folder, version=version)
    assert ModelFolder(folder).versions() == [3, 7, 8]
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_file_or_a_link_with_a_number_for_its_name_is_passed_over(tiny_run, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_run.run.run, folder / "run")
    (folder / "1").write_text("no folder")
    (folder / "2").symlink_to(tmp_path / "nowhere")
    for version in (1, 2):
        with pytest.raises(ExportError, match=rf"{version} exists already; the next free version is 3"):
            export(folder, version=version)
    assert export(folder, signatures=["token_ids"]).name == "3"


def test_no_version_is_written_beyond_what_servers_read(tiny_run, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_run.run.run, folder / "run")
    (folder / str((1 << 63) - 1)).mkdir()
    with pytest.raises(ExportError, match="no free version.* Name a lower one: --version"):
        export(folder)
    assert not list(folder.glob(".tmp-*"))


def test_the_metadata_says_what_was_exported(tiny_run):
    metadata = json.loads((tiny_run.export / "assets.extra" / "export.json").read_text())
    assert metadata["label_names"] == ["negative", "positive"]
    assert metadata["max_length"] == 16
    assert metadata["run_id"] == json.loads(tiny_run.run.complete.read_text())["run_id"]
    assert metadata["signatures"] == ["text", "token_ids", "classify"]
    assert 0 <= metadata["largest_difference"] < 1e-5
    assert metadata["stress_texts"] > 600


def test_a_savedmodel_that_differs_is_not_published(tiny_run, tmp_path, monkeypatch):
    import tf_finetune.serving.graph.signature as module

    folder = tmp_path / "model"
    shutil.copytree(tiny_run.run.run, folder / "run")
    whole = module.ServingModule._answer
    monkeypatch.setattr(module.ServingModule, "_answer", lambda self, logits: whole(self, logits * 1.01))
    with pytest.raises(ExportError, match="Nothing was published"):
        export(folder)
    assert {path.name for path in folder.iterdir()} == {"run"}


def test_an_unfinished_run_is_refused(tiny_run, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_run.run.run, folder / "run")
    (folder / "run" / "complete.json").unlink()
    with pytest.raises(RunError, match="unfinished"):
        export(folder)
    with pytest.raises(RunError, match="no model folder"):
        export(tmp_path / "nothing")
