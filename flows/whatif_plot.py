"""The answer of `whatif` as a picture: documents and tokens kept against the first threshold, a line for each
combination of the others. A file that needs nothing else: SVG, or HTML with the numbers as a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from dataforge.errors import ConfigError
from dataforge.flows.whatif import how_tokens

WIDTH, HEIGHT, LEFT, RIGHT, TOP, PANEL, GAP = 720, 520, 92, 20, 44, 180, 64
MOST_LINES = 5
STYLE = """svg{background:#fff;font:13px system-ui,"DejaVu Sans",sans-serif}text{fill:#1c2330}.soft{fill:#5b6676}
.axis{stroke:#dfe4ea;fill:none}.now{stroke:#b3261e;stroke-dasharray:4 3}.line{fill:none;stroke-width:2}
.s0{stroke:#2f6db3}.s1{stroke:#d98324}.s2{stroke:#4b9560}.s3{stroke:#8a63b0}.s4{stroke:#7a8594}"""
TABLE = """body{font:15px system-ui,sans-serif;max-width:860px;margin:32px auto;padding:0 20px}
td,th{padding:3px 12px;text-align:right}"""

Line = tuple[str, list[tuple[float, dict[str, Any]]]]  # what it stands for, (first threshold, kept) in rising order


def write_plot(document: dict[str, Any], path: Path) -> None:
    """Writes FILE.svg or FILE.html. Raises ConfigError for another suffix."""
    if path.suffix not in (".svg", ".html"):
        raise ConfigError("a plot is written as .svg or .html", key="--plot", hint="--plot whatif.svg")
    text = svg(document) if path.suffix == ".svg" else page(document)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def svg(document: dict[str, Any]) -> str:
    """Two panels, one above the other; the dashed line is the threshold of the config."""
    first, entry = next(iter(document["keys"].items()))
    lines = _lines(document)
    marks = [f"<text x='{LEFT}' y='22'>Kept by {escape(first)}</text>", *_legend(lines)]
    for number, measure in enumerate(("documents", "tokens")):
        marks += _panel(lines, measure, TOP + number * (PANEL + GAP), entry["now"])
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='Kept by "
        f"{escape(first)}'>\n<style>{STYLE}</style>\n" + "\n".join(marks) + "\n</svg>\n"
    )


def _lines(document: dict[str, Any]) -> list[Line]:
    """At most MOST_LINES, spread evenly over all there are."""
    found: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for row in document["settings"]:
        (_, value), *others = row["set"].items()
        found.setdefault(", ".join(f"{key}={v:g}" for key, v in others), []).append((value, row))
    lines = [(name, sorted(points, key=lambda point: point[0])) for name, points in found.items()]
    if len(lines) <= MOST_LINES:
        return lines
    return [lines[round(i * (len(lines) - 1) / (MOST_LINES - 1))] for i in range(MOST_LINES)]


def _panel(lines: Sequence[Line], measure: str, top: int, now: float) -> list[str]:
    xs = [value for _, points in lines for value, _ in points]
    low, high = min(xs), max(xs)
    most = max([row[measure] for _, points in lines for _, row in points] + [1])

    def place(value: float, amount: float) -> tuple[float, float]:
        share = (value - low) / (high - low) if high > low else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT), top + PANEL * (1 - amount / most)

    marks = [f"<path class='axis' d='M{LEFT} {top}V{top + PANEL}H{WIDTH - RIGHT}'/>"]
    for amount in (0, most / 2, most):
        y = place(low, amount)[1]
        marks.append(f"<path class='axis' d='M{LEFT} {y:.1f}H{WIDTH - RIGHT}'/>")
        marks.append(f"<text class='soft' text-anchor='end' x='{LEFT - 8}' y='{y + 4:.1f}'>{amount:,.0f}</text>")
    for value in sorted({low, (low + high) / 2, high}):
        x = place(value, 0)[0]
        marks.append(f"<text class='soft' text-anchor='middle' x='{x:.1f}' y='{top + PANEL + 18}'>{value:g}</text>")
    if low <= now <= high:
        marks.append(f"<path class='now' d='M{place(now, 0)[0]:.1f} {top}V{top + PANEL}'/>")
    for number, (_, points) in enumerate(lines):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(value, row[measure]) for value, row in points))
        marks.append(f"<polyline class='line s{number}' points='{path}'/>")
    return [*marks, f"<text class='soft' x='{LEFT}' y='{top - 6}'>{measure}</text>"]


def _legend(lines: Sequence[Line]) -> list[str]:
    """One entry a line, where there is more than one."""
    marks = []
    room = (WIDTH - LEFT) // max(1, len(lines))
    for number, (name, _) in enumerate(lines if len(lines) > 1 else ()):
        x = LEFT + number * room
        marks.append(f"<path class='line s{number}' d='M{x} {HEIGHT - 12}h18'/>")
        marks.append(f"<text class='soft' x='{x + 24}' y='{HEIGHT - 8}'>{escape(_short(name, (room - 30) // 7))}</text>")
    return marks


def _short(name: str, characters: int) -> str:
    """The end of a name: keys begin alike."""
    return name if len(name) <= characters else f"…{name[-characters + 1 :]}"


def page(document: dict[str, Any]) -> str:
    keys = list(document["keys"])
    head = "".join(f"<th>{escape(name)}</th>" for name in (*keys, "documents", "tokens", "bytes of text", "dropped"))
    rows = []
    for row in document["settings"]:
        dropped = ", ".join(f"{reason} {count:,}" for reason, count in row["dropped"].items())
        cells = [f"{value:g}" for value in row["set"].values()]
        cells += [f"{row[name]:,}" for name in ("documents", "tokens", "text_bytes")] + [escape(dropped)]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    title = f"What if {escape(', '.join(keys))}"
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{title}</title><style>{TABLE}</style></head>\n"
        f"<body><h1>{title}</h1>\n{svg(document)}<p>{escape(how_tokens(document['tokens']))}</p>\n"
        f"<table><tr>{head}</tr>\n" + "\n".join(rows) + "\n</table></body></html>\n"
    )
