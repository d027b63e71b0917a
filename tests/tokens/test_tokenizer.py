import json
import shutil

import pytest

from tf_finetune.errors import TokenizerError
from tf_finetune.tokens.encoder import TextEncoder
from tf_finetune.tokens.tokenizer import load_tokenizer, tokenizer_fingerprint


@pytest.fixture
def folder(tokenizer_folders, tmp_path):
    """A copy of the WordPiece tokenizer's folder, to be spoilt."""
    return shutil.copytree(tokenizer_folders["wordpiece"], tmp_path / "tokenizer")


def change(folder, name, **settings):
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def test_a_decoder_pads_with_its_end_of_sequence_token(load):
    assert load("gpt2").pad_token == "<|endoftext|>"
    assert load("wordpiece").pad_token == "[PAD]"


def test_xlnet_pads_on_the_left(load):
    assert load("xlnet").padding_side == "left"


def test_length_and_truncation_are_saved_with_the_tokenizer(load, tmp_path):
    load("wordpiece", max_length=24, truncate="tail").save_pretrained(str(tmp_path))
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert settings["model_max_length"] == 24 and settings["truncation_side"] == "left"
    assert settings["split_special_tokens"] is True
    saved = json.loads((tmp_path / "tokenizer.json").read_text())
    assert saved["truncation"] is None and saved["padding"] is None


def test_a_missing_folder_is_not_taken_for_a_name_on_the_hub(tmp_path):
    with pytest.raises(TokenizerError, match="There is no tokenizer folder .*nowhere"):
        load_tokenizer(tmp_path / "nowhere")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(TokenizerError, match="holds no tokenizer that can be loaded.*Expected a tokenizer.json"):
        load_tokenizer(tmp_path)


def test_a_slow_tokenizer_is_refused(tmp_path):
    (tmp_path / "vocab.json").write_text('{"a</w>": 0, "<unk>": 1}')
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "CTRLTokenizer"}')
    with pytest.raises(TokenizerError, match="has only a slow tokenizer \\(CTRLTokenizer\\); a fast one is needed"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("key", ["auto_map", "custom_pipelines"])
def test_a_tokenizer_that_names_code_is_refused(folder, key):
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    change(folder, "tokenizer_config.json", **{key: {"AutoTokenizer": [None, "evil.Evil"]}})
    with pytest.raises(TokenizerError, match=f"names Python code to be loaded \\({key}\\)"):
        load_tokenizer(folder)


@pytest.mark.parametrize("text", ["{", "\xff", "[" * 100_000], ids=["broken", "not utf-8", "deep"])
def test_broken_settings_are_refused(folder, text):
    (folder / "tokenizer_config.json").write_text(text, encoding="latin-1")
    with pytest.raises(TokenizerError, match="tokenizer_config.json is no valid JSON"):
        load_tokenizer(folder)


def test_a_panic_of_the_tokenizers_library_is_an_error_of_ours(folder, capfd):
    change(folder, "tokenizer.json", normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"})
    with pytest.raises(TokenizerError, match="holds no tokenizer that can be loaded: .*precompiled_charsmap"):
        load_tokenizer(folder)


def test_broken_tokenizer_json_is_refused(folder):
    (folder / "tokenizer.json").write_text('{"version": "1.0"')
    with pytest.raises(TokenizerError, match="holds no tokenizer that can be loaded"):
        load_tokenizer(folder)


def test_a_template_of_unknown_tokens_is_refused(folder):
    piece = {"SpecialToken": {"id": "[NONE]", "type_id": 0}}
    change(
        folder,
        "tokenizer.json",
        post_processor={"type": "TemplateProcessing", "single": [piece], "pair": [piece], "special_tokens": {}},
    )
    with pytest.raises(TokenizerError):
        TextEncoder(load_tokenizer(folder), max_length=16)


def test_neither_padding_nor_end_is_refused(tokenizer_folders, tmp_path):
    shutil.copy(tokenizer_folders["gpt2"] / "tokenizer.json", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    with pytest.raises(TokenizerError, match="neither a padding nor an end-of-sequence token"):
        load_tokenizer(tmp_path)


def test_the_fingerprint_follows_what_decides_the_ids(load, folder):
    tokenizer = load("wordpiece")
    before = tokenizer_fingerprint(tokenizer)
    tokenizer("superb", truncation=True, max_length=3, padding="max_length")
    assert tokenizer_fingerprint(tokenizer) == before == tokenizer_fingerprint(load("wordpiece", truncate="tail"))
    assert tokenizer_fingerprint(load("roberta")) != before
    saved = json.loads((folder / "tokenizer.json").read_text())
    saved["model"]["max_input_chars_per_word"] = 5
    (folder / "tokenizer.json").write_text(json.dumps(saved))
    assert tokenizer_fingerprint(load_tokenizer(folder)) != before


@pytest.mark.parametrize("family", ["wordpiece", "roberta", "gpt2", "xlnet"])
def test_a_saved_tokenizer_comes_back_the_same(load, family, tmp_path):
    tokenizer = load(family)
    tokenizer.save_pretrained(str(tmp_path))
    again = load_tokenizer(tmp_path)
    assert tokenizer_fingerprint(again) == tokenizer_fingerprint(tokenizer)
    text = "the plot is thin </s> but <sep> the [SEP] acting"
    assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
