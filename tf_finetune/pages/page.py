"""One HTML page that needs no other file: light or dark as the reader's system, for the screen and for paper."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from typing import Any

from tf_finetune.pages.words import exact_text

__all__ = ["escaped", "page", "row", "section", "table"]

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1e22; --faint: #5b636d; --line: #d5d9de; --wash: #f2f5f7;
  --link: #0f6aa5; --blue: #1a80c0; --green: #009e73; --vermilion: #d55e00; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #15181c; --ink: #e4e7ea; --faint: #9aa3ad; --line: #363c44; --wash: #1e2329; --link: #62b2e6; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 80rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
p { max-width: 46rem; margin: .5rem 0; }
.lead { font-size: 1.15rem; }
.faint, figcaption { color: var(--faint); font-size: .9rem; }
td .faint, th .faint { font-size: inherit; }
.wide { overflow-x: auto; }
figure { margin: 0 0 1.2rem; }
svg { display: block; height: auto; }
svg text { font-family: inherit !important; }
@supports (paint-order: stroke) { svg text { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; } }
table { border-collapse: collapse; margin-bottom: 1rem; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: 600; }
thead th { border-bottom: 2px solid var(--line); vertical-align: bottom; }
.number { text-align: right; white-space: nowrap; }
.changed { font-weight: 600; }
.best > * { background: var(--wash); }
.best > :first-child { box-shadow: inset 4px 0 var(--green); }
.reason { max-width: 46rem; white-space: pre-line; overflow-wrap: anywhere; }
.failed > :nth-child(2) { color: var(--vermilion); font-weight: 600; }
.bar { min-width: 16rem; }
.bar i { display: block; height: .9rem; margin-top: .3rem; background: var(--blue); print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
.panels { display: flex; flex-wrap: wrap; gap: 0 1.5rem; align-items: flex-start; }
.panels svg { max-width: 100%; }
.panels > * { min-width: 0; max-width: 100%; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; padding: 0; margin: .8rem 0 0; }
a { color: var(--link); text-underline-offset: .15em; }
.points { max-width: 46rem; padding-left: 1.2rem; }
.points li { margin: .35rem 0; }
.card { max-width: 52rem; margin: 0 0 1.3rem; padding: .2rem 0 .2rem .9rem; border-left: 3px solid var(--line); }
.card p { max-width: none; }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--link); }
.swatch { display: inline-block; width: 1.4em; height: .28em; vertical-align: middle; print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer;
  text-align: inherit; }
th button::after { content: "\\00a0\\2195"; color: var(--faint); }
th[aria-sort=ascending] button::after { content: "\\00a0\\2191"; color: inherit; }
th[aria-sort=descending] button::after { content: "\\00a0\\2193"; color: inherit; }
@media (max-width: 30rem) {
  body { padding: 1.5rem 1rem 3rem; }
  th, td { padding: .3rem .4rem; }
}
@media print {
  :root { --paper: #fff; --ink: #000; --faint: #444; --line: #bbb; --wash: #eee; }
  @page { margin: 12mm; }
  body { padding: 0; max-width: none; font-size: 10pt; }
  h2 { break-after: avoid; }
  figure, tr, .card { break-inside: avoid; }
  nav { display: none; }
  a { color: inherit; text-decoration: none; }
  .wide { overflow: visible; }
  svg { max-width: 100%; max-height: 24cm; }
  .sortable { font-size: 6.5pt; }
  .sortable th, .sortable td { padding: .15rem .25rem; }
  .sortable.narrow { font-size: 9pt; }
  th button::after { content: "" !important; }
}
"""

SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
      const order = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const way = x - y || x.localeCompare(y, "en", {numeric: true});
        return down ? -way : way;
      };
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort(order));
    });
  });
}
"""


def escaped(value: Any) -> str:
    """A value as text within HTML, whoever wrote it."""
    return html.escape(exact_text(value))


def section(heading: str, *parts: str, anchor: str = "") -> str:
    """A heading and the HTML below it; links within the page lead to its anchor."""
    start = f'<section id="{anchor}">' if anchor else "<section>"
    return "\n".join((f"{start}<h2>{escaped(heading)}</h2>", *parts, "</section>"))


def row(cells: Iterable[str], *, classes: str = "") -> str:
    """A row of a table of whole cells."""
    start = f'<tr class="{classes}">' if classes else "<tr>"
    return f"{start}{''.join(cells)}</tr>"


def table(heads: Sequence[str], rows: Sequence[str], *, classes: str = "") -> str:
    """A table that scrolls where it is too wide.

    Args:
        heads: Whole cells of the head.
        rows: From `row`.
        classes: ``sortable``, if a click on a head is to sort it; ``narrow``, if it fits on paper in usual letters.
    """
    start = f'<div class="wide"><table class="{classes}">' if classes else '<div class="wide"><table>'
    return "\n".join((f"{start}<thead>{row(heads)}</thead>", "<tbody>", *rows, "</tbody></table></div>"))


def page(title: str, sections: Sequence[str]) -> str:
    """The whole page.

    Its security policy lets it load nothing, and run its own script alone.

    Args:
        title: As text.
        sections: As HTML.
    """
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    head = (
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escaped(title)}</title>",
        f"<style>{STYLE}</style>",
    )
    body = (f"<h1>{escaped(title)}</h1>", *sections, f"<script>{SCRIPT}</script>")
    lines = ("<!DOCTYPE html>", '<html lang="en">', "<head>", *head, "</head>", "<body>", *body, "</body>", "</html>")
    return "\n".join(lines) + "\n"
