"""A page as its reader sees it: headings, words, tables."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "wbr", "path", "use", "br"}


class Reader(HTMLParser):
    """Collects the words, tags and tables of a page; refuses tags that do not nest."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.rows, self.pieces, self.headings = [], [], [], [], []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "h2":
            self.headings.append("")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "br":
            self.handle_data(" ")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style", "desc", "title"):
            self.pieces.append(data)
        if "h2" in self.open:
            self.headings[-1] += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    @property
    def words(self):
        return " ".join("".join(self.pieces).split())

    def row(self, start):
        """The first row of a table whose first cell is these words, or begins with them."""
        return next(row for row in self.rows if row and f"{row[0]} ".startswith(f"{start} "))


def read(path):
    return Reader(path.read_text(encoding="utf-8"))
