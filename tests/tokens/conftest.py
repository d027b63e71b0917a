"""Tokenizers of every family, loaded as a run loads them."""

import pytest

from tests.tokens.families import FAMILIES


@pytest.fixture(scope="session")
def tokenizer_folders(tmp_path_factory):
    """Family to a folder with its tokenizer."""
    folders = {}
    for family, save in FAMILIES.items():
        folders[family] = tmp_path_factory.mktemp("tokenizers") / family
        save(folders[family])
    return folders


@pytest.fixture
def load(tokenizer_folders):
    """Loads a fresh tokenizer of a family."""
    from tf_finetune.tokens.tokenizer import load_tokenizer

    return lambda family, **options: load_tokenizer(tokenizer_folders[family], **options)
