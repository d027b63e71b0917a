"""Scores as an aligned table for the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from tf_finetune.evaluation.metrics import Scores

__all__ = ["display_names", "format_scores"]

NAME_WIDTH = 28
MATRIX_WIDTH = 100
MATRIX_CLASSES = 12
CONFUSED_PAIRS = 10
JOINERS = "\u200c\u200d"


def format_scores(scores: Scores, *, title: str = "") -> str:
    """Lays scores out as plain text without a trailing newline: headline, per-class table, confusion matrix.

    Columns are aligned by display width (East Asian names take two cells a character). Control characters in names
    are shown escaped, so that a label cannot write to the terminal. Beyond 12 classes, the most confused pairs of
    classes take the place of the matrix.
    """
    names = display_names(scores.label_names)
    confusion = _matrix(scores, names) if len(names) <= MATRIX_CLASSES else _confused_pairs(scores, names)
    blocks = [_headline(scores), _class_table(scores, names), confusion]
    if title:
        blocks.insert(0, [_escape(title)])
    return "\n\n".join("\n".join(block) for block in blocks)


def _headline(scores: Scores) -> list[str]:
    auroc = f"- ({_escape(scores.auroc_reason or 'unknown')})" if scores.auroc is None else f"{scores.auroc:.4f}"
    return [
        f"rows      {scores.rows}",
        f"accuracy  {scores.accuracy:.4f}",
        f"macro F1  {scores.macro_f1:.4f}",
        f"AUROC     {auroc}",
        f"log loss  {scores.log_loss:.4f}",
    ]


def _class_table(scores: Scores, names: Sequence[str]) -> list[str]:
    rows = [["class", "precision", "recall", "F1", "rows"]]
    for name, one in zip(names, scores.classes, strict=True):
        rows.append([name, f"{one.precision:.4f}", f"{one.recall:.4f}", f"{one.f1:.4f}", str(one.support)])
    return _align(rows)


def _matrix(scores: Scores, names: Sequence[str]) -> list[str]:
    """True classes down, predicted ones across; numbered where the names would make it too wide."""
    corner = "true \\ predicted"
    lines = _align(
        [[corner, *names], *([name, *map(str, row)] for name, row in zip(names, scores.confusion, strict=True))]
    )
    if _width(lines[0]) <= MATRIX_WIDTH:
        return lines
    numbers = [str(i + 1) for i in range(len(names))]
    down = [f"{i + 1} {name}" for i, name in enumerate(names)]
    return _align(
        [[corner, *numbers], *([name, *map(str, row)] for name, row in zip(down, scores.confusion, strict=True))]
    )


def _confused_pairs(scores: Scores, names: Sequence[str]) -> list[str]:
    pairs = [
        (rows, true, predicted)
        for true, counts in enumerate(scores.confusion)
        for predicted, rows in enumerate(counts)
        if true != predicted and rows
    ]
    if not pairs:
        return ["No class was taken for another."]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    table = [["most confused: true", "predicted", "rows", "of the class"]]
    for rows, true, predicted in pairs[:CONFUSED_PAIRS]:
        share = f"{rows / scores.classes[true].support:.1%}"
        table.append([names[true], names[predicted], str(rows), share])
    return _align(table, left=2)


def _align(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Pads cells to the width of their column, the first `left` columns to the left and the others to the right."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        gaps = [" " * (width - _width(cell)) for width, cell in zip(widths, row, strict=True)]
        cells = [cell + gap if i < left else gap + cell for i, (cell, gap) in enumerate(zip(row, gaps, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines


def display_names(label_names: Sequence[str]) -> list[str]:
    """Names for the terminal: escaped and shortened names; numbered where shortening made two of them alike."""
    names = [_shorten(_escape(name)) for name in label_names]
    if len(set(names)) == len(names):
        return names
    return [f"{name} #{i + 1}" if names.count(name) > 1 else name for i, name in enumerate(names)]


def _escape(text: str) -> str:
    r"""Shows what would move the cursor, switch colours or turn the direction of writing, as in ``\x1b``."""
    return "".join(c.encode("unicode_escape").decode("ascii") if _is_unsafe(c) else c for c in text)


def _is_unsafe(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in JOINERS


def _cells(char: str) -> int:
    """Terminal cells of one character."""
    if unicodedata.category(char) in ("Mn", "Me") or char in JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def _width(text: str) -> int:
    return sum(map(_cells, text))


def _shorten(name: str) -> str:
    """Cuts the middle out of a name wider than `NAME_WIDTH` cells: long names tend to differ at their ends."""
    if _width(name) <= NAME_WIDTH:
        return name
    half = (NAME_WIDTH - 1) // 2
    return _take(name, half) + "…" + _take(name[::-1], half)[::-1]


def _take(text: str, cells: int) -> str:
    """The longest start of `text` that fits into `cells`."""
    used = 0
    for i, char in enumerate(text):
        used += _cells(char)
        if used > cells:
            return text[:i]
    return text
