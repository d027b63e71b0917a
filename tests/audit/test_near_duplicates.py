"""All near duplicates are found, nothing else is, and it takes seconds."""

import itertools
import random
import sys
import time

import numpy as np
import pytest

from tests.audit.planted import IMDB, imdb_sentences, plant, recombined
from tf_finetune.audit.corpus import Corpus
from tf_finetune.audit.near import SIMILAR, WINDOW, find_near_pairs, jaccard, shingles
from tf_finetune.data import Examples, read_examples, sample_files

pytestmark = pytest.mark.filterwarnings("error")


def corpus_of(texts):
    return Corpus({"train": Examples.from_lists(texts, ["a", "b"] * (len(texts) // 2) + ["a"] * (len(texts) % 2))})


def pairs_of(found):
    return set(zip(found.first.tolist(), found.second.tolist(), strict=True))


def search(texts):
    return find_near_pairs(corpus_of(texts), np.arange(len(texts)))


def all_pairs(texts):
    """Every pair of texts, compared."""
    sets = [shingles(text) for text in texts]
    return {(i, j) for i, j in itertools.combinations(range(len(sets)), 2) if jaccard(sets[i], sets[j]) >= SIMILAR}


def test_it_finds_what_a_comparison_of_all_pairs_finds():
    chance = random.Random(4)
    words = [f"w{i}" for i in range(400)]
    texts = [" ".join(chance.choices(words, k=chance.randint(1, 60))) for _ in range(200)]
    for i in range(0, 150, 3):  # like the one before, from a word or two to half of them
        changed = texts[i].split()
        for place in chance.sample(range(len(changed)), chance.randint(1, 1 + len(changed) // 20)):
            changed[place] = chance.choice(words)
        texts[i + 1] = " ".join(changed)
    wanted = all_pairs(texts)
    found = search(texts)
    assert 20 < len(wanted) < 50
    assert pairs_of(found) == wanted
    assert found.is_complete
    for one, two, similarity in zip(found.first, found.second, found.similarity, strict=True):
        assert similarity == jaccard(shingles(texts[one]), shingles(texts[two]))


def test_reviews_with_planted_pairs():
    reviews = read_examples([str(file) for file in sample_files()]).texts()
    planted = plant(reviews, 60, changed=2)
    similar = {(i, j) for i, j in planted if jaccard(shingles(reviews[i]), shingles(reviews[j])) >= SIMILAR}
    assert len(similar) > 20
    assert similar <= pairs_of(search(reviews))


def test_the_same_data_gives_the_same_answer():
    texts = ["one two three four five six seven eight nine ten"] * 2 + ["a b c d e", "A, b c: d e!", "f", "f!"]
    first, second = search(texts), search(texts)
    assert pairs_of(first) == pairs_of(second) == {(0, 1), (2, 3), (4, 5)}
    assert first.similarity.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("texts", [["a", "b"], ["", "!!!", "...", "?"]], ids=["different", "wordless"])
def test_texts_without_a_pair(texts):
    assert not pairs_of(search(texts))


def test_scripts_without_spaces_are_compared_by_character():
    one = "这部电影非常好看演员的表演也很出色我非常喜欢这个故事和音乐推荐大家去看"
    assert pairs_of(search([one, one.replace("推荐", "建议"), "完全不同的一句话没有相同的内容在这里面"])) == {(0, 1)}


def test_only_the_rows_asked_for_are_compared():
    corpus = corpus_of(["a b c d e"] * 4)
    assert pairs_of(find_near_pairs(corpus, np.array([1, 3]))) == {(1, 3)}


def test_a_crowd_is_bounded_and_says_so():
    texts = [f"your order has shipped and will arrive at your door by the end of the week {i % 2}" for i in range(100)]
    found = search(texts)
    assert not found.is_complete
    assert len(pairs_of(found)) < 100 * 2 * WINDOW
    assert set(found.first.tolist()) | set(found.second.tolist()) == set(range(100))


@pytest.mark.slow
@pytest.mark.skipif(not IMDB.is_dir(), reason=f"there are no reviews in {IMDB}")
def test_all_planted_pairs_among_20000_reviews_in_under_ten_seconds():
    texts = recombined(imdb_sentences(), 20_000)
    planted = plant(texts, 200, changed=4)
    similar = {(i, j) for i, j in planted if jaccard(shingles(texts[i]), shingles(texts[j])) >= 0.85}
    assert len(similar) > 190
    corpus = corpus_of(texts)
    start = time.process_time()
    found = find_near_pairs(corpus, np.arange(len(corpus)))
    seconds = time.process_time() - start
    hits = len(similar & pairs_of(found))
    sys.stdout.write(f"{hits} of {len(similar)} found in {seconds:.1f} CPU s\n")  # pytest -rP shows it
    assert similar <= pairs_of(found)
    assert found.is_complete
    assert seconds < 10, f"{seconds:.1f} s of processor time"
