"""Equal texts: twice in one split, in two splits, or under two labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tf_finetune.audit.corpus import SPLIT_WORDS, Corpus, shown_share
from tf_finetune.audit.finding import ERROR, NOTE, WARNING, Finding
from tf_finetune.audit.near import SIMILAR, NearPairs

__all__ = ["Repeats", "find_repeats", "near_findings", "near_rows", "repeat_findings"]

MANY = 0.1
"""Share of near duplicates in a split from which on they are no oddity: its rows are fewer than they seem."""


@dataclass(frozen=True)
class Repeats:
    """The rows whose text occurs more than once, in all splits together.

    Attributes:
        rows: int64 `[m]`, ascending.
        groups: int64 `[m]`, rows with the same text have the same number.
        splits: int64 `[m]`, split of each row.
        labels: int32 `[m]`, class of each row.
    """

    rows: np.ndarray
    groups: np.ndarray
    splits: np.ndarray
    labels: np.ndarray

    def firsts(self, split: int | None = None) -> np.ndarray:
        """For each row the first row with the same text (in one split), int64 `[m]`; -1 where there is none."""
        inside = np.arange(len(self.rows)) if split is None else np.flatnonzero(self.splits == split)
        firsts = np.full(int(self.groups.max(initial=-1)) + 1, -1, np.int64)
        firsts[self.groups[inside[::-1]]] = self.rows[inside[::-1]]  # the last one written is the first
        found: np.ndarray = firsts[self.groups]
        return found

    def duplicates(self, split: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of a split whose text it had before, and the first rows with these texts."""
        firsts = self.firsts(split)
        chosen = (self.splits == split) & (firsts != self.rows)
        return self.rows[chosen], firsts[chosen]

    def shared(self, earlier: int, later: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of one split whose text is in another, and the first rows there with these texts."""
        firsts = self.firsts(earlier)
        chosen = (self.splits == later) & (firsts >= 0)
        return self.rows[chosen], firsts[chosen]

    def conflicts(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows whose text also has another label, and the first row with a neighbouring one of its labels."""
        keys = self.groups * (int(self.labels.max(initial=0)) + 2) + self.labels + 1
        _, first, of_row = np.unique(keys, return_index=True, return_inverse=True)
        groups = self.groups[first]  # ascending: the labels of one text stand side by side
        same = groups[1:] == groups[:-1]
        like_before, like_next = np.append(False, same), np.append(same, False)
        neighbour = np.arange(len(groups)) + np.where(like_before, -1, 1)[: len(groups)]
        chosen = (like_before | like_next)[of_row]
        return self.rows[chosen], self.rows[first[neighbour[of_row[chosen]]]]


def find_repeats(corpus: Corpus) -> Repeats:
    """Finds them by the hashes of the texts, in the memory of a few numbers a row."""
    hashes = corpus.hashes
    halves = hashes.view("<u8")[::2]
    order = np.argsort(halves)
    same = halves[order[1:]] == halves[order[:-1]]
    rows = np.sort(order[np.append(same, False) | np.append(False, same)]) if len(order) else order
    # few rows are left: those are compared by the whole hash
    _, groups, counts = np.unique(hashes[rows].view("S16"), return_inverse=True, return_counts=True)
    kept = counts[groups] > 1
    rows, groups = rows[kept], groups[kept]
    return Repeats(rows, groups, corpus.split_of(rows), corpus.labels[rows])


def repeat_findings(corpus: Corpus, repeats: Repeats) -> list[Finding]:
    """Leaks, conflicting labels and duplicates."""
    findings = []
    for later in range(len(corpus.names)):
        for earlier in range(later):
            findings += _leak(corpus, earlier, later, *repeats.shared(earlier, later))
    rows, others = repeats.conflicts()
    if len(rows):
        texts = len(np.unique(repeats.groups[np.isin(repeats.rows, rows)]))
        message = (
            f"The same text under more than one label: {_count(texts, 'text')} in {len(rows):,} rows. No model can "
            "learn both: decide on one label, or leave the rows out."
        )
        findings.append(_finding("conflicting_labels", WARNING, corpus, rows, message, others=others))
    for split, part in enumerate(corpus.parts):
        rows, firsts = repeats.duplicates(split)
        if len(rows):
            message = (
                f"The same text as an earlier row: {_of(rows, part, corpus.names[split])}. It counts more than once."
            )
            findings.append(_finding("duplicates", WARNING, corpus, rows, message, others=firsts))
    return findings


def near_findings(corpus: Corpus, pairs: NearPairs, distinct_of: np.ndarray) -> list[Finding]:
    """Near duplicates inside and across splits.

    Args:
        corpus: All rows.
        pairs: What was found among the different texts.
        distinct_of: int64 `[n]`, for each row the first row with the same text in any split.
    """
    findings = []
    splits = len(corpus.names)
    for later in range(splits):
        part = corpus.parts[later]
        for earlier in range(later):
            rows, others, similarity = near_rows(corpus, pairs, distinct_of, earlier, later)
            if len(rows):
                message = (
                    f"Near duplicates of {SPLIT_WORDS[corpus.names[earlier]]} texts ({SIMILAR:.0%} or more of their "
                    f"word pairs are shared): {_of(rows, part, corpus.names[later])}. Scores on them say little about "
                    f"new texts.{_of_other_labels(corpus, rows, others)}"
                )
                findings.append(
                    _finding("near_leak", WARNING, corpus, rows, message, others=others, similarities=similarity)
                )
        rows, others, similarity = near_rows(corpus, pairs, distinct_of, later, later)
        if len(rows):
            alone = corpus.names == ("train",)
            message = f"Near duplicates of an earlier row: {_of(rows, part, corpus.names[later])}." + (
                " Those that fit holds out for validation may be like ones it trains on." if alone else ""
            )
            message += _of_other_labels(corpus, rows, others)
            severity = WARNING if len(rows) >= MANY * len(part) else NOTE
            findings.append(
                _finding("near_duplicates", severity, corpus, rows, message, others=others, similarities=similarity)
            )
    return findings


def near_rows(
    corpus: Corpus, pairs: NearPairs, distinct_of: np.ndarray, earlier: int, later: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of one split that are like a row of another (or of the same, before them), each once with its nearest.

    Of rows with equal texts, only the first of a split is among them.

    Returns:
        rows int64 `[m]`, ascending; the rows that they are like; the similarities.
    """
    rows, others, similarity = (
        np.concatenate([pairs.second, pairs.first]),
        np.concatenate([pairs.first, pairs.second]),
        np.concatenate([pairs.similarity, pairs.similarity]),
    )
    mine, theirs = _first_in(corpus, distinct_of, later), _first_in(corpus, distinct_of, earlier)
    rows, others = mine[rows], theirs[others]
    kept = (rows >= 0) & (others >= 0) & ((earlier != later) | (others < rows))
    rows, others, similarity = rows[kept], others[kept], similarity[kept]
    order = np.lexsort((others, -similarity, rows))
    rows, first = np.unique(rows[order], return_index=True)
    return rows, others[order][first], similarity[order][first]


def _first_in(corpus: Corpus, distinct_of: np.ndarray, split: int) -> np.ndarray:
    """For each text, by its first row anywhere, the first row in one split; -1 where it is not in the split."""
    found = np.full(len(corpus), -1, np.int64)
    inside = np.arange(corpus.starts[split], corpus.starts[split + 1])[::-1]
    found[distinct_of[inside]] = inside
    return found


def _leak(corpus: Corpus, earlier: int, later: int, rows: np.ndarray, others: np.ndarray) -> list[Finding]:
    if not len(rows):
        return []
    message = (
        f"Texts that are also in the {SPLIT_WORDS[corpus.names[earlier]]} data: "
        f"{_of(rows, corpus.parts[later], corpus.names[later])}. Scores on them say little about new texts: leave them "
        "out of one."
    )
    return [
        _finding(
            "leak", ERROR, corpus, rows, message, others=others, splits=(corpus.names[earlier], corpus.names[later])
        )
    ]


def _finding(
    kind: str,
    severity: str,
    corpus: Corpus,
    rows: np.ndarray,
    message: str,
    *,
    others: np.ndarray,
    similarities: np.ndarray | None = None,
    splits: tuple[str, ...] = (),
) -> Finding:
    places = corpus.places(rows, others=others, similarities=similarities)
    found = tuple(corpus.names[split] for split in np.unique(corpus.split_of(rows)).tolist())
    return Finding(kind, severity, len(rows), message, places, splits or found)


def _of(rows: np.ndarray, part: object, split: str) -> str:
    total = len(part)  # type: ignore[arg-type]
    return f"{len(rows):,} of {total:,} {SPLIT_WORDS[split]} rows ({shown_share(len(rows), total)})"


def _of_other_labels(corpus: Corpus, rows: np.ndarray, others: np.ndarray) -> str:
    """How many near duplicates contradict the row that they are like, as a further sentence; empty if none does."""
    number = int((corpus.labels[rows] != corpus.labels[others]).sum())
    return f" {number:,} of them under another label than the row that they are like." if number else ""


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
