"""Offline, seeded, with one tiny checkpoint and one tiny finished run shared by all tests."""

import csv
import os
import random
import signal
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import pytest

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let jobs in the background ignore it

WORDS = (
    "the a film book meal phone story plot cast acting was is and but not very it i we this that with of in to "
    "good great lovely superb warm funny fresh loved enjoyed best bad awful dull weak cold boring stale hated worst "
    "mess never always really quite too so one two three end start scene price service ##s ##ing ##ed ! . , ' ? -"
).split()
GOOD = "good great lovely superb warm funny fresh loved enjoyed best".split()
BAD = "bad awful dull weak cold boring stale hated worst mess".split()
THINGS = "film book meal phone story plot cast acting scene service".split()


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory, monkeypatch):
    """No test writes into the user's cache, nor finds another test's token tables."""
    monkeypatch.setenv("TF_FINETUNE_CACHE", str(tmp_path_factory.mktemp("cache")))


def tiny_rows(count=96, *, starts=("the", "this")):
    """Reviews that a tiny model can learn: the label follows from one word."""
    chance = random.Random(5)
    rows = []
    for i in range(count):
        words, label = (GOOD, "positive") if i % 2 else (BAD, "negative")
        filler = "really " * chance.randrange(4)
        rows.append((f"{chance.choice(starts)} {chance.choice(THINGS)} was {filler}{chance.choice(words)} .", label))
    return rows


def unseen_rows(count):
    """More such reviews, none of which is among `tiny_rows`."""
    return tiny_rows(count, starts=("that", "a"))


def write_csv(path, rows, header=("text", "label")):
    """Writes rows as a CSV file and returns its path."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


@pytest.fixture(scope="session")
def reviews_csv(tmp_path_factory):
    """A CSV file of 96 tiny reviews, two classes."""
    return write_csv(tmp_path_factory.mktemp("data") / "reviews.csv", tiny_rows())


def save_tiny_tokenizer(folder):
    """A WordPiece tokenizer of a hundred words, as BERT's, with truncation and padding left switched on in its file."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocab = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16)

    from transformers import BertTokenizerFast

    fast = BertTokenizerFast(tokenizer_object=tokenizer)
    fast.save_pretrained(str(folder))
    return fast


def tiny_model(kind, vocab_size, **settings):
    """A random model of a class of transformers: 2 layers, 32 wide, 64 positions, unless `settings` say otherwise."""
    from tf_finetune.backend import transformers

    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.2,
    }
    model_class = getattr(transformers, kind)
    model = model_class(model_class.config_class(vocab_size=vocab_size, **(sizes | settings)))
    model(model.dummy_inputs)
    return model


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory) -> Path:
    """Folder of a random BERT encoder: 2 layers, 32 wide, 64 positions, with its tokenizer."""
    from tf_finetune.backend import keras

    folder = tmp_path_factory.mktemp("checkpoint") / "tiny-bert"
    tokenizer = save_tiny_tokenizer(folder)
    keras.utils.set_random_seed(7)
    tiny_model("TFBertModel", len(tokenizer)).save_pretrained(str(folder), safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def dropping_checkpoint(tmp_path_factory) -> Path:
    """The same, with dropout."""
    from tf_finetune.backend import keras

    folder = tmp_path_factory.mktemp("checkpoint") / "dropping-bert"
    tokenizer = save_tiny_tokenizer(folder)
    keras.utils.set_random_seed(7)
    rates = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    tiny_model("TFBertModel", len(tokenizer), **rates).save_pretrained(str(folder), safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def tiny_run(tiny_checkpoint, reviews_csv, tmp_path_factory):
    """Result of `fit` on the tiny reviews with the tiny checkpoint, export included."""
    from tf_finetune.config import Config, DataConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
    from tf_finetune.training.fit import fit

    output = tmp_path_factory.mktemp("models") / "tiny"
    return fit(
        Config(
            data=DataConfig(data=(str(reviews_csv),), validation_split=0.25),
            tokens=TokensConfig(max_length=16, cache_dir=str(tmp_path_factory.mktemp("tables"))),
            model=ModelConfig(model=str(tiny_checkpoint)),
            fit=FitConfig(epochs=6, batch_size=8, batching="bucketed", learning_rate=3e-3, seed=1),
            run=RunConfig(output=str(output)),
        )
    )
