"""Charts as inline SVG: bars, columns and a funnel. Plain functions of numbers to text, so equal numbers give equal
bytes.

Colours and fonts are classes of the page's style sheet, so a chart follows light, dark and print. Each chart has a
title for screen readers, and its numbers as a table beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, LABEL, VALUE = 720, 196, 92  # of the drawing; of the column of labels; of the column of values
ROW, BAR = 24, 15
PLOT = WIDTH - LABEL - VALUE


@dataclass(frozen=True)
class Chart:
    """`svg` is safe markup; `head` and `rows` are the same numbers as a table."""

    title: str
    svg: str
    head: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def bars(title: str, head: tuple[str, str], rows: Sequence[tuple[str, int]], *, most: int = 20) -> Chart:
    """One horizontal bar a row, longest label cut, at most `most` bars and the rest summed."""
    shown = list(rows[:most])
    if len(rows) > most:
        shown.append((f"{len(rows) - most} others", sum(value for _, value in rows[most:])))
    top = max((value for _, value in shown), default=0) or 1
    marks = []
    for i, (label, value) in enumerate(shown):
        y = i * ROW
        marks += [
            _label(y, label),
            _rect("bar", LABEL, y, PLOT * value / top),
            _value(y, PLOT * value / top, number(value)),
        ]
    return Chart(title, _svg(title, len(shown) * ROW, marks), head, tuple(rows))


def funnel(title: str, entries: Sequence[dict[str, Any]]) -> Chart:
    """Rows out per step, and beside them in a light colour the rows left out there. Entries are those of the ledger.

    Rows that are joined (messages to conversations, texts to sequences) are not left out: the step just has fewer.
    """
    top = max((e["out"] + e["in"] - e["kept"] for e in entries), default=0) or 1
    marks = []
    for i, e in enumerate(entries):
        y, out = i * ROW, PLOT * e["out"] / top
        whole = PLOT * (e["out"] + e["in"] - e["kept"]) / top
        marks += [_label(y, e["step"]), _rect("lost", LABEL, y, whole), _rect("bar", LABEL, y, out)]
        marks.append(_value(y, whole, number(e["out"])))
    rows = tuple((e["step"], e["in"], e["out"], sum(e["dropped"].values()), e["quarantined"]) for e in entries)
    return Chart(title, _svg(title, len(entries) * ROW, marks), ("step", "in", "out", "dropped", "quarantined"), rows)


def columns(title: str, head: tuple[str, str], rows: Sequence[tuple[str, int]]) -> Chart:
    """One upright column a bin, its lower bound below it and its count above."""
    height, base, left = 170, 150, 8
    top = max((value for _, value in rows), default=0) or 1
    step = min(72.0, (WIDTH - 2 * left) / max(1, len(rows)))
    marks = [f'<line class="axis" x1="{left}" y1="{base}" x2="{WIDTH - left}" y2="{base}"/>']
    every = max(1, -(-len(rows) // 14))  # labels would touch otherwise
    for i, (label, value) in enumerate(rows):
        x, tall = left + i * step, (base - 20) * value / top
        place = f'x="{x + step * 0.08:.1f}" y="{base - tall:.1f}" width="{step * 0.84:.1f}" height="{tall:.1f}"'
        marks.append(f'<rect class="bar" {place}/>')
        if value and len(rows) <= 24:
            marks.append(_centred(x + step / 2, base - tall - 5, short(value)))
        if i % every == 0:
            marks.append(_centred(x + step / 2, base + 15, label))
    return Chart(title, _svg(title, height, marks), head, tuple(rows))


def shares(title: str, head: tuple[str, str], rows: Sequence[tuple[str, int]]) -> Chart:
    """One bar cut into shares, up to five, with a legend below."""
    total = sum(value for _, value in rows) or 1
    marks, x = [], 0.0
    for i, (_, value) in enumerate(rows):
        wide = WIDTH * value / total
        marks.append(f'<rect class="share{i % 5}" x="{x:.1f}" y="0" width="{wide:.1f}" height="22"/>')
        x += wide
    for i, (name, value) in enumerate(rows):
        at = i * WIDTH / max(1, len(rows))
        marks.append(f'<rect class="share{i % 5}" x="{at:.1f}" y="33" width="11" height="11"/>')
        marks.append(f'<text x="{at + 17:.1f}" y="43">{escape(name)} {number(value)} ({percent(value / total)})</text>')
    return Chart(title, _svg(title, 50, marks), head, tuple(rows))


def _svg(title: str, height: int, marks: Sequence[str]) -> str:
    name = "chart-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    body = "\n".join(marks)
    return (
        f'<svg viewBox="0 0 {WIDTH} {max(height, ROW)}" role="img" aria-labelledby="{name}">\n'
        f'<title id="{name}">{escape(title)}</title>\n{body}\n</svg>'
    )


def _centred(x: float, y: float, text: str) -> str:
    return f'<text class="small" text-anchor="middle" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _label(y: int, text: str) -> str:
    short_text = text if len(text) <= 25 else text[:24] + "…"
    return f'<text text-anchor="end" x="{LABEL - 9}" y="{y + 16}">{escape(short_text)}</text>'


def _rect(name: str, x: float, y: int, width: float) -> str:
    return f'<rect class="{name}" x="{x:.1f}" y="{y + 4}" width="{max(width, 0):.1f}" height="{BAR}" rx="1.5"/>'


def _value(y: int, width: float, text: str) -> str:
    return f'<text class="value" x="{LABEL + width + 7:.1f}" y="{y + 16}">{escape(text)}</text>'


def count(n: int, word: str) -> str:
    """1, "row" -> "1 row"; 2, "row" -> "2 rows"."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def number(value: int | float) -> str:
    """12345 -> "12,345"; 0.98765 -> "0.988"."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"


def short(value: int) -> str:
    """12345 -> "12k", 1234567 -> "1.2M"."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            scaled = value / size
            return f"{scaled:.1f}{unit}" if scaled < 10 else f"{scaled:.0f}{unit}"
    return str(value)


def percent(share: float) -> str:
    """0.1234 -> "12.3 %"; never rounds a little to nothing."""
    return "< 0.1 %" if 0 < share < 0.001 else f"{share * 100:.1f} %"


def size(value: int) -> str:
    """Bytes in decimal units: 1234567 -> "1.2 MB"."""
    return (
        f"{short(value).replace('k', ' k').replace('M', ' M').replace('G', ' G')}B" if value >= 1000 else f"{value} B"
    )
