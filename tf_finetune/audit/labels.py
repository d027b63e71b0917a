"""Findings about the classes: missing, rare, out of balance, or one typo apart."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from tf_finetune.audit.corpus import SPLIT_WORDS, Corpus, shown_share
from tf_finetune.audit.finding import ERROR, NOTE, WARNING, Finding

__all__ = ["count_classes", "label_findings", "typo_pairs"]

FEW_ROWS = 10
FEW_SHARE = 0.01
PART_OF_EQUAL = 0.2
"""A class is rare below `FEW_ROWS` rows or `FEW_SHARE` of them; of many classes, below a fifth of an equal share."""

UNBALANCED = 10
"""Times that the largest class is as frequent as the smallest, from which on balance is worth a word."""

TYPO_LETTERS = 4
"""Names with fewer letters are not compared by letters: cat and car are two words."""

SEPARATOR = re.compile(r"(?<=[^\W\d_])-(?=\w)|(?<=\d)-(?=[^\W\d_])|(?<!\d)[\s_]+|[\s_]+(?!\d)")
"""Hyphens within a word, and spaces and underscores; not those between digits, and no hyphen that may be a minus."""

SIGNS = "+-\u2212<>="

NAMED = 10


def count_classes(corpus: Corpus) -> np.ndarray:
    """Rows of each class in each split, int64 `[splits, classes]`."""
    classes = len(corpus.label_names)
    return np.stack([np.bincount(part.labels[part.labels >= 0], minlength=classes) for part in corpus.parts])


def label_findings(corpus: Corpus) -> list[Finding]:
    """What is to be said about the classes."""
    counts = count_classes(corpus)
    return [*_missing(corpus, counts), *_typos(corpus, counts), *_rare(corpus, counts), *_balance(corpus, counts)]


def typo_pairs(names: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of names, by index, that may be meant as one.

    They differ in case, in spaces, hyphens and underscores, in Unicode's normal form or invisible characters, or by one
    letter more, less, other, or two swapped (Damerau 1964). Digits and signs are no letters: ``1`` and ``2``, ``1`` and
    ``-1``, or ``star1`` and ``star2``, are two names. Names are compared by what is left of them without one letter, so
    that thousands of them take no time.
    """
    folded = [_folded(name) for name in names]
    alike: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(folded):
        shorter = {name[:k] + name[k + 1 :] for k in range(len(name))} if len(name) >= TYPO_LETTERS else set()
        for key in {name, *shorter}:
            alike[key].append(i)
    pairs = {(i, j) for group in alike.values() for place, i in enumerate(group) for j in group[place + 1 :]}
    return sorted((i, j) for i, j in pairs if _is_typo(folded[i], folded[j]))


def _folded(name: str) -> str:
    """A name without what two spellings of it may differ in."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return SEPARATOR.sub("", "".join(char for char in plain if unicodedata.category(char) != "Cf"))


def _is_typo(one: str, two: str) -> bool:
    """Whether two folded names are equal, or one change of letters apart."""
    if one == two:
        return True
    if min(len(one), len(two)) < TYPO_LETTERS:
        return False
    while one and two and one[0] == two[0]:
        one, two = one[1:], two[1:]
    while one and two and one[-1] == two[-1]:
        one, two = one[:-1], two[:-1]
    if any(char.isdigit() or char in SIGNS for char in one + two):
        return False
    return max(len(one), len(two)) == 1 or (len(one) == 2 and one == two[::-1])


def _missing(corpus: Corpus, counts: np.ndarray) -> Iterator[Finding]:
    """Classes that one split has and another lacks."""
    train = counts[0]
    for split in range(1, len(corpus.names)):
        name = corpus.names[split]
        unknown = np.flatnonzero((train == 0) & (counts[split] > 0))
        if len(unknown):
            rows = corpus.starts[split] + np.flatnonzero(np.isin(corpus.parts[split].labels, unknown))
            message = (
                f"Labels of the {SPLIT_WORDS[name]} data that the training data lacks: "
                f"{_names(corpus, unknown, counts[split])}. Correct them, or map them with --label-map."
            )
            yield Finding("unknown_label", ERROR, len(rows), message, corpus.places(rows), (name,))
        absent = np.flatnonzero((train > 0) & (counts[split] == 0))
        if len(absent):
            message = (
                f"Classes without a row in the {SPLIT_WORDS[name]} data: {_names(corpus, absent, train)}. "
                "Nothing will be known of how well they are told apart."
            )
            yield Finding("class_not_scored", WARNING, len(absent), message, (), (name,))


def _typos(corpus: Corpus, counts: np.ndarray) -> Iterator[Finding]:
    pairs = typo_pairs(corpus.label_names)
    if not pairs:
        return
    total = counts.sum(axis=0)
    scarce = sorted({i if total[i] <= total[j] else j for i, j in pairs})
    rows = np.flatnonzero(np.isin(corpus.labels, scarce))
    shown = "; ".join(_names(corpus, np.array(pair), total, joint=" and ") for pair in pairs[:NAMED])
    more = f"; and {len(pairs) - NAMED} more" if len(pairs) > NAMED else ""
    message = (
        f"Labels that are one typo, case, space or Unicode form apart: {shown}{more}. "
        "If they mean the same: --label-map."
    )
    yield Finding("typo_labels", WARNING, len(pairs), message, corpus.places(rows), corpus.names)


def _rare(corpus: Corpus, counts: np.ndarray) -> Iterator[Finding]:
    train = counts[0]
    share = min(FEW_SHARE, PART_OF_EQUAL / max(1, int(np.count_nonzero(train))))
    rare = np.flatnonzero((train > 0) & ((train < FEW_ROWS) | (train < share * train.sum())))
    if len(rare):
        rows = np.flatnonzero(np.isin(corpus.parts[0].labels, rare))
        message = (
            f"Classes with fewer than {FEW_ROWS} training rows or {100 * share:.2g}% of them: "
            f"{_names(corpus, rare, train)}. Too few to learn them by or to score them: collect more, group classes "
            "with --label-map, or leave them out."
        )
        yield Finding("rare_labels", WARNING, len(rare), message, corpus.places(rows), (corpus.names[0],))


def _balance(corpus: Corpus, counts: np.ndarray) -> Iterator[Finding]:
    train = counts[0]
    there = np.flatnonzero(train)
    if not len(there):
        return
    most, least = int(train[there].argmax()), int(train[there].argmin())
    ratio = train[there][most] / train[there][least]
    if ratio >= UNBALANCED:
        share = shown_share(int(train[there][most]), int(train.sum()))
        message = (
            f"The largest class is {ratio:,.0f} times as frequent as the smallest. To answer always "
            f"{corpus.label_names[there[most]]!r} would be right for {share} of the rows: look at macro F1, "
            "and try --class-weights balanced."
        )
        yield Finding("unbalanced", NOTE, len(there), message, (), (corpus.names[0],))


def _names(corpus: Corpus, classes: np.ndarray, counts: np.ndarray, joint: str = ", ") -> str:
    shown = [f"{corpus.label_names[i]!r} ({counts[i]:,} row{'' if counts[i] == 1 else 's'})" for i in classes[:NAMED]]
    return joint.join(shown) + (f" and {len(classes) - NAMED} more" if len(classes) > NAMED else "")
