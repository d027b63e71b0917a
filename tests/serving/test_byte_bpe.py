"""Byte-level BPE in the graph gives the ids of the run's own tokenizer, on whatever text and with whatever merges."""

import dataclasses
import json
import random
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import tiny_model
from tests.serving.tokenizing import encoded_rows, encoder_of, in_graph, rows
from tf_finetune.errors import ExportError
from tf_finetune.serving.graph.stress import stress_texts

SHARED = Path(__file__).parents[3] / "shared" / "data"
KINDS = {
    "roberta": ("RobertaTokenizerFast", {}),
    "prefixed": ("RobertaTokenizerFast", {"add_prefix_space": True}),
    "bart": ("BartTokenizerFast", {}),
    "longformer": ("LongformerTokenizerFast", {}),
    "deberta": ("DebertaTokenizerFast", {}),
}
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]


def train(folder, corpus, size):
    """Trains a byte-level vocabulary and saves it as `vocab.json` and `merges.txt`; returns their paths."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer.model.save(str(folder))


def load(kind, files, folder):
    """The tokenizer of a kind of model with a vocabulary, as `load_tokenizer` makes it."""
    from tf_finetune.backend import transformers
    from tf_finetune.tokens.tokenizer import load_tokenizer

    name, options = KINDS[kind]
    getattr(transformers, name)(*files, **options).save_pretrained(str(folder))
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """One tokenizer of each kind, with 1,000 merges that were trained on other stress texts."""
    folder = tmp_path_factory.mktemp("byte_bpe")
    files = train(folder, [text for _, text in stress_texts(150, seed=99)], 1000 + 256 + len(SPECIALS))
    return {kind: load(kind, files, folder / kind) for kind in KINDS}


@pytest.fixture(scope="module")
def classes(tokenizers):
    """The class of every code point, read once."""
    from tf_finetune.serving.graph.byte_classes import read_byte_classes

    return read_byte_classes(tokenizers["roberta"].backend_tokenizer.pre_tokenizer)


@pytest.fixture(scope="module")
def encoder(tokenizers):
    return encoder_of(tokenizers["roberta"])


@pytest.fixture(scope="module")
def tokenize(encoder, classes):
    return in_graph(encoder, classes)


@pytest.mark.parametrize("kind, pairs", [("roberta", False), ("prefixed", False), ("roberta", True), ("deberta", True)])
def test_every_kind_is_met_exactly(tokenizers, classes, kind, pairs):
    from tf_finetune.serving.graph.parity import check_parity

    encoder = encoder_of(tokenizers[kind], pairs=pairs)
    texts = [text for _, text in stress_texts(100 if pairs else 300)]
    assert check_parity(in_graph(encoder, classes), encoder, texts) == len(texts)


@pytest.mark.parametrize("kind", ["bart", "longformer"])
def test_the_tokenizers_of_these_models_are_robertas(tokenizers, kind):
    """But for white space around literal special tokens, which are text here."""
    found, wanted = (json.loads(tokenizers[name].backend_tokenizer.to_str()) for name in (kind, "roberta"))
    assert found | {"added_tokens": wanted["added_tokens"]} == wanted


@pytest.mark.parametrize("pairs", [False, True], ids=["single", "pairs"])
@pytest.mark.parametrize("truncate", ["head", "tail", "head+tail"])
def test_every_way_to_truncate_is_met_exactly(tokenizers, classes, truncate, pairs):
    from tf_finetune.serving.graph.parity import check_parity

    encoder = encoder_of(tokenizers["roberta"], truncate=truncate, pairs=pairs, max_length=17)
    texts = [text for _, text in stress_texts(20)]
    assert check_parity(in_graph(encoder, classes), encoder, texts) == len(texts)


def test_types_and_padding_are_the_tokenizers_own(tokenizers, classes):
    from tf_finetune.backend import tf

    encoder = encoder_of(tokenizers["deberta"], pairs=True)
    answer = in_graph(encoder, classes)(text=tf.constant(["a film", "b"]), text_pair=tf.constant(["the plot was", ""]))
    mask = answer["attention_mask"].numpy()
    assert (answer["input_ids"].numpy()[mask == 0] == encoder.tokenizer.pad_token_id).all()
    encoded = encoder.encode(["a film", "b"], ["the plot was", ""])
    assert answer["token_type_ids"].numpy()[mask == 1].tolist() == encoded.types.tolist()
    assert set(encoded.types.tolist()) == {0, 1}


def test_special_tokens_in_a_text_are_text(encoder, tokenize):
    from tf_finetune.backend import tf

    texts = ["<s>", "</s>", "a <mask> b", "a  <mask>", "<pad><pad>", " <s> x</s>", "<unk>", "<MASK>"]
    found = rows(tokenize(text=tf.constant(texts)))
    assert found == encoded_rows(encoder, texts)
    assert all(not set(row[1:-1]) & set(range(len(SPECIALS))) for row in found)


@pytest.mark.parametrize("kind", ["roberta", "prefixed"])
def test_every_batch_size_is_answered(tokenizers, classes, kind):
    from tf_finetune.backend import tf

    encoder = encoder_of(tokenizers[kind])
    tokenize = in_graph(encoder, classes)
    texts = ["", " ", "a film", "it's"] * 9
    for batch in (1, 33):
        assert rows(tokenize(text=tf.constant(texts[:batch]))) == encoded_rows(encoder, texts[:batch])
    assert tokenize(text=tf.constant([], tf.string))["input_ids"].shape.as_list() == [0, 2]


def test_bytes_that_are_no_utf8_are_replaced_as_python_does(encoder, tokenize):
    from tf_finetune.backend import tf

    chance = random.Random(3)
    parts = [b"\xff", b"\xfe", b"\xc0\xaf", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"]
    parts += [b"\xef\xbb\xbf", b"\xf8\x88\x80\x80\x80", b"\xe0\x80\xaf", b"a", b" ", b"'s", "é".encode(), b"\x00"]
    texts = [part + b"A" for part in parts]
    texts += [b"".join(chance.choices(parts, k=chance.randrange(1, 9))) for _ in range(300)]
    texts += [bytes(chance.choices(range(0x20, 0x100), k=20)) for _ in range(300)]
    found = rows(tokenize(text=tf.constant(texts)))
    assert found == encoded_rows(encoder, [text.decode("utf-8", "replace") for text in texts])


def huge_texts():
    chance = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return {
        "one letter": "x" * 100_000,
        "two letters": "ab" * 50_000,
        "few letters": "".join(chance.choices("aaaaab", k=100_000)),
        "random word": "".join(chance.choices(letters, k=100_000)),
        "words without spaces": "".join(chance.choices("the film was not bad at all never twice".split(), k=20_000)),
        "characters of many bytes": "".join(map(chr, chance.choices(range(0x4E00, 0x9FFF), k=100_000))),
        "blanks": " " * 100_000,
        "apostrophes": "'s" * 50_000,
        "words": "the film was not bad at all. " * 3500,
    }


def test_texts_of_a_hundred_thousand_characters(encoder, tokenize, classes):
    """All tokens, not only those that are left after truncation."""
    from tf_finetune.backend import tf
    from tf_finetune.serving.graph.family import make_family

    words, pieces = make_family(encoder, table=classes)
    all_pieces = tf.function(lambda texts: pieces(words(texts).flat_values).flat_values)
    for name, text in huge_texts().items():
        found = all_pieces(tf.constant([text])).numpy().tolist()
        assert found == encoder.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids, name
        assert rows(tokenize(text=tf.constant([text]))) == encoded_rows(encoder, [text]), name


def random_merges(chance, letters, count):
    """Merges in an order in which no training would find them: products before their parts, many ways to a product."""
    tokens = list(letters)
    merges = set()
    while len(merges) < count:
        left, right = chance.choice(tokens), chance.choice(tokens)
        if len(left + right) < 9:
            merges.add((left, right))
            tokens.append(left + right)
    merges = sorted(merges)
    chance.shuffle(merges)
    vocabulary = {token: i for i, token in enumerate(sorted(set(tokens) | {a + b for a, b in merges}))}
    return vocabulary, merges


@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_merges_is_kept(seed):
    """Lowest rank first, leftmost first, one at a time: also where merging all of a pair would give something else."""
    from tokenizers import models

    from tf_finetune.backend import tf
    from tf_finetune.serving.graph.byte_bpe import ByteBpe
    from tf_finetune.serving.graph.byte_merges import read_merges

    chance = random.Random(seed)
    letters = "abc"[: 2 + seed % 2]
    vocabulary, merges = random_merges(chance, letters, chance.choice([5, 20, 80]))
    words = ["".join(chance.choices(letters, k=chance.randrange(1, 40))) for _ in range(400)] + ["a" * 31]
    model = models.BPE(vocabulary, merges)
    bpe = ByteBpe(read_merges(vocabulary, merges), {ord(letter): vocabulary[letter] for letter in letters})
    found = tf.function(bpe)(tf.constant(words)).to_list()
    assert found == [[token.id for token in model.tokenize(word)] for word in words]


def test_a_table_without_measure_is_refused(monkeypatch):
    from tf_finetune.serving.graph import byte_merges

    chain = [("a" * length, "a") for length in range(1, 200)]
    vocabulary = {"a" * length: length for length in range(1, 201)}
    assert len(byte_merges.read_merges(vocabulary, chain).pairs) == 200
    monkeypatch.setattr(byte_merges, "MOST_PAIRS", 150)
    with pytest.raises(ExportError, match="more than 150 pairs of symbols. Export token_ids alone"):
        byte_merges.read_merges(vocabulary, chain)


def test_a_wrong_table_is_found_out(encoder, classes):
    from tf_finetune.serving.graph.parity import check_parity

    texts = [text for _, text in stress_texts(50)]
    pages = classes.pages.copy()
    pages[classes.page_of[0], ord("e")] = pages[classes.page_of[0], ord("7")]
    with pytest.raises(ExportError, match="differs from the run's"):
        check_parity(in_graph(encoder, dataclasses.replace(classes, pages=pages)), encoder, texts)


def test_the_bounds_are_needed(encoder, classes, monkeypatch):
    """Where a pair's own rank stands for the bound, merges are done too early."""
    from tf_finetune.serving.graph import family
    from tf_finetune.serving.graph.byte_merges import read_merges
    from tf_finetune.serving.graph.parity import check_parity

    def unbounded(vocabulary, merges):
        table = read_merges(vocabulary, merges)
        return dataclasses.replace(table, bound=table.rank)

    monkeypatch.setattr(family, "read_merges", unbounded)
    with pytest.raises(ExportError, match="differs from the run's"):
        check_parity(in_graph(encoder, classes), encoder, [text for _, text in stress_texts(50)])


def test_only_core_operations_are_used(tokenize):
    from tf_finetune.backend import tf

    graph = tokenize.graph.as_graph_def()
    ops = {node.op for node in graph.node} | {node.op for f in graph.library.function for node in f.node_def}
    assert not [op for op in ops if not hasattr(tf.raw_ops, op)]
    assert not {op for op in ops if "PyFunc" in op}


def setting(part, **settings):
    """A change of one part of a tokenizer's JSON."""
    return lambda parts: parts[part].update(settings)


def instead(part, value):
    return lambda parts: parts.update({part: value})


def without_a_byte(parts):
    del parts["model"]["vocab"]["Ā"]
    parts["model"]["merges"] = []


def one_id_twice(parts):
    parts["model"]["merges"] = []
    parts["model"]["vocab"] |= {"Ġthe": 300, "Ġof": 300}


REFUSED = {
    "its model has dropout 0.1": setting("model", dropout=0.1),
    "its model has byte_fallback True": setting("model", byte_fallback=True),
    "its model has ignore_merges True": setting("model", ignore_merges=True),
    "its model has end_of_word_suffix '</w>'": setting("model", end_of_word_suffix="</w>"),
    "its model has continuing_subword_prefix '##'": setting("model", continuing_subword_prefix="##", merges=[]),
    "its vocabulary has no token for the byte 0x00": without_a_byte,
    "its vocabulary gives two tokens the same id": one_id_twice,
    "use_regex is off": setting("pre_tokenizer", use_regex=False),
    "its pre-tokenizer is Sequence": instead("pre_tokenizer", {"type": "Sequence", "pretokenizers": []}),
    "its pre-tokenizer is None": instead("pre_tokenizer", None),
    "its normalizer is NFC": instead("normalizer", {"type": "NFC"}),
    "added tokens that are not special (<mask>)": lambda parts: parts["added_tokens"][4].update(special=False),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_not_proven_is_refused_with_the_reason(tokenizers, reason):
    from tokenizers import Tokenizer

    from tf_finetune.serving.graph.graph_tokenizer import GraphTokenizer, why_not

    encoder = encoder_of(tokenizers["roberta"])
    assert why_not(encoder) is None
    whole = encoder.tokenizer._tokenizer
    parts = json.loads(whole.to_str())
    REFUSED[reason](parts)
    try:
        encoder.tokenizer._tokenizer = Tokenizer.from_str(json.dumps(parts))
        assert reason in why_not(encoder)
        with pytest.raises(ExportError, match="cannot be put into the graph"):
            GraphTokenizer(encoder)
    finally:
        encoder.tokenizer._tokenizer = whole


def test_padding_on_the_left_is_refused(tokenizers, monkeypatch):
    from tf_finetune.serving.graph.graph_tokenizer import why_not

    encoder = encoder_of(tokenizers["roberta"])
    monkeypatch.setattr(encoder.tokenizer, "padding_side", "left")
    assert why_not(encoder) == "it pads on the left"


def test_a_template_without_special_tokens_is_refused(tokenizers, tmp_path):
    """GPT-2's: there, the encoder stands a token in for an empty text."""
    from tf_finetune.backend import transformers
    from tf_finetune.serving.graph.graph_tokenizer import why_not
    from tf_finetune.tokens.tokenizer import load_tokenizer

    files = tokenizers["roberta"].save_vocabulary(str(tmp_path))
    transformers.GPT2TokenizerFast(*files).save_pretrained(str(tmp_path / "gpt2"))
    assert why_not(encoder_of(load_tokenizer(tmp_path / "gpt2"))).startswith("it puts no special tokens around a text")


def test_it_is_the_same_after_saving_and_loading(encoder, classes, tmp_path):
    from tf_finetune.backend import tf
    from tf_finetune.serving.graph.graph_tokenizer import GraphTokenizer

    module = tf.Module()
    module.tokenizer = GraphTokenizer(encoder, table=classes)

    def tokenize(text):
        ids, mask, _ = module.tokenizer(text)
        return {"input_ids": ids, "attention_mask": mask}

    function = tf.function(tokenize).get_concrete_function(tf.TensorSpec([None], tf.string, name="text"))
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"tokenize": function})
    texts = [text for _, text in stress_texts(10, seed=5)]
    served = tf.saved_model.load(str(tmp_path / "saved")).signatures["tokenize"]
    assert rows(served(text=tf.constant(texts))) == encoded_rows(encoder, texts)


@pytest.fixture(scope="module")
def roberta_run(tokenizers, reviews_csv, tmp_path_factory):
    """Result of `fit` with a random RoBERTa encoder: 1 layer, 32 wide, 64 positions; export included."""
    from tf_finetune.config import Config, DataConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
    from tf_finetune.training.fit import fit

    folder = tmp_path_factory.mktemp("roberta")
    tokenizers["roberta"].save_pretrained(str(folder / "checkpoint"))
    sizes = {"num_hidden_layers": 1, "max_position_embeddings": 66, "type_vocab_size": 1}
    model = tiny_model("TFRobertaModel", len(tokenizers["roberta"]), **sizes)
    model.save_pretrained(str(folder / "checkpoint"), safe_serialization=True)
    return fit(
        Config(
            data=DataConfig(data=(str(reviews_csv),), validation_split=0.25),
            tokens=TokensConfig(max_length=32, cache_dir=str(folder / "tables")),
            model=ModelConfig(model=str(folder / "checkpoint")),
            fit=FitConfig(epochs=1, batch_size=24, seed=1),
            run=RunConfig(output=str(folder / "run")),
        )
    )


@pytest.mark.slow
def test_an_export_takes_texts_and_answers_as_the_model_does(roberta_run):
    from tf_finetune.backend import tf
    from tf_finetune.model.trained import load_run
    from tf_finetune.serving.graph.parity import check_parity

    loaded = load_run(roberta_run.run)
    served = tf.saved_model.load(str(roberta_run.export)).signatures
    texts = [text for _, text in stress_texts(5, seed=4)]
    assert check_parity(served["tokenize"], loaded.encoder, texts) == len(texts)
    batch = ["It's a  fine film,\n isn't it?", "", "é" * 200]
    tokens = served["tokenize"](text=tf.constant(batch))
    expected = loaded.model(dict(tokens), training=False).logits.numpy()
    assert np.abs(served["text"](text=tf.constant(batch))["logits"].numpy() - expected).max() < 1e-5
    assert set(tokens["input_ids"].numpy()[tokens["attention_mask"].numpy() == 0]) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7, 8, 9])
@pytest.mark.parametrize("kind", ["roberta", "prefixed", "deberta"])
def test_thirty_thousand_strings(tokenizers, classes, kind, seed):
    from tf_finetune.serving.graph.parity import check_parity

    encoder = encoder_of(tokenizers[kind], max_length=128)
    texts = [text for _, text in stress_texts(2500, seed=seed)]
    assert len(texts) > 30_000
    assert check_parity(in_graph(encoder, classes), encoder, texts) == len(texts)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["roberta", "prefixed"])
def test_every_code_point(tokenizers, classes, kind):
    """Inside a word, alone, twice after a blank, after an apostrophe, and at the start and the end of a text."""
    from tf_finetune.serving.graph.parity import check_parity

    encoder = encoder_of(tokenizers[kind], max_length=4096)
    tokenize = in_graph(encoder, classes)
    points = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for pattern in ("a{c}b {c}", " {c}{c} ", "'{c}"):
        texts = ["".join(pattern.format(c=c) for c in points[i : i + 64]) for i in range(0, len(points), 64)]
        assert check_parity(tokenize, encoder, texts) == len(texts)
    assert check_parity(tokenize, encoder, points) == len(points)


@pytest.mark.slow
def test_all_texts_of_the_shared_data_with_a_large_vocabulary(classes, tmp_path):
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not there")
    from tf_finetune.data import read_examples
    from tf_finetune.serving.graph.parity import check_parity

    parts = [(f"{name}.tsv", "train") for name in ("sst2/train", "sst2/validation")]
    parts += [(f"agnews/{name}.csv", "train") for name in ("train", "test")] + [("imdb", "train"), ("imdb", "test")]
    texts = {part: read_examples([str(SHARED / part[0])], split=part[1]).texts() for part in parts}
    tokenizer = load("roberta", train(tmp_path, texts["imdb", "train"], 30_000), tmp_path / "roberta")
    for options in ({"max_length": 256, "truncate": "head+tail"}, {"max_length": 512, "pairs": True}):
        encoder = encoder_of(tokenizer, **options)
        tokenize = in_graph(encoder, classes)
        for part in texts.values():
            assert check_parity(tokenize, encoder, part) == len(part)
