"""`audit`: all that can be seen of labelled texts before training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tf_finetune.audit.corpus import LISTED, SPLIT_WORDS, Corpus, shown_share
from tf_finetune.audit.finding import ERROR, WARNING, Finding, Place, in_order
from tf_finetune.audit.labels import count_classes, label_findings
from tf_finetune.audit.lengths import TokenLengths, length_findings
from tf_finetune.audit.letters import LetterModel
from tf_finetune.audit.near import NearPairs, find_near_pairs
from tf_finetune.audit.read import BadRow
from tf_finetune.audit.repeats import Repeats, find_repeats, near_findings, repeat_findings
from tf_finetune.audit.texts import CHECKS, without_words
from tf_finetune.data import Examples

__all__ = ["Audit", "audit"]

EXTREMES = 10
RANDOM = "random letters"


@dataclass(frozen=True, eq=False)
class Traces:
    """What `write_clean` needs of an audit.

    Attributes:
        corpus: All rows.
        repeats: Rows with equal texts.
        near: Pairs of near duplicates.
        distinct_of: int64 `[n]`, for each row the first row with the same text.
        wordless: Number of a row to why it has no words.
        bad_rows: Rows that could not be used.
    """

    corpus: Corpus
    repeats: Repeats
    near: NearPairs
    distinct_of: np.ndarray
    wordless: dict[int, str]
    bad_rows: tuple[BadRow, ...]


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        rows: Split to its rows.
        classes: Split to class to rows, in index order.
        findings: What is to be said, the worst first.
        lengths: Lengths in tokens; None if no tokenizer was given.
        shortest: The shortest training texts, in characters.
        longest: The longest.
        notes: How the data was read, and which checks could not be made.
        traces: All rows that were found, for `write_clean`.
    """

    rows: dict[str, int]
    classes: dict[str, dict[str, int]]
    findings: tuple[Finding, ...]
    lengths: TokenLengths | None
    shortest: tuple[Place, ...]
    longest: tuple[Place, ...]
    notes: tuple[str, ...]
    traces: Traces = dataclasses.field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; findings list at most a hundred rows."""
        return {
            "rows": self.rows,
            "classes": self.classes,
            "findings": [finding.to_dict() for finding in self.findings],
            "lengths": None if self.lengths is None else dataclasses.asdict(self.lengths),
            "shortest": [dataclasses.asdict(place) for place in self.shortest],
            "longest": [dataclasses.asdict(place) for place in self.longest],
            "notes": list(self.notes),
        }


def audit(
    splits: Mapping[str, Examples],
    *,
    lengths: TokenLengths | None = None,
    bad_rows: Sequence[BadRow] = (),
    notes: Sequence[str] = (),
) -> Audit:
    """Looks at labelled texts.

    Args:
        splits: ``train``, ``validation``, ``test`` to examples with the same class names.
        lengths: What `measure_lengths` counted.
        bad_rows: Rows that could not be used.
        notes: What there is to say of how the data was read.

    Raises:
        DataError: There are no splits, or they differ in their classes.
    """
    corpus = Corpus(splits)
    repeats = find_repeats(corpus)
    distinct_of = np.arange(len(corpus))
    distinct_of[repeats.rows] = repeats.firsts()
    near = find_near_pairs(corpus, np.flatnonzero(distinct_of == np.arange(len(corpus))))
    seen = _Texts(corpus)
    findings = [
        *_unusable(bad_rows),
        *repeat_findings(corpus, repeats),
        *label_findings(corpus),
        *seen.findings(),
        *near_findings(corpus, near, distinct_of),
        *([] if lengths is None else length_findings(corpus, lengths)),
    ]
    counts = count_classes(corpus).tolist()
    return Audit(
        rows={name: len(part) for name, part in zip(corpus.names, corpus.parts, strict=True)},
        classes={
            name: dict(zip(corpus.label_names, row, strict=True))
            for name, row in zip(corpus.names, counts, strict=True)
        },
        findings=in_order(findings),
        lengths=lengths,
        shortest=corpus.places(seen.by_size[:EXTREMES]),
        longest=corpus.places(seen.by_size[::-1][:EXTREMES]),
        notes=(*notes, *_unchecked(seen, near)),
        traces=Traces(corpus, repeats, near, distinct_of, seen.wordless, tuple(bad_rows)),
    )


class _Texts:
    """One pass over all texts: what is odd about each, and how long they are.

    Attributes:
        letters: Told random letters.
        wordless: Number of a row to why it has no words.
        by_size: int64, training rows from the shortest to the longest.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self.letters = LetterModel(corpus)
        self.wordless: dict[int, str] = {}
        self._odd: dict[str, list[int]] = {check.kind: [] for check in CHECKS}
        sizes = np.zeros(len(corpus), np.int64)
        for start, texts in corpus.batches():
            sizes[start : start + len(texts)] = [len(text) for text in texts]
            self._look(start, texts)
        self.by_size = np.argsort(sizes[: corpus.starts[1]], kind="stable")

    def _look(self, start: int, texts: list[str]) -> None:
        for row, text in enumerate(texts, start):
            reason = without_words(text)
            if reason is not None:
                self.wordless[row] = reason
        for check in CHECKS:
            self._odd[check.kind] += [row for row, text in enumerate(texts, start) if check.is_so(text)]
        for row in (start + np.flatnonzero(self.letters.random_rows(texts))).tolist():
            self.wordless.setdefault(row, RANDOM)

    def findings(self) -> list[Finding]:
        """Rows without words by reason, and what each check found."""
        findings = []
        for reason in dict.fromkeys(self.wordless.values()):
            rows = sorted(row for row, found in self.wordless.items() if found == reason)
            findings.append(self._finding("without_words", WARNING, rows, f"No words ({reason})"))
        for check in CHECKS:
            if self._odd[check.kind]:
                findings.append(
                    self._finding(check.kind, check.severity, self._odd[check.kind], check.title, advice=check.advice)
                )
        return findings

    def _finding(self, kind: str, severity: str, found: list[int], title: str, *, advice: str = "") -> Finding:
        corpus, rows = self._corpus, np.array(found, np.int64)
        numbers, counts = np.unique(corpus.split_of(rows), return_counts=True)
        per_split = [
            f"{count:,} of {len(corpus.parts[i]):,} {SPLIT_WORDS[corpus.names[i]]} rows "
            f"({shown_share(count, len(corpus.parts[i]))})"
            for i, count in zip(numbers.tolist(), counts.tolist(), strict=True)
        ]
        splits = tuple(corpus.names[i] for i in numbers.tolist())
        message = f"{title}: {', '.join(per_split)}. {advice}".rstrip()
        return Finding(kind, severity, len(rows), message, corpus.places(rows), splits)


def _unusable(bad_rows: Sequence[BadRow]) -> list[Finding]:
    """Rows that `fit` refuses, by fault."""
    findings = []
    for fault in dict.fromkeys(bad.fault for bad in bad_rows):
        of_fault = [bad for bad in bad_rows if bad.fault == fault]
        message = f"{fault.capitalize()}: {len(of_fault):,} rows. fit refuses them, or skips them: --on-bad-row skip."
        places = tuple(Place(bad.split, bad.where) for bad in of_fault[:LISTED])
        splits = tuple(dict.fromkeys(bad.split for bad in of_fault))
        kind = fault.replace(" ", "_")
        findings.append(Finding(kind, ERROR, len(of_fault), message, places, splits))
    return findings


def _unchecked(seen: _Texts, near: NearPairs) -> list[str]:
    notes = []
    if seen.letters.usual is None:
        notes.append("Too few letters a to z to tell random letters from words: that check was not made.")
    if not near.is_complete:
        notes.append("So many texts are alike that not all of them were compared: there may be more near duplicates.")
    return notes
