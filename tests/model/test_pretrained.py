import json
import logging
import shutil

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tf_finetune.errors import ModelError
from tf_finetune.model.checkpoint import open_checkpoint

LABELS = ("bad", "fine", "good")


class Tokenizer:
    """A stand-in: the model asks for no more."""

    pad_token_id = 0

    def __init__(self, size=101):
        self.size = size

    def __len__(self):
        return self.size


def load(folder, labels=LABELS, tokenizer=None, **options):
    from tf_finetune.model.pretrained import load_model

    return load_model(open_checkpoint(folder), tokenizer or Tokenizer(50), label_names=labels, **options)


def configure(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def weights_of(model):
    """Name without the class to the value."""
    return {"/".join(weight.name.split("/")[1:]): weight.numpy() for weight in model.weights}


@pytest.fixture(scope="module")
def encoder(tiny_checkpoint):
    """The encoder whose weights every format must give back."""
    from tf_finetune.backend import transformers

    return transformers.TFBertModel.from_pretrained(str(tiny_checkpoint))


@pytest.fixture(scope="module")
def classifier(encoder, tiny_checkpoint):
    """The same encoder with a head for two labels."""
    from tf_finetune.backend import transformers

    return transformers.TFBertForSequenceClassification.from_pretrained(str(tiny_checkpoint), num_labels=2)


def pytorch_weights(model, remove=""):
    """A model's weights under the names, and in the layout, of PyTorch."""
    from transformers.modeling_tf_pytorch_utils import TransposeType, convert_tf_weight_name_to_pt_weight_name

    named = {}
    for weight in model.weights:
        name, transpose = convert_tf_weight_name_to_pt_weight_name(weight.name, remove, weight.shape)
        value = weight.numpy()
        named[name] = np.ascontiguousarray(value.T if transpose is TransposeType.SIMPLE else value)
    return named


def save_pytorch(model, folder, remove=""):
    model.config.save_pretrained(str(folder))
    extra = {"embeddings.position_ids": np.arange(64)[None]}
    save_file({**pytorch_weights(model, remove), **extra}, folder / "model.safetensors", metadata={"format": "pt"})


def save_pytorch_bare(model, folder):
    """As sentence-transformers publishes encoders: without the prefix."""
    save_pytorch(model, folder, remove="bert.")


def save_pytorch_sharded(model, folder):
    model.config.save_pretrained(str(folder))
    names = sorted(weights := pytorch_weights(model))
    weight_map = {}
    for i in range(3):
        shard = f"model-0000{i + 1}-of-00003.safetensors"
        save_file({name: weights[name] for name in names[i::3]}, folder / shard, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(names[i::3], shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def save_safetensors(model, folder):
    model.save_pretrained(str(folder), safe_serialization=True)


def save_safetensors_sharded(model, folder):
    model.save_pretrained(str(folder), safe_serialization=True, max_shard_size="60KB")


def save_h5(model, folder):
    model.save_pretrained(str(folder), safe_serialization=False)


def save_h5_sharded(model, folder):
    model.save_pretrained(str(folder), safe_serialization=False, max_shard_size="60KB")


FORMATS = {
    save_pytorch: "model.safetensors",
    save_pytorch_bare: "model.safetensors",
    save_pytorch_sharded: "model.safetensors.index.json",
    save_safetensors: "model.safetensors",
    save_safetensors_sharded: "model.safetensors.index.json",
    save_h5: "tf_model.h5",
    save_h5_sharded: "tf_model.h5.index.json",
}
formats = pytest.mark.parametrize("save", FORMATS)
one_of_each_report = pytest.mark.parametrize("save", [save_pytorch, save_pytorch_bare, save_safetensors, save_h5])


@pytest.fixture(scope="module")
def templates():
    return {}


@pytest.fixture
def saved(templates, tmp_path_factory, tmp_path):
    """Saves a model in a format (once for all tests) and gives a copy."""

    def copy(save, model):
        key = save, id(model)
        if key not in templates:
            templates[key] = tmp_path_factory.mktemp("template")
            save(model, templates[key])
        return shutil.copytree(templates[key], tmp_path / type(model).__name__)

    return copy


@formats
def test_an_encoder_is_loaded_bit_by_bit(encoder, save, saved, caplog):
    folder = saved(save, encoder)
    assert open_checkpoint(folder).weights.name == FORMATS[save]
    with caplog.at_level(logging.INFO, "tf_finetune"):
        loaded = weights_of(load(folder))
    for name, value in weights_of(encoder).items():
        assert np.array_equal(loaded[name], value), name
    assert loaded["classifier/kernel:0"].shape == (32, 3)
    (message,) = [record.getMessage() for record in caplog.records if "freshly" in record.getMessage()]
    assert sorted(message.partition(": ")[2].split(", ")) == ["classifier/bias", "classifier/kernel"]
    assert "does not use" not in caplog.text


@formats
def test_a_head_for_other_labels_is_replaced_and_named(classifier, save, saved, caplog):
    folder = saved(save, classifier)
    with caplog.at_level(logging.INFO, "tf_finetune"):
        loaded = weights_of(load(folder))
    for name, value in weights_of(classifier).items():
        assert np.array_equal(loaded[name], value) or name.startswith("classifier/"), name
    assert "freshly initialised, to be trained: classifier/kernel, classifier/bias" in caplog.text
    assert "does not use" not in caplog.text


@one_of_each_report
def test_a_head_for_as_many_labels_is_kept(classifier, save, saved, caplog):
    folder = saved(save, classifier)
    with caplog.at_level(logging.INFO, "tf_finetune"):
        loaded = weights_of(load(folder, labels=("bad", "good"), complete=True))
    for name, value in weights_of(classifier).items():
        assert np.array_equal(loaded[name], value), name
    assert "freshly" not in caplog.text


@formats
def test_other_shapes_than_described_are_refused(encoder, save, saved):
    folder = saved(save, encoder)
    configure(folder, max_position_embeddings=65)
    with pytest.raises(ModelError, match="not have the shapes that its config.json .*embeddings/position_embeddings/"):
        load(folder)


@one_of_each_report
def test_fewer_layers_than_described_are_refused(encoder, save, saved):
    folder = saved(save, encoder)
    configure(folder, num_hidden_layers=3)
    with pytest.raises(ModelError, match=r"lacks weights that its config.json describes.*layer_\._2/"):
        load(folder)


@one_of_each_report
def test_all_shapes_other_than_described_are_refused(classifier, save, saved):
    folder = saved(save, classifier)
    configure(folder, hidden_size=16, intermediate_size=16)
    with pytest.raises(
        ModelError, match="Nothing in .* fits TFBertForSequenceClassification: all 39 weights of the enc"
    ):
        load(folder)


@pytest.mark.parametrize("save", [save_pytorch_bare, save_h5])
def test_a_trained_classifier_must_be_complete(encoder, classifier, save, saved):
    with pytest.raises(ModelError, match="lacks weights .*classifier/kernel"):
        load(saved(save, encoder), complete=True)
    with pytest.raises(ModelError, match="in another shape: classifier/kernel"):
        load(saved(save, classifier), complete=True)


def foreign_safetensors(folder, kind):
    save_file({"foo.weight": np.zeros((2, 2), np.float32)}, folder / "model.safetensors", metadata={"format": kind})


@pytest.mark.parametrize("kind", ["pt", "tf"])
def test_weights_of_something_else_are_refused(encoder, tmp_path, kind):
    encoder.config.save_pretrained(str(tmp_path))
    foreign_safetensors(tmp_path, kind)
    with pytest.raises(ModelError, match="Nothing in .*model.safetensors fits .* for example, \\['foo.weight'\\]"):
        load(tmp_path)


@pytest.mark.parametrize("named", [False, True])
def test_an_h5_file_of_something_else_is_refused(encoder, tmp_path, named):
    """transformers reports two missing layers then, not the forty missing weights."""
    encoder.config.save_pretrained(str(tmp_path))
    with h5py.File(tmp_path / "tf_model.h5", "w") as file:
        if named:
            file.attrs["layer_names"] = [b"foo"]
            file.create_group("foo").attrs["weight_names"] = []
        else:
            file.create_dataset("x", data=np.zeros(3))
    with pytest.raises(ModelError, match="Nothing in .*tf_model.h5 fits"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "tf_model.h5"])
@pytest.mark.parametrize("content", [b"", b"\xff\x00garbage" * 99, b"version https://git-lfs.github.com/spec/v1\n"])
def test_garbage_is_refused(encoder, tmp_path, name, content):
    encoder.config.save_pretrained(str(tmp_path))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"The weights in .*{name} cannot be loaded"):
        load(tmp_path)


def test_safetensors_cut_short_are_refused(encoder, tmp_path):
    save_safetensors(encoder, tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="The weights in .* cannot be loaded"):
        load(tmp_path)


def test_weights_without_a_format_are_refused(encoder, tmp_path):
    encoder.config.save_pretrained(str(tmp_path))
    save_file(pytorch_weights(encoder), tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="does not contain the valid metadata"):
        load(tmp_path)


def test_unused_weights_are_named(encoder, tmp_path, caplog):
    save_pytorch(encoder, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["mystery.bias"] = np.zeros(3, np.float32)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with caplog.at_level(logging.INFO, "tf_finetune"):
        load(tmp_path)
    assert "that a classifier does not use: mystery.bias" in caplog.text


def test_torch_is_not_needed():
    import importlib.util

    assert importlib.util.find_spec("torch") is None, "these tests prove nothing where torch is installed"


def test_labels_are_in_the_configuration(tiny_checkpoint, tmp_path):
    shutil.copytree(tiny_checkpoint, tmp_path / "model")
    configure(tmp_path / "model", id2label={"0": "LABEL_0", "1": "LABEL_1"}, label2id={"LABEL_0": 0, "LABEL_1": 1})
    model = load(tmp_path / "model")
    assert model.config.id2label == {0: "bad", 1: "fine", 2: "good"}
    assert model.config.label2id == {"bad": 0, "fine": 1, "good": 2}
    assert model.config.num_labels == 3
    model.save_pretrained(str(tmp_path / "saved"), safe_serialization=True)
    saved = json.loads((tmp_path / "saved" / "config.json").read_text())
    assert saved["id2label"] == {"0": "bad", "1": "fine", "2": "good"}
    assert "LABEL_" not in (tmp_path / "saved" / "config.json").read_text()


def test_a_tokenizer_larger_than_the_embedding_is_refused(tiny_checkpoint):
    size = json.loads((tiny_checkpoint / "config.json").read_text())["vocab_size"]
    assert load(tiny_checkpoint, tokenizer=Tokenizer(size))
    with pytest.raises(
        ModelError, match=f"has {size + 1} tokens, the model's embedding has {size}: they do not belong"
    ):
        load(tiny_checkpoint, tokenizer=Tokenizer(size + 1))


def test_a_length_beyond_the_positions_is_refused(tiny_checkpoint):
    assert load(tiny_checkpoint, max_length=64)
    with pytest.raises(ModelError, match="--max-length 65 is more than the 64 tokens that .*tiny-bert takes"):
        load(tiny_checkpoint, max_length=65)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_type": "brt"}, "'brt' has no TensorFlow class .* Nearest ones that have it: .*bert"),
        ({"model_type": "modernbert"}, "Nearest ones that have it: .*bert"),
        ({"model_type": "tapas"}, "'tapas' is not supported: it reads tables"),
        ({"model_type": ["bert"]}, "must name the architecture as model_type. Received: \\['bert'\\]"),
        ({"model_type": None}, "must name the architecture as model_type. Received: None"),
        ({"vocab_size": "many"}, "config.json is not valid for bert|do not belong together"),
        ({"vocab_size": None}, "do not belong together"),
        ({"num_attention_heads": 5}, "cannot be loaded: .*attention heads"),
        ({"hidden_act": "__import__"}, "cannot be loaded"),
    ],
)
def test_settings_that_make_no_classifier(tiny_checkpoint, tmp_path, settings, message):
    shutil.copytree(tiny_checkpoint, tmp_path / "model")
    configure(tmp_path / "model", **settings)
    with pytest.raises(ModelError, match=message):
        load(tmp_path / "model")


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_precision_changes_what_is_computed_and_not_what_is_kept(tiny_checkpoint, precision):
    from tf_finetune.backend import keras

    model = load(tiny_checkpoint, precision=precision)
    assert model(model.dummy_inputs).logits.dtype == precision.removeprefix("mixed_")
    assert {weight.dtype.name for weight in model.weights} == {"float32"}
    assert keras.mixed_precision.global_policy().name == "float32"


def tiny_config(kind, **settings):
    from tf_finetune.backend import transformers

    return transformers.AutoConfig.for_model(kind, **settings)


def test_a_decoder_reads_the_position_before_the_tokenizers_padding(tmp_path):
    """Another padding token in config.json would make it read a position of the padding."""
    from tf_finetune.backend import tf, transformers

    config = tiny_config("gpt2", vocab_size=50, n_embd=16, n_layer=1, n_head=2, n_positions=16, pad_token_id=7)
    model = transformers.TFGPT2ForSequenceClassification(config)
    model.build_in_name_scope()
    model.save_pretrained(str(tmp_path), safe_serialization=True)
    model = load(tmp_path)
    assert model.config.pad_token_id == 0
    text = tf.constant([[5, 9, 8]])
    padded = {"input_ids": tf.pad(text, [[0, 0], [0, 5]]), "attention_mask": tf.constant([[1] * 3 + [0] * 5])}
    assert np.allclose(model({"input_ids": text}).logits, model(padded).logits, atol=1e-6)


def test_positions_counted_from_another_padding_are_refused(tmp_path):
    from tf_finetune.backend import transformers

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = tiny_config("roberta", vocab_size=50, max_position_embeddings=34, pad_token_id=1, **sizes)
    model = transformers.TFRobertaModel(config)
    model.build_in_name_scope()
    model.save_pretrained(str(tmp_path), safe_serialization=True)
    with pytest.raises(
        ModelError, match="pads with token 0, but roberta counts its positions from the padding token 1"
    ):
        load(tmp_path)


def test_parameters_are_counted(tiny_checkpoint):
    from tf_finetune.model.pretrained import count_parameters

    model = load(tiny_checkpoint)
    everything = sum(weight.numpy().size for weight in model.weights)
    assert count_parameters(model) == (everything, everything)
    model.bert.trainable = False
    assert count_parameters(model) == (everything, 32 * 3 + 3)


def test_a_run_whose_head_does_not_fit_its_labels_is_damaged(tiny_run, tmp_path):
    """Without the check it would predict with a fresh head."""
    from tf_finetune.model.trained import load_run
    from tf_finetune.run import ModelFolder

    shutil.copytree(tiny_run.run.path, tmp_path / "copy")
    folder = ModelFolder(tmp_path / "copy")
    assert load_run(folder).manifest.label_names == ("negative", "positive")
    folder.labels.write_text('["negative", "neutral", "positive"]')
    with pytest.raises(ModelError, match="in another shape: classifier/kernel"):
        load_run(folder)
