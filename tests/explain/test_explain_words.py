"""Tokens become words: spans that tell the text's own characters, whatever the tokenizer and the script."""

import re

import pytest

from tests.tokens.families import FAMILIES, random_texts
from tf_finetune.errors import DataError, TokenizerError
from tf_finetune.explain.explanation import ExplainedText, Word
from tf_finetune.explain.pieces import pieces
from tf_finetune.explain.tokens import trace_tokens
from tf_finetune.explain.words import group_words
from tf_finetune.tokens.encoder import TextEncoder
from tf_finetune.tokens.tokenizer import load_tokenizer


@pytest.fixture(scope="module", params=FAMILIES)
def tokenizer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained") / request.param
    FAMILIES[request.param](folder)
    return load_tokenizer(folder)


def words_of(text, spans):
    return [text[group.start : group.end] for group in group_words(text, spans)]


def spans_of(text, *tokens):
    """The places of tokens that follow each other in a text."""
    spans, place = [], 0
    for token in tokens:
        start = text.index(token, place)
        spans.append((start, start + len(token)))
        place = start + len(token)
    return spans


@pytest.mark.parametrize(
    ("text", "tokens", "words"),
    [
        ("unloved film", ["un", "lov", "ed", "film"], ["unloved", "film"]),
        (
            "I don't, I can’t.",
            ["I", "don", "'", "t", ",", "I", "can", "’", "t", "."],
            ["I", "don't", ",", "I", "can’t", "."],
        ),
        ("'quoted' words'", ["'", "quoted", "'", "words", "'"], ["'", "quoted", "'", "words", "'"]),
        ("well-made!!", ["well", "-", "made", "!!"], ["well", "-", "made", "!!"]),
        ("电影很好看", ["电影", "很", "好看"], ["电影", "很", "好看"]),
        ("7/10", ["7", "/", "10"], ["7", "/", "10"]),
        (" a  b", [" a", " ", " b"], ["a", "b"]),
        ("cafe\u0301 o", ["cafe", "o"], ["cafe\u0301", "o"]),
        ("re\u0301sume", ["re", "sume"], ["re\u0301sume"]),
        ("हिन्दी", ["ह", "िन", "्दी"], ["हिन्दी"]),
        ("👩\u200d🍳 ok", ["👩", "\u200d", "🍳", "ok"], ["👩\u200d🍳", "ok"]),
        ("  ", [" ", " "], []),
        ("", [], []),
    ],
)
def test_words(text, tokens, words):
    assert words_of(text, spans_of(text, *tokens)) == words


def test_a_character_of_several_tokens_is_one_word():
    groups = group_words("a😀b", [(0, 1), (1, 2), (1, 2), (1, 2), (2, 3)])
    assert [group.tokens for group in groups] == [(0,), (1, 2, 3), (4,)]


def test_every_token_counts_in_one_word():
    text = " a  b "
    groups = group_words(text, spans_of(text, " a", " ", " b", " "))
    assert [group.tokens for group in groups] == [(0,), (1, 2, 3)]


@pytest.mark.parametrize("truncate", ["head", "tail", "head+tail"])
def test_words_and_cuts_are_in_the_text_in_order_and_miss_no_letter(tokenizer, truncate):
    encoder = TextEncoder(tokenizer, max_length=24, truncate=truncate)
    cut = 0
    for text in random_texts(3):
        tokens = trace_tokens(encoder, text)
        assert tokens.ids.tolist() == encoder.encode([text]).ids.tolist()
        (traced,) = tokens.texts
        groups = group_words(text, traced.spans, traced.cut)
        assert sorted(token for group in groups for token in group.tokens) == list(
            range(len(traced.spans) if groups else 0)
        )
        explained = ExplainedText(text, tuple(Word(one.start, one.end, 1.0) for one in groups), traced.cut)
        parts = list(pieces(explained))
        assert "".join(text[part.start : part.end] for part in parts) == text
        assert all(part.start < part.end for part in parts)
        left = "".join(text[part.start : part.end] for part in parts if part.word is None and not part.is_cut)
        assert not re.search(r"[a-zA-Z0-9!?]", left)
        cut += bool(traced.cut)
    assert cut > 3


def test_a_cut_text_tells_what_is_missing(tokenizer):
    text = " ".join(f"word{i}" for i in range(40))
    ((start, end),) = trace_tokens(TextEncoder(tokenizer, max_length=24, truncate="head+tail"), text).texts[0].cut
    kept = text[:start], text[end:]
    assert 0 < len(kept[0]) < len(kept[1])  # a quarter from the head
    assert text[start:end] == text[start:end].strip() and kept[0].startswith("word0") and kept[1].endswith("word39")


def test_the_baseline_keeps_the_special_tokens_of_a_pair(tokenizer):
    encoder = TextEncoder(tokenizer, max_length=30, pairs=True)
    tokens = trace_tokens(encoder, "the plot", "not bad " * 30)
    first, second = tokens.texts
    assert not first.cut and second.cut
    replaced = tokens.replaced(-1)
    assert (replaced == -1).sum() == len(first.spans) + len(second.spans) == 30 - encoder.template.added
    assert [i for i in replaced if i != -1] == [i for group in encoder.template.specials for i in group]
    assert tokens.texts[0].first == len(encoder.template.specials[0])


def test_what_cannot_be_traced_is_refused(tokenizer):
    encoder = TextEncoder(tokenizer, max_length=24)
    with pytest.raises(DataError, match="surrogate pair at character 2"):
        trace_tokens(encoder, "a \ud83d")
    with pytest.raises(DataError, match="Received: NoneType"):
        trace_tokens(encoder, None)
    with pytest.raises(TokenizerError, match="takes single texts"):
        trace_tokens(encoder, "a", "b")
