import numpy as np
import pytest

from tests.tokens.families import FAMILIES, random_texts
from tf_finetune.errors import TokenizerError
from tf_finetune.tokens.encoder import TextEncoder


def rows(encoded, column="ids"):
    return [part.tolist() for part in np.split(getattr(encoded, column), np.cumsum(encoded.lengths)[:-1])]


@pytest.mark.parametrize("truncate", ["head", "tail"])
@pytest.mark.parametrize("pairs", [False, True], ids=["single", "pairs"])
@pytest.mark.parametrize("family", FAMILIES)
def test_ids_and_types_are_the_tokenizers_own(load, family, pairs, truncate):
    tokenizer = load(family, truncate=truncate)
    texts = random_texts(1)
    seconds = random_texts(2)[::-1] if pairs else None
    for max_length in (7, 16, 40):
        encoder = TextEncoder(tokenizer, max_length=max_length, truncate=truncate, pairs=pairs)
        ours = encoder.encode(texts, seconds)
        theirs = tokenizer(texts, seconds, truncation=True, max_length=max_length, return_token_type_ids=True)
        full = tokenizer(texts, seconds, truncation=False)["input_ids"]
        expected = [ids or [tokenizer.unk_token_id] for ids in theirs["input_ids"]]  # a model needs one position
        assert rows(ours) == expected
        assert rows(ours, "types") == [types or [0] for types in theirs["token_type_ids"]]
        assert ours.full_lengths.tolist() == [max(1, len(ids)) for ids in full]
        assert ours.lengths.max() == max_length and (ours.lengths < ours.full_lengths).any()


@pytest.mark.parametrize("family", FAMILIES)
def test_head_and_tail_keep_a_quarter_and_the_rest(load, family):
    tokenizer = load(family, truncate="head+tail")
    text = "the plot is thin but the acting is superb and the ending was not bad at all " * 5
    whole = tokenizer(text, add_special_tokens=False)["input_ids"]
    encoder = TextEncoder(tokenizer, max_length=19, truncate="head+tail")
    added = encoder.template.added
    kept = rows(encoder.encode([text]))[0]
    before = len(encoder.template.specials[0])
    content = kept[before : len(kept) - (added - before)]
    budget = 19 - added
    assert len(content) == budget
    assert content == whole[: budget // 4] + whole[-(budget - budget // 4) :]
    short = tokenizer("superb")["input_ids"]
    assert rows(encoder.encode(["superb"]))[0] == short


@pytest.mark.parametrize("family", FAMILIES)
def test_literal_special_tokens_are_text(load, family):
    tokenizer = load(family)
    special = set(tokenizer.all_special_tokens)
    encoder = TextEncoder(tokenizer, max_length=64)
    template = [token for group in encoder.template.specials for token in group]
    for token in special:
        for text in (token, f"a {token} b", f"thin{token}plot {token}{token}"):
            ids = rows(encoder.encode([text]))[0]
            assert [i for i in ids if i in tokenizer.all_special_ids and i != tokenizer.unk_token_id] == template


def test_truncation_and_padding_saved_in_the_file_are_off(tiny_checkpoint):
    from tf_finetune.tokens.tokenizer import load_tokenizer

    saved = (tiny_checkpoint / "tokenizer.json").read_text()
    assert '"max_length": 16' in saved and '"Fixed": 16' in saved
    tokenizer = load_tokenizer(tiny_checkpoint)
    encoded = TextEncoder(tokenizer, max_length=40).encode(["the film " * 30, "good"])
    assert encoded.lengths.tolist() == [40, 3]
    assert encoded.full_lengths.tolist() == [62, 3]


def test_settings_left_behind_by_other_calls_do_not_matter(load):
    tokenizer = load("wordpiece")
    encoder = TextEncoder(tokenizer, max_length=30)
    before = encoder.encode(random_texts(3))
    tokenizer(["superb " * 9, "x"], truncation=True, max_length=4, padding="max_length", split_special_tokens=False)
    after = encoder.encode(random_texts(3))
    assert np.array_equal(before.ids, after.ids) and np.array_equal(before.full_lengths, after.full_lengths)
    tokenizer("superb " * 9, truncation=True, max_length=4, padding="max_length")
    again = TextEncoder(tokenizer, max_length=30).encode(random_texts(3))
    assert np.array_equal(before.ids, again.ids)


def test_truncation_is_the_encoders_whatever_the_tokenizer_was_loaded_for(load):
    tokenizer = load("roberta", truncate="head")
    text = "the plot is thin but the acting is superb"
    tail = TextEncoder(tokenizer, max_length=6, truncate="tail").encode([text])
    assert tail.ids.tolist() == load("roberta", truncate="tail")(text, truncation=True, max_length=6)["input_ids"]
    assert tokenizer.truncation_side == "right"


@pytest.mark.parametrize(("pairs", "max_length", "added"), [(False, 2, 2), (True, 4, 3)])
def test_a_length_without_room_is_refused(load, pairs, max_length, added):
    tokenizer = load("wordpiece")
    with pytest.raises(TokenizerError, match=f"max_length {max_length} leaves no room .* adds {added} special tokens"):
        TextEncoder(tokenizer, max_length=max_length, pairs=pairs)
    assert TextEncoder(tokenizer, max_length=max_length + 1, pairs=pairs)


def test_an_unknown_truncation_is_refused(load):
    with pytest.raises(TokenizerError, match="must be one of head, tail, head\\+tail. Received: 'middle'"):
        TextEncoder(load("wordpiece"), max_length=8, truncate="middle")


def test_pairs_and_single_texts_are_not_mixed_up(load):
    tokenizer = load("wordpiece")
    with pytest.raises(TokenizerError, match="takes single texts. Received: pairs"):
        TextEncoder(tokenizer, max_length=8).encode(["a"], ["b"])
    with pytest.raises(TokenizerError, match="takes pairs of texts. Received: single texts"):
        TextEncoder(tokenizer, max_length=8, pairs=True).encode(["a"])


def test_no_texts_give_no_rows(load):
    encoded = TextEncoder(load("wordpiece"), max_length=8).encode([])
    assert [len(column) for column in (encoded.ids, encoded.types, encoded.lengths, encoded.full_lengths)] == [0] * 4


def test_columns_have_their_dtypes(load):
    encoded = TextEncoder(load("xlnet"), max_length=8).encode(["superb"])
    dtypes = [column.dtype for column in (encoded.ids, encoded.types, encoded.lengths, encoded.full_lengths)]
    assert dtypes == [np.int32, np.int8, np.int32, np.int32]


def test_a_tokenizer_that_assembles_its_rows_otherwise_is_refused(load):
    tokenizer = load("wordpiece")
    plain = type(tokenizer).__call__

    class Reversed(type(tokenizer)):
        def __call__(self, *args, **kwargs):
            return {"input_ids": plain(self, *args, **kwargs)["input_ids"][::-1]}

    tokenizer.__class__ = Reversed
    with pytest.raises(TokenizerError, match="assembles its rows in a way that is not supported"):
        TextEncoder(tokenizer, max_length=16)
