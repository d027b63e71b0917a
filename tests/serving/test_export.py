"""An export answers as the model does, under the names that a client needs, and is published whole or not at all."""

import json
import shutil

import numpy as np
import pytest

from tests.conftest import tiny_rows
from tf_finetune.errors import ExportError, RunError
from tf_finetune.run import ModelFolder
from tf_finetune.serving.export import export


@pytest.fixture(scope="module")
def served(tiny_run):
    from tf_finetune.backend import tf

    return tf.saved_model.load(str(tiny_run.export)).signatures["serving_default"]


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


def test_the_signature_takes_ids_and_mask_of_any_shape(served):
    inputs = served.structured_input_signature[1]
    assert {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in inputs.items()} == {
        "input_ids": ("int32", [None, None]),
        "attention_mask": ("int32", [None, None]),
    }
    outputs = {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in served.structured_outputs.items()}
    assert outputs == {
        "logits": ("float32", [None, 2]),
        "probabilities": ("float32", [None, 2]),
        "confidence": ("float32", [None]),
        "label_id": ("int32", [None]),
        "label": ("string", [None]),
    }


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
        "f = tf.saved_model.load(sys.argv[1]).signatures['serving_default']\n"
        "ids = tf.constant([[2, 5, 7, 3]])\n"
        "print(f(input_ids=ids, attention_mask=tf.ones_like(ids))['label'].numpy()[0].decode())\n"
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
    assert export(folder).name == "8"
    assert export(folder, version=3).name == "3"
    with pytest.raises(ExportError, match=r"exists already; the next free version is 9"):
        export(folder, version=7)
    with pytest.raises(ExportError, match="positive"):
        export(folder, version=0)
    assert ModelFolder(folder).versions() == [3, 7, 8]
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_the_metadata_says_what_was_exported(tiny_run):
    metadata = json.loads((tiny_run.export / "assets.extra" / "export.json").read_text())
    assert metadata["label_names"] == ["negative", "positive"]
    assert metadata["max_length"] == 16
    assert metadata["run_id"] == json.loads(tiny_run.run.complete.read_text())["run_id"]
    assert 0 <= metadata["largest_logit_difference"] < 1e-5


def test_a_savedmodel_that_differs_is_not_published(tiny_run, tmp_path, monkeypatch):
    import tf_finetune.serving.signature as module

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
