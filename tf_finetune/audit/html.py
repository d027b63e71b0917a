"""`audit_sections`: an audit as HTML, by itself or within another page."""

from __future__ import annotations

from collections.abc import Sequence

from tf_finetune.audit.audit import Audit
from tf_finetune.audit.corpus import SPLIT_WORDS, cut_text, shown_share
from tf_finetune.audit.finding import ERROR, SEVERITIES, WARNING, Finding, Place
from tf_finetune.audit.lengths import TokenLengths
from tf_finetune.audit.plot import plot_lengths
from tf_finetune.pages.page import escaped, row, section, table

__all__ = ["audit_sections", "detail_sections", "overview"]

EXAMPLES = 20
"""Rows of a finding that are shown; JSON has more."""

TEXT_LETTERS = 240
ROOM = 'style="min-width: 9.5rem"'
"""On a phone, a table scrolls rather than squeezes its text."""

CLASSES = 200

HEADINGS = {
    "leak": "Texts in two splits",
    "near_leak": "Near duplicates in two splits",
    "conflicting_labels": "One text, several labels",
    "duplicates": "Duplicates",
    "near_duplicates": "Near duplicates",
    "without_words": "Without words",
    "unknown_label": "Labels that the training data lacks",
    "class_not_scored": "Classes that are not scored",
    "typo_labels": "Labels one typo apart",
    "rare_labels": "Rare classes",
    "unbalanced": "Balance",
    "markup": "Mark-up",
    "mojibake": "Wrong encoding",
    "windows_characters": "Wrong encoding",
    "replacement_characters": "Lost characters",
    "control_characters": "Control characters",
    "byte_order_marks": "Byte order marks",
    "not_nfc": "Unicode normalization",
    "truncated": "Texts that are cut",
    "short_texts": "Length",
    "empty_text": "Empty texts",
    "empty_second_sentence": "Empty second sentences",
    "no_label": "Rows without a label",
}


def audit_sections(audit: Audit) -> list[str]:
    """The sections of the page, as HTML, for pages that have others too."""
    return [section("What was found", overview(audit)), *detail_sections(audit)]


def overview(audit: Audit) -> str:
    """What was found in short: a verdict, and a line for each finding."""
    return _lead(audit) + _overview(audit.findings)


def detail_sections(audit: Audit) -> list[str]:
    """Classes, lengths, the rows of each finding, and the shortest and longest texts."""
    sections = [_classes(audit)]
    if audit.lengths is not None:
        sections.append(_lengths(audit.lengths))
    sections += [_finding(finding) for finding in audit.findings if finding.rows]
    sections.append(
        section(
            "Shortest and longest training texts",
            "<p>By characters.</p>",
            _places(audit.shortest),
            _places(audit.longest),
        )
    )
    return sections


def _lead(audit: Audit) -> str:
    rows = ", ".join(f"{number:,} {SPLIT_WORDS[split]} rows" for split, number in audit.rows.items())
    counts = {severity: sum(one.severity == severity for one in audit.findings) for severity in (ERROR, WARNING)}
    found = ", ".join(f"{number} {name}{'' if number == 1 else 's'}" for name, number in counts.items() if number)
    verdict = f"<strong>{found}</strong>." if found else "<strong>Nothing that is likely to harm.</strong>"
    notes = "".join(f'<p class="faint">{escaped(note)}</p>' for note in audit.notes)
    classes = len(next(iter(audit.classes.values())))
    return f'<p class="lead">{rows}, {classes} classes: {verdict}</p>{notes}'


def _overview(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    rows = [
        row(
            [
                _severity(finding),
                f"<td>{escaped(_heading(finding))}</td>",
                f'<td class="reason" {ROOM}>{escaped(finding.message)}</td>',
            ]
        )
        for finding in findings
    ]
    heads = ["<th>severity</th>", "<th>finding</th>", "<th>what and what to do</th>"]
    return table(heads, rows, classes="sortable")


def _severity(finding: Finding) -> str:
    colour = ' style="color: var(--vermilion); font-weight: 600"' if finding.severity == ERROR else ""
    return f'<td data-sort="{SEVERITIES.index(finding.severity)}"{colour}>{escaped(finding.severity)}</td>'


def _classes(audit: Audit) -> str:
    splits = list(audit.rows)
    first = audit.classes[splits[0]]
    most = max(first.values()) or 1
    rows = []
    for name in sorted(first, key=lambda one: -first[one])[:CLASSES]:
        numbers = [(audit.classes[split][name], audit.rows[split]) for split in splits]
        cells = [f'<td class="number" data-sort="{n}">{n:,} ({shown_share(n, of)})</td>' for n, of in numbers]
        bar = f'<td class="bar" data-sort="{first[name]}"><i style="width: {100 * first[name] / most:.1f}%"></i></td>'
        rows.append(row([f"<th>{escaped(name)}</th>", *cells, bar]))
    heads = ["<th>class</th>", *(f'<th class="number">{SPLIT_WORDS[split]}</th>' for split in splits)]
    heads.append(f"<th>{SPLIT_WORDS[splits[0]]}</th>")
    more = len(first) - CLASSES
    rest = f'<p class="faint">and {more} smaller classes.</p>' if more > 0 else ""
    return section("Classes", table(heads, rows, classes="sortable"), rest)


def _lengths(lengths: TokenLengths) -> str:
    """Histogram, percentiles, and what each length would cut."""
    heads = [f'<th class="number">{p}%</th>' for p in lengths.percentiles]
    percentiles = table(heads, [row(f'<td class="number">{n:,}</td>' for n in lengths.percentiles.values())])
    rows = []
    for choice in sorted({*lengths.choices, lengths.current}, key=lambda one: one.max_length):
        marks = ["chosen"] * (choice == lengths.current) + ["suggested"] * (choice == lengths.suggestion)
        cells = [
            f'<th class="number">{choice.max_length}</th>',
            f'<td class="number">{choice.truncated:.1%}</td>',
            f'<td class="number">{choice.lost:.1%}</td>',
            f'<td class="number">{choice.tokens / lengths.current.tokens:.2f}</td>',
            f"<td>{', '.join(marks)}</td>",
        ]
        rows.append(row(cells, classes="best" if choice == lengths.suggestion else ""))
    names = ("--max-length", "texts cut", "tokens cut", "tokens to compute")
    heads = [*(f'<th class="number">{name}</th>' for name in names), "<th></th>"]
    return section(
        "Lengths in tokens",
        f"<p>{escaped(lengths.advice)}</p>",
        f'<figure><div class="wide">{plot_lengths(lengths)}</div>'
        f"<figcaption>Training texts by tokens, as the tokenizer of {escaped(lengths.model)} counts them, special "
        "tokens included.</figcaption></figure>",
        f"<p>Percentiles:</p>{percentiles}",
        table(heads, rows),
        '<p class="faint">Tokens to compute: times those of the chosen length, in an epoch without padding.</p>',
    )


def _finding(finding: Finding) -> str:
    shown = min(EXAMPLES, len(finding.rows))
    more = f'<p class="faint">{shown} of {finding.count:,}.</p>' if finding.count > shown else ""
    return section(_heading(finding), f"<p>{escaped(finding.message)}</p>", _places(finding.rows[:shown]), more)


def _places(places: Sequence[Place]) -> str:
    """A table of rows; columns that all of them lack are left out."""
    has = {name: any(getattr(place, name) is not None for place in places) for name in ("label", "other", "similarity")}
    has["text"] = any(place.text for place in places)
    heads = [("row", True), ("like", has["other"]), ("similarity", has["similarity"])]
    heads += [("label", has["label"]), ("text", has["text"])]
    rows = []
    for place in places:
        similarity = "" if place.similarity is None else f"{place.similarity:.2f}"
        cells = [
            f"<td>{_file(place.where)}</td>",
            f"<td>{_file(place.other or '')}</td>",
            f'<td class="number">{similarity}</td>',
            f"<td>{escaped(place.label or '')}</td>",
            f'<td class="reason" {ROOM}>{escaped(cut_text(place.text, TEXT_LETTERS))}</td>',
        ]
        rows.append(row(cell for cell, (_, is_there) in zip(cells, heads, strict=True) if is_there))
    return table([f"<th>{name}</th>" for name, is_there in heads if is_there], rows)


def _file(where: str) -> str:
    """A file and row that may break after slashes."""
    return escaped(where).replace("/", "/<wbr>")


def _heading(finding: Finding) -> str:
    """Of a section and of a line of the overview, with the splits where that tells more."""
    name = HEADINGS.get(finding.kind, finding.kind.replace("_", " ").capitalize())
    return f"{name} ({', '.join(SPLIT_WORDS[split] for split in finding.splits)})" if finding.splits else name
