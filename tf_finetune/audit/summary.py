"""`format_audit`: an audit as text for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from tf_finetune.audit.audit import Audit
from tf_finetune.audit.corpus import SPLIT_WORDS, cut_text, shown_share
from tf_finetune.audit.finding import Finding, Place
from tf_finetune.pages.words import printable, shorten

__all__ = ["format_audit", "format_place"]

WIDTH = 100
EXAMPLES = 3
CLASSES = 20
TEXT_LETTERS = 60
NAME_LETTERS = 28


def format_audit(audit: Audit) -> str:
    """Rows and classes, lengths, and what was found with a few examples; no line of it can move the cursor."""
    blocks = [_classes(audit)]
    if audit.lengths is not None:
        percentiles = ", ".join(f"{p}%: {n}" for p, n in audit.lengths.percentiles.items())
        blocks.append([f"tokens a training text (percentiles): {percentiles}"])
        if all(finding.message != audit.lengths.advice for finding in audit.findings):
            blocks[-1] += _wrapped(audit.lengths.advice)
    blocks += [_finding(finding) for finding in audit.findings]
    if not audit.findings:
        blocks.append(["Nothing was found that is wrong."])
    blocks += [
        [f"{name} training texts", *(f"  {format_place(place)}" for place in places[:EXAMPLES])]
        for name, places in (("shortest", audit.shortest), ("longest", audit.longest))
    ]
    if audit.notes:
        blocks.append([line for note in audit.notes for line in _wrapped(note)])
    return "\n\n".join("\n".join(block) for block in blocks)


def format_place(place: Place) -> str:
    """A row on one line: where it is, its label, what it is like, and how its text begins."""
    degree = "" if place.similarity is None else f" ({place.similarity:.2f})"
    other = "" if place.other is None else f" = {place.other}{degree}"
    label = "" if place.label is None else f"  [{place.label}]"
    text = f"  {cut_text(' '.join(place.text.split()), TEXT_LETTERS)}" if place.text else ""
    return " ".join(printable(f"{place.where}{other}{label}{text}").split("\n"))


def _classes(audit: Audit) -> list[str]:
    """A table of rows: a line for each class, a column for each split."""
    splits = list(audit.rows)
    counts = audit.classes[splits[0]]
    shown = sorted(counts, key=lambda name: -counts[name])[:CLASSES]
    rows = [["class", *(SPLIT_WORDS[split] for split in splits)]]
    for name in shown:
        cells = [f"{audit.classes[s][name]:,} ({shown_share(audit.classes[s][name], audit.rows[s])})" for s in splits]
        rows.append([shorten(printable(name).replace("\n", " "), NAME_LETTERS), *cells])
    if len(counts) > CLASSES:
        rest = [sum(audit.classes[s].values()) - sum(audit.classes[s][name] for name in shown) for s in splits]
        rows.append([f"{len(counts) - CLASSES} more", *(f"{number:,}" for number in rest)])
    rows.append(["all", *(f"{audit.rows[split]:,}" for split in splits)])
    return _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]


def _finding(finding: Finding) -> list[str]:
    lines = _wrapped(f"{finding.severity}: {printable(finding.message)}")
    lines += [f"  {format_place(place)}" for place in finding.rows[:EXAMPLES]]
    more = min(finding.count, len(finding.rows)) - EXAMPLES
    return [*lines, "  ..."] if more > 0 else lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False)
