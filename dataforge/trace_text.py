"""A trace for people: one line per step with what is new there, then the places in the published version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataforge.reasons import explained

TOLD_IN_A_LINE = 12


def trace_text(document: Mapping[str, Any]) -> str:
    """The trace for people: one line per step, then the places in the published version."""
    lines = [f"{document['id']}  {document['fate']}"]
    width = max((len(step["step"]) for step in document["steps"]), default=0)
    known: dict[str, dict[str, Any]] = {}  # per row, what was told before: only news are worth a reader's time
    for step in document["steps"]:
        if step["of"] == "ancestor" and step["event"] in ("attributes", "kept"):
            continue  # in the document; here a conversation of fifty messages would bury the row
        who = "" if step["of"] == "row" else f"{step['of']} {step['id'][:12]}: "
        lines.append(
            f"  {step['step'].ljust(width)}  {who}{step['event']}{_told(step, known.setdefault(step['id'], {}))}"
        )
    for place in document["published"]:
        tokens = f", tokens {place['tokens']['start']}–{place['tokens']['end']}" if "tokens" in place else ""
        lines.append(f"  {place['file']} row {place['row']}{tokens}  ({place['config']}, {place['split']})")
    return "\n".join(lines) + "\n"


def _told(step: Mapping[str, Any], known: dict[str, Any]) -> str:
    """What is new at this step; adds it to `known`."""
    if step["event"] == "quarantined":
        return f": {step['code']}: {step['reason']}"
    if step["event"] == "dropped":
        score = f" ({step['score']:g} against {step['threshold']:g})" if {"score", "threshold"} <= step.keys() else ""
        into = f" → {step['into']}" if "into" in step else ""
        why = explained(step["reason"], step["step"])
        return f": {step['reason']}{score}{into}" + (f": {why}" if why else "")
    news = {name: value for name, value in step["columns"].items() if known.get(name) != value}
    known |= news
    parts = [f"{name}={_short(value)}" for name, value in news.items() if value or isinstance(value, dict)]
    if len(parts) > 2 * TOLD_IN_A_LINE:  # counters: nobody reads them in a line
        parts = [f"{len(news)} columns; --json tells them"]
    elif len(parts) > TOLD_IN_A_LINE:
        parts[TOLD_IN_A_LINE:] = [f"{len(parts) - TOLD_IN_A_LINE} more columns"]
    if "parents" in step and step["event"] == "derived":
        parts.insert(0, f"{len(step['parents'])} parents")
    return "  " + ", ".join(parts) if parts else ""


def _short(value: Any) -> str:
    if isinstance(value, dict) and list(value) == ["characters"]:
        return f"{value['characters']:,} characters"
    if isinstance(value, dict) and list(value) == ["length"]:
        return f"{value['length']:,} values"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} {_short(v)}" for k, v in value.items()) + "}" if value else "none"
    return f"[{', '.join(map(_short, value))}]" if isinstance(value, list) else str(value)
