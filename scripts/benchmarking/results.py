"""Ratios with their spread, tables, bars and lines."""

import html
import math
import statistics


def spread(values):
    """Median and range, rounded to what the noise leaves."""
    found = {"median": statistics.median(values), "low": min(values), "high": max(values)}
    return {key: float(f"{value:.4g}") for key, value in found.items()}


def ratios(answers, others, kind="cpu"):
    """Spread of the ratios of two workers' seconds, round by round: above 1 is less time than the others'."""
    return spread([other[kind] / own[kind] for own, other in zip(answers, others)])


def show(found, digits=2):
    """A spread as text: the median, and the range in brackets."""
    return f"{found['median']:.{digits}f} ({found['low']:.{digits}f} to {found['high']:.{digits}f})"


def print_table(title, header, rows):
    """A Markdown table."""
    cells = [header, *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in cells]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    print("\n".join([f"\n{title}\n", lines[0], rule, *lines[1:]]), flush=True)


def bar_chart(title, unit, groups):
    """Horizontal bars with their ranges, as SVG text.

    Args:
        title: What is compared.
        unit: Of the values.
        groups: Group name to {bar name: spread}.
    """
    left, width, step = 220, 480, 22
    names = list(dict.fromkeys(name for bars in groups.values() for name in bars))
    top = max(value["high"] for bars in groups.values() for value in bars.values())
    parts, y = [f'<text x="10" y="22" font-size="15">{html.escape(title)}</text>'], 48
    for group, bars in groups.items():
        parts.append(f'<text x="10" y="{y}" font-weight="bold">{html.escape(group)}</text>')
        for name, value in bars.items():
            y += step
            low, middle, high = (left + width * value[key] / top for key in ("low", "median", "high"))
            hue = 360 * names.index(name) // len(names)
            parts += [
                f'<text x="{left - 8}" y="{y}" text-anchor="end">{html.escape(name)}</text>',
                f'<rect x="{left}" y="{y - 12}" width="{middle - left:.1f}" height="15" fill="hsl({hue},45%,60%)"/>',
                f'<path d="M{low:.1f} {y - 4}H{high:.1f}" stroke="black"/>',
                f'<text x="{max(middle, high) + 6:.1f}" y="{y}">{value["median"]:.3g}</text>',
            ]
        y += step + 12
    parts.append(f'<text x="{left}" y="{y}">{html.escape(unit)}; bars are medians, lines the range</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 80}" height="{y + 20}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


THEMES = """
.ground { fill: #ffffff } text { fill: #24292f } .grid { stroke: #d8dee4 } .line { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) { .ground { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d } }
"""
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf")
"""Of Tableau, which can be told apart on white and on black."""


def line_chart(title, x_title, panels):
    """Lines over two logarithmic axes, one panel below the other, in light and dark colours, as SVG text.

    Args:
        title: What is shown.
        x_title: What the horizontal axis counts.
        panels: Title with unit to {line name: {x: y}}; all numbers above 0.
    """
    left, right, width, height, top = 80, 230, 460, 240, 84
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}
    xs = sorted({x for lines in panels.values() for line in lines.values() for x in line})
    first, decades = math.log10(xs[0]), max(math.log10(xs[-1] / xs[0]), 0.1)

    def across(x):
        return left + width * (math.log10(x) - first) / decades

    parts = [f'<text x="16" y="28" font-size="16" font-weight="bold">{html.escape(title)}</text>']
    for name, lines in panels.items():
        parts += [f'<text x="16" y="{top - 20}" font-weight="bold">{html.escape(name)}</text>']
        parts += [f'<path class="grid" d="M{across(x):.1f} {top}v{height}"/>' for x in xs]
        parts += [f'<text x="{across(x):.1f}" y="{top + height + 18}" text-anchor="middle">{x:,}</text>' for x in xs]
        parts += _log_lines(lines, colours, across, left=left, width=width, top=top, height=height)
        parts.append(f'<text x="{left + width + 44}" y="{top + height + 18}">{html.escape(x_title)}</text>')
        top += height + 76
    return _svg(parts, left + width + right, top - 40)


def _log_lines(lines, colours, across, *, left, width, top, height):
    """Grid, lines and their names in one panel, whose vertical axis has whole decades."""
    values = [y for line in lines.values() for y in line.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)

    def down(y):
        return top + height * (high - math.log10(y)) / (high - low)

    parts = []
    for power in range(low, high + 1):
        y = down(10.0**power)
        parts += [
            f'<path class="grid" d="M{left} {y:.1f}h{width}"/>',
            f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:,.{max(-power, 0)}f}</text>',
        ]
    return parts + _named_lines(lines, colours, across, down, right=left + width)


def _named_lines(lines, colours, across, down, *, right):
    """Lines with a dot for each value, and their names at their right ends."""
    parts, label = [], math.inf
    ends = {name: down(line[max(line)]) for name, line in lines.items()}
    for name in sorted(lines, key=ends.get, reverse=True):  # from below, so that names keep apart
        colour = colours[name]
        points = [(across(x), down(y)) for x, y in sorted(lines[name].items())]
        label = min(ends[name] + 4, label - 16)
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path class="line" stroke="{colour}" d="M{path}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
        parts += [
            f'<circle cx="{right + 16}" cy="{label - 4:.1f}" r="4" fill="{colour}"/>',
            f'<text x="{right + 26}" y="{label:.1f}">{html.escape(name)}</text>',
        ]
    return parts


def linear_chart(title, x_title, y_title, lines):
    """Lines over two linear axes, the vertical one from 0, in light and dark colours, as SVG text.

    Args:
        title: What is shown.
        x_title: What the horizontal axis counts.
        y_title: What the vertical axis shows, with its unit.
        lines: Line name to {x: y}.
    """
    left, right, width, height, top = 80, 330, 460, 280, 84
    colours = dict(zip(lines, COLOURS))
    xs = sorted({x for line in lines.values() for x in line})
    highest = max(y for line in lines.values() for y in line.values())
    step = 10 ** math.floor(math.log10(highest))
    step = next(part for part in (step / 5, step / 2, step, 2 * step) if highest / part <= 8)
    steps = math.ceil(highest / step)

    def across(x):
        return left + width * (x - xs[0]) / max(xs[-1] - xs[0], 1)

    def down(y):
        return top + height * (1 - y / (steps * step))

    parts = [
        f'<text x="16" y="28" font-size="16" font-weight="bold">{html.escape(title)}</text>',
        f'<text x="16" y="{top - 20}" font-weight="bold">{html.escape(y_title)}</text>',
        f'<text x="{left + width + 44}" y="{top + height + 18}">{html.escape(x_title)}</text>',
    ]
    for number in range(steps + 1):
        y = down(number * step)
        parts += [
            f'<path class="grid" d="M{left} {y:.1f}h{width}"/>',
            f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{number * step:,g}</text>',
        ]
    for x in (x for x in xs if x == xs[0] or x % max(1, len(xs) // 4) == 0):
        parts.append(f'<text x="{across(x):.1f}" y="{top + height + 18}" text-anchor="middle">{x:,}</text>')
    parts += _named_lines(lines, colours, across, down, right=left + width)
    return _svg(parts, left + width + right, top + height + 36)


def _svg(parts, width, height):
    """A whole picture."""
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="13">\n'
        f'<style>{THEMES}</style>\n<rect class="ground" width="100%" height="100%"/>\n{body}\n</svg>\n'
    )
