"""The tokenizer in the graph gives the ids of the run's own tokenizer, on whatever text."""

from pathlib import Path

import numpy as np
import pytest

from tests.serving.tokenizing import encoder_of, in_graph
from tf_finetune.errors import ExportError
from tf_finetune.serving.graph.stress import stress_texts

SHARED = Path(__file__).parents[3] / "shared" / "data"
KINDS = {
    "uncased": {"lowercase": True},
    "cased": {"lowercase": False},
    "multilingual": {"lowercase": False, "handle_chinese_chars": True, "strip_accents": False},
    "bare": {"lowercase": True, "strip_accents": False, "clean_text": False, "handle_chinese_chars": False},
}


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """One WordPiece tokenizer of 3,000 pieces for each kind of BERT normalizer, trained on other stress texts."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    from tf_finetune.backend import transformers
    from tf_finetune.tokens.tokenizer import load_tokenizer

    corpus = [text for _, text in stress_texts(150, seed=99)]
    loaded = {}
    for kind, options in KINDS.items():
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(**options)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        trainer = trainers.WordPieceTrainer(vocab_size=3000, special_tokens=specials, show_progress=False)
        tokenizer.train_from_iterator(corpus, trainer)
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        folder = tmp_path_factory.mktemp("tokenizer") / kind
        transformers.BertTokenizerFast(tokenizer_object=tokenizer, **options).save_pretrained(str(folder))
        loaded[kind] = load_tokenizer(folder)
    return loaded


@pytest.fixture(scope="module")
def tables(tokenizers):
    """The Unicode table of each tokenizer, read once."""
    from tf_finetune.serving.graph.unicode_table import read_unicode_table

    backends = {kind: tokenizer.backend_tokenizer for kind, tokenizer in tokenizers.items()}
    return {kind: read_unicode_table(each.normalizer, each.pre_tokenizer) for kind, each in backends.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_normalizer_is_met_exactly(tokenizers, tables, kind):
    from tf_finetune.serving.graph.parity import check_parity

    encoder = encoder_of(tokenizers[kind], max_length=48)
    texts = [text for _, text in stress_texts(300)]
    assert check_parity(in_graph(encoder, tables[kind]), encoder, texts) == len(texts)


@pytest.mark.parametrize("pairs", [False, True], ids=["single", "pairs"])
@pytest.mark.parametrize("truncate", ["head", "tail", "head+tail"])
@pytest.mark.parametrize("max_length", [9, 32])
def test_every_way_to_truncate_is_met_exactly(tokenizers, tables, truncate, pairs, max_length):
    from tf_finetune.serving.graph.parity import check_parity

    encoder = encoder_of(tokenizers["uncased"], truncate=truncate, pairs=pairs, max_length=max_length)
    texts = [text for _, text in stress_texts(20)]
    assert check_parity(in_graph(encoder, tables["uncased"]), encoder, texts) == len(texts)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_thirty_thousand_strings(tokenizers, tables, kind):
    from tf_finetune.serving.graph.parity import check_parity

    encoder = encoder_of(tokenizers[kind], max_length=48)
    texts = [text for _, text in stress_texts(2500, seed=7)]
    assert len(texts) > 30_000
    assert check_parity(in_graph(encoder, tables[kind]), encoder, texts) == len(texts)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_code_point(tokenizers, tables, kind):
    from tf_finetune.serving.graph.parity import check_parity

    encoder = encoder_of(tokenizers[kind], max_length=4 * 256)
    points = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    # each inside a word and alone, some dozens a text
    texts = [" ".join(f"a{c}b {c}" for c in points[i : i + 64]) for i in range(0, len(points), 64)]
    assert check_parity(in_graph(encoder, tables[kind]), encoder, texts) == len(texts)


@pytest.mark.slow
def test_all_texts_of_the_shared_data(tokenizers, tables):
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not there")
    from tf_finetune.data import read_examples
    from tf_finetune.serving.graph.parity import check_parity

    encoder = encoder_of(tokenizers["uncased"], truncate="head+tail", max_length=256)
    tokenize = in_graph(encoder, tables["uncased"])
    names = ["sst2/train.tsv", "sst2/validation.tsv", "agnews/train.csv", "agnews/test.csv", "imdb"]
    for name in names:
        for split in ("train", "test") if name == "imdb" else ("train",):
            texts = read_examples([str(SHARED / name)], split=split).texts()
            assert check_parity(tokenize, encoder, texts) == len(texts)


def test_invalid_utf8_empty_batches_and_huge_texts_are_answered(tokenizers, tables):
    from tf_finetune.backend import tf

    tokenize = in_graph(encoder_of(tokenizers["uncased"]), tables["uncased"])
    answer = tokenize(text=tf.constant([b"good \xff\xfe film", b"", b"x" * 100_000, b"b " * 50_000]))
    assert answer["input_ids"].shape[0] == 4
    assert answer["attention_mask"].numpy().sum(axis=1).tolist()[1] == 2
    assert tokenize(text=tf.constant([], tf.string))["input_ids"].shape.as_list() == [0, 2]


def test_ids_mask_and_types_are_int32_and_padded_on_the_right(tokenizers, tables):
    from tf_finetune.backend import tf

    encoder = encoder_of(tokenizers["uncased"], pairs=True)
    tokenize = in_graph(encoder, tables["uncased"])
    answer = tokenize(text=tf.constant(["a film", "b"]), text_pair=tf.constant(["the plot was", ""]))
    assert {tensor.dtype for tensor in answer.values()} == {tf.int32}
    mask = answer["attention_mask"].numpy()
    assert (np.diff(mask, axis=1) <= 0).all()
    assert (answer["input_ids"].numpy()[mask == 0] == encoder.tokenizer.pad_token_id).all()
    encoded = encoder.encode(["a film"], ["the plot was"])
    assert answer["token_type_ids"].numpy()[0][: len(encoded.types)].tolist() == encoded.types.tolist()


def test_only_core_operations_are_used(tokenizers, tables):
    """No op of tensorflow_text or another library: any TensorFlow Serving has them all."""
    from tf_finetune.backend import tf

    function = in_graph(encoder_of(tokenizers["uncased"]), tables["uncased"])
    graph = function.graph.as_graph_def()
    ops = {node.op for node in graph.node} | {node.op for f in graph.library.function for node in f.node_def}
    assert not [op for op in ops if not hasattr(tf.raw_ops, op)]
    assert not {op for op in ops if "PyFunc" in op}


def test_a_difference_is_shown_from_where_it_begins(tokenizers, tables):
    from tf_finetune.serving.graph.parity import check_parity

    encoder = encoder_of(tokenizers["uncased"])
    other = in_graph(encoder_of(tokenizers["cased"]), tables["cased"])
    with pytest.raises(ExportError, match=r"from token \d+ on:\n  in the graph: \S+=\d+ .*\n  in the run: "):
        check_parity(other, encoder, ["Ärger über ÄÖÜ"])


def test_other_families_are_refused_with_the_reason(tokenizers):
    from tokenizers import pre_tokenizers

    from tf_finetune.serving.graph.graph_tokenizer import GraphTokenizer, why_not

    encoder = encoder_of(tokenizers["bare"])
    before = encoder.tokenizer.backend_tokenizer.pre_tokenizer
    try:
        encoder.tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        assert why_not(encoder) == "its pre-tokenizer is Whitespace, and only BertPreTokenizer is proven exact"
        with pytest.raises(ExportError, match="only BertPreTokenizer is proven exact"):
            GraphTokenizer(encoder)
    finally:
        encoder.tokenizer.backend_tokenizer.pre_tokenizer = before
    assert why_not(encoder) is None


def test_the_stress_set_is_the_same_every_time():
    assert list(stress_texts(5)) == list(stress_texts(5))
    assert list(stress_texts(5)) != list(stress_texts(5, seed=1))
