"""`label_error_section`: likely label errors as a part of an HTML page."""

from __future__ import annotations

from tf_finetune.noise.label_errors import LabelErrors
from tf_finetune.pages.page import escaped, row, section, table

__all__ = ["label_error_section"]

SHOWN = 100
TEXT_LETTERS = 240


def label_error_section(found: LabelErrors) -> str:
    """A section with the first rows, as HTML."""
    lead = (
        f"<p>{escaped(found.line)} The most likely ones come first. The models may be wrong, too: look at a row before "
        "you change it.</p>" + ("" if found.caution is None else f"<p><strong>{escaped(found.caution)}</strong></p>")
    )
    if not found.errors:
        return section("Labels that are likely wrong", lead)
    rows = [
        row(
            (
                f"<td>{escaped(error.place).replace('/', '/<wbr>')}</td>",
                f"<td>{escaped(error.label)}</td>",
                f"<td>{escaped(error.suggested)}</td>",
                f'<td class="number">{error.probability:.3f}</td>',
                f'<td class="reason" style="min-width: 12rem">{escaped(error.excerpt(TEXT_LETTERS))}</td>',
            )
        )
        for error in found.errors[:SHOWN]
    ]
    heads = [f"<th>{name}</th>" for name in ("row", "label", "likely label")]
    heads += ['<th class="number">probability</th>', "<th>text</th>"]
    more = f'<p class="faint">{SHOWN} of {len(found.errors):,}.</p>' if len(found.errors) > SHOWN else ""
    return section("Labels that are likely wrong", lead, table(heads, rows, classes="sortable"), more)
