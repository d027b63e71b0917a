"""`cheap_audit`: the part of an audit that costs next to nothing, for `fit`."""

from __future__ import annotations

import numpy as np

from tf_finetune.audit.corpus import SPLIT_WORDS, Corpus
from tf_finetune.audit.finding import Finding, in_order
from tf_finetune.audit.labels import label_findings
from tf_finetune.audit.repeats import find_repeats, repeat_findings
from tf_finetune.audit.texts import MARKUP
from tf_finetune.data import Splits

__all__ = ["cheap_audit"]

LOOKED_AT = 500
"""Rows, evenly spaced, whose texts are looked at for mark-up."""

MUCH = 0.01


def cheap_audit(splits: Splits) -> tuple[Finding, ...]:
    """Leaks across splits, conflicting labels, duplicates, rare and mistyped labels, and mark-up in a sample.

    The hashes of the texts, which `fit` computes anyway, are compared; no text is read but a few hundred. Findings of
    kind ``leak`` are errors, and mean equal texts.

    Args:
        splits: What `load_splits` read.
    """
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    corpus = Corpus({name: part for name, part in parts.items() if part is not None})
    findings = [*repeat_findings(corpus, find_repeats(corpus)), *label_findings(corpus), *_markup(corpus)]
    return in_order(findings)


def _markup(corpus: Corpus) -> list[Finding]:
    """Mark-up in the training texts, estimated."""
    train = int(corpus.starts[1])
    looked_at = np.unique(np.linspace(0, train - 1, min(LOOKED_AT, train)).astype(np.int64))
    texts = corpus.texts_at(looked_at)
    rows = looked_at[[i for i, text in enumerate(texts) if MARKUP.is_so(text)]]
    if len(rows) < MUCH * len(looked_at):
        return []
    seen = f"{len(rows)} of {len(looked_at)} {SPLIT_WORDS[corpus.names[0]]} rows that were looked at"
    message = f"{MARKUP.title}: {seen}. {MARKUP.advice}"
    estimate = round(len(rows) / len(looked_at) * train)
    return [Finding(MARKUP.kind, MARKUP.severity, estimate, message, corpus.places(rows), (corpus.names[0],))]
