"""How long missing steps will take, by what each took in earlier runs of the store; none for what was never measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def estimate(todo: list[str], reports: Iterable[dict[str, Any]], input_bytes: int) -> dict[str, Any]:
    """`{"steps", "measured", "seconds", "peak_rss_bytes"}`; `seconds` is null if none of the steps was measured.

    Of each step the newest time counts, longer by as much as the input has grown since; that publishing took is added.
    """
    left, seconds, peak, published = set(todo), 0.0, 0, None
    for report in reports if todo else ():
        growth = max(1.0, input_bytes / report["input_bytes"]) if report.get("input_bytes") else 1.0
        for scan in report.get("scans", []):
            steps = scan["scan"].split(" + ")
            found = left.intersection(steps)
            seconds += scan["seconds"] * growth * len(found) / len(steps)
            peak = max(peak, scan["peak_rss_bytes"]) if found else peak
            left -= found
        if published is None and report.get("publish_seconds"):
            published = report["publish_seconds"] * growth
        if not left and published is not None:
            break
    measured = len(set(todo)) - len(left)
    whole = round(seconds + (published or 0.0), 1) if measured else 0.0 if not todo else None
    return {"steps": len(todo), "measured": measured, "seconds": whole, "peak_rss_bytes": peak or None}


def estimate_text(e: dict[str, Any], waiting: int) -> str:
    """`20 steps to run, about 44 s by earlier runs`."""
    if not e["steps"]:
        return f"nothing to run{f', {waiting} wait for people or for each other' if waiting else ''}"
    behind = f", {waiting} wait behind them" if waiting else ""
    if e["seconds"] is None:
        return f"{e['steps']} step(s) to run{behind}; how long is not known: none of them ran in this store before"
    new = e["steps"] - e["measured"]
    more = f", and {new} that never ran in this store" if new else ""
    return f"{e['steps']} step(s) to run{behind}; about {e['seconds']:.0f} s by what they took before{more}"
