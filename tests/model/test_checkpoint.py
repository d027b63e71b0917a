import json
import shutil

import pytest

from tf_finetune.errors import ModelError
from tf_finetune.model.checkpoint import open_checkpoint


@pytest.fixture
def folder(tmp_path):
    """A folder that would be opened: what is in the weights does not matter yet."""
    (tmp_path / "config.json").write_text('{"model_type": "bert", "num_hidden_layers": 1}')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def configure(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def shards(folder, weight_map, index="model.safetensors.index.json"):
    (folder / "model.safetensors").unlink(missing_ok=True)
    (folder / index).write_text(json.dumps({"weight_map": weight_map}))


def test_a_folder_is_described(folder):
    checkpoint = open_checkpoint(folder)
    assert (checkpoint.name, checkpoint.folder, checkpoint.tokenizer_folder) == (str(folder), folder, folder)
    assert checkpoint.weights == folder / "model.safetensors"
    assert (checkpoint.model_type, checkpoint.source) == ("bert", "local folder")
    assert open_checkpoint(folder, name="n", tokenizer_folder=folder / "t", source="hub").name == "n"


def test_safetensors_come_before_h5(folder):
    (folder / "tf_model.h5").write_bytes(b"weights")
    assert open_checkpoint(folder).weights.name == "model.safetensors"
    (folder / "model.safetensors").unlink()
    assert open_checkpoint(folder).weights.name == "tf_model.h5"


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"auto_map": {"AutoModel": "evil.Evil"}}, "auto_map"),
        ({"text_config": {"layers": [{"auto_map": {"AutoModel": "evil.Evil"}}]}}, "auto_map"),
        ({"_attn_implementation_internal": "attacker/kernel"}, "_attn_implementation_internal"),
        ({"text_config": {"_attn_implementation_internal": "eager"}}, "_attn_implementation_internal"),
        ({"attn_implementation": "attacker/kernel"}, "attn_implementation"),
        ({"_attn_implementation": {"text": "attacker/kernel:main"}}, "_attn_implementation"),
        ({"custom_pipelines": {"x": {"impl": "evil.Evil"}}}, "custom_pipelines"),
        ({"trust_remote_code": True}, "trust_remote_code"),
    ],
)
def test_settings_that_name_code_are_refused(folder, settings, key):
    configure(folder, **settings)
    with pytest.raises(ModelError, match=f"config.json has the key '{key}' .*never runs code from a model folder"):
        open_checkpoint(folder)


def test_harmless_values_of_such_settings_pass(folder):
    configure(folder, auto_map=None, attn_implementation="eager", _attn_implementation_internal=None)
    assert open_checkpoint(folder)


def test_quantised_weights_are_refused(folder):
    configure(folder, quantization_config={"bits": 4})
    with pytest.raises(ModelError, match="quantised weights cannot be loaded in TensorFlow"):
        open_checkpoint(folder)


def test_an_adapter_is_refused(folder):
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "attacker/model"}')
    with pytest.raises(ModelError, match="adapter_config.json, which sends the loader to another model"):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no valid JSON"),
        ("", "is no valid JSON"),
        ("\xff\xfe", "is no valid JSON"),
        ("[" * 200_000, "is no valid JSON"),
        ('{"a":' * 200_000, "is no valid JSON"),
        ('["bert"]', "must hold a JSON object. Received: list"),
        ("null", "must hold a JSON object. Received: NoneType"),
    ],
)
def test_a_broken_configuration_is_refused(folder, text, message):
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=f"config.json {message}"):
        open_checkpoint(folder)


def test_code_at_any_depth_that_json_can_be_read_to_is_found(folder):
    """The check must reach as deep as the reader does."""
    for depth in (10, 500, 900, 960, 980, 990):
        text = '{"a":' * depth + '{"auto_map": {"AutoModel": "evil.Evil"}}' + "}" * depth
        (folder / "config.json").write_text(text)
        with pytest.raises(ModelError, match="'auto_map'|no valid JSON"):
            open_checkpoint(folder)


def test_no_configuration(tmp_path):
    with pytest.raises(ModelError, match="is no model folder: it has no config.json"):
        open_checkpoint(tmp_path)


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="has no weights. Expected one of model.safetensors, .*tf_model.h5"):
        open_checkpoint(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "model.ckpt", "flax_model.msgpack"])
def test_only_a_pickle(folder, name):
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(ModelError, match=f"only in {name}.*pickles.*safe_serialization=True"):
        open_checkpoint(folder)


@pytest.mark.parametrize("index", ["model.safetensors.index.json", "tf_model.h5.index.json"])
@pytest.mark.parametrize(
    "shard",
    ["../model.safetensors", "/etc/x.safetensors", "..", ".", "", "sub/x.h5", "..\\x.safetensors", "c:x.h5", "a\0.h5"],
)
def test_shards_outside_the_folder_are_refused(folder, index, shard):
    shutil.copy(folder / "model.safetensors", folder / "good.safetensors")
    shards(folder, {"a": "good.safetensors", "b": shard}, index)
    with pytest.raises(ModelError, match="shards must be plain file names inside the folder"):
        open_checkpoint(folder)


@pytest.mark.parametrize("shard", ["pytorch_model-00001.bin", "x.pkl", "x", 3, None, ["x.h5"]])
def test_shards_of_other_kinds_are_refused(folder, shard):
    shards(folder, {"a": shard})
    with pytest.raises(ModelError, match="only .safetensors and .h5 files are read"):
        open_checkpoint(folder)


def test_a_missing_shard_is_named(folder):
    shards(folder, {"a": "model-00001-of-00002.safetensors"})
    with pytest.raises(ModelError, match="'model-00001-of-00002.safetensors', which is not in the folder"):
        open_checkpoint(folder)


@pytest.mark.parametrize("weight_map", [None, {}, ["x.h5"]])
def test_an_index_without_shards_is_refused(folder, weight_map):
    shards(folder, weight_map)
    with pytest.raises(ModelError, match="has no weight_map that names the shards"):
        open_checkpoint(folder)


def test_whole_shards_pass(folder):
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    shards(folder, {"x": "a.safetensors", "y": "a.safetensors"})
    assert open_checkpoint(folder).weights.name == "model.safetensors.index.json"
