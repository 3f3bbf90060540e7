"""The page: one self-contained report.html of the facts. No script, no network, light and dark, fit for print.

Sections without facts are left out. Everything that comes from data is escaped by the template engine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataforge.funnel import changes, removed_text
from dataforge.reasons import explained
from dataforge.report import charts
from dataforge.report.alerts import complete
from dataforge.report.charts import Chart, count, number, percent, size

FOLDER = Path(__file__).parent


def html(facts: Mapping[str, Any], *, runs: Sequence[Mapping[str, Any]] = ()) -> str:
    """The page for facts, best those from `complete`.

    `runs` are for the store's own report only: reports of runs, newest first, with `ended`, `status`, `seconds`,
    `peak_rss_bytes` and `scans` (`scan`, `seconds`, `rows_in`, `bytes_out`).
    """
    import jinja2

    facts = facts if "alerts" in facts else complete(facts, {})
    loader = jinja2.FileSystemLoader(FOLDER)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": number, "percent": percent, "size": size, "cell": cell, "count": count, "rate": rate}
    environment.undefined = jinja2.StrictUndefined
    page = environment.get_template("page.html.j2")
    return page.render(
        facts=_with_defaults(facts),
        tiles=tiles(facts),
        charts=all_charts(facts),
        by_reason=_by_reason(facts),
        changed=[e for e in facts.get("funnel", []) if changes(e)],
        removed=[removed_text(*entry) for e in facts.get("funnel", []) for entry in e.get("removed", {}).items()],
        config=json.dumps(facts.get("config", {}), indent=2, ensure_ascii=False),
        act_shares=act_shares(facts.get("act_shares", [])),
        runs=runs,
        style=(FOLDER / "style.css").read_text(),
    )


def _with_defaults(facts: Mapping[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(("alerts", "sources", "languages", "published", "tables", "funnel"), ())
    empty |= dict.fromkeys(
        ("pii", "duplicates", "review", "audit", "retrained", "tokenizer", "version", "name", "tokenizer_sha256", "default")
    )
    return {**empty, "leaks": {"clusters_in_two_splits": None}, "samples": {"kept": [], "dropped": []}, **facts}


def cell(value: Any) -> str:
    """A table cell: numbers with separators, nothing for None."""
    if value is None or value == "":
        return "–"
    return number(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def rate(share: Mapping[str, Any]) -> str:
    """`82.0 % (95 % interval 71.2 % – 90.1 %, 64 rows)`."""
    if share["value"] is None:
        return "no"
    interval = f"{percent(share['low'])} – {percent(share['high'])}"
    return f"{percent(share['value'])} (95 % interval {interval}, {count(share['n'], 'row')})"


def act_shares(found: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Head and rows of the table of shares by source and split; [] without acts."""
    acts = list(dict.fromkeys(entry["act"] for entry in sorted(found, key=lambda e: -e["n"])))
    groups: dict[tuple[str, str], dict[str, int]] = {}
    for entry in found:
        for split in ("all", entry["split"] or "in no pair"):
            group = groups.setdefault((entry["source"], split), dict.fromkeys(acts, 0))
            group[entry["act"]] += entry["n"]
    rows = [
        (*name, total, *(percent(n / total) for n in group.values()))
        for name, group in sorted(groups.items())
        if (total := sum(group.values()))
    ]
    return [("source", "split", "messages", *acts), *rows] if rows else []


def tiles(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(number, words) for the headline."""
    published = facts.get("published", [])
    default = [e for e in published if e["config"] == facts.get("default")]
    read = next((e["in"] for e in facts.get("funnel", [])), 0)
    found = [(number(read), "rows read")]
    if default:
        found.append((number(sum(e["rows"] for e in default)), f"rows in {facts['default']}"))
    if corpus := [e for e in published if e["config"] == "corpus" and e["config"] != facts.get("default")]:
        found.append((number(sum(e["rows"] for e in corpus)), "rows in corpus"))
    if tokens := sum(e.get("tokens", 0) for e in published if e["config"] == "tokenized"):
        found.append((charts.short(tokens), "tokens"))
    if pii := facts.get("pii"):
        found.append((number(sum(e["spans"] for e in pii["kinds"])), "personal data found"))
    if duplicates := facts.get("duplicates"):
        found.append((number(sum(duplicates["kinds"].values())), "duplicates removed"))
    return found


def _by_reason(facts: Mapping[str, Any]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """(step and reason, what the reason means, samples of dropped rows)."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in facts.get("samples", {}).get("dropped", []):
        groups.setdefault(f"{row['step']}: {row['reason']}", []).append(row)
    return [(name, explained(rows[0]["reason"], rows[0]["step"]), rows) for name, rows in sorted(groups.items())]


def all_charts(facts: Mapping[str, Any]) -> dict[str, list[Chart]]:
    """The charts of each section; a section without numbers has none."""
    return {
        "funnel": _funnel(facts),
        "sources": _sources(facts),
        "lengths": [_histogram(entry) for entry in facts.get("lengths", []) if entry["bins"]],
        "duplicates": _duplicates(facts.get("duplicates")),
        "pii": _pii(facts.get("pii")),
        "acts": _simple("Speech acts", ("act", "rows"), [(e["act"], e["rows"]) for e in facts.get("acts", [])]),
        "review": _review(facts.get("review")),
        "splits": _splits(facts),
    }


def _simple(title: str, head: tuple[str, str], rows: list[tuple[str, int]]) -> list[Chart]:
    return [charts.bars(title, head, rows)] if rows else []


def _funnel(facts: Mapping[str, Any]) -> list[Chart]:
    entries = [e for i, e in enumerate(facts.get("ledger", [])) if i == 0 or changes(e)]
    reasons: dict[str, int] = {}
    for entry in entries:
        for reason, rows in entry["dropped"].items():
            reasons[reason] = reasons.get(reason, 0) + rows
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    found = [charts.funnel("Rows after each step", entries)] if entries else []
    return found + _simple("Rows dropped, by reason", ("reason", "rows"), ranked)


def _sources(facts: Mapping[str, Any]) -> list[Chart]:
    sources = [(e["name"], e["rows"]) for e in facts.get("sources", []) if e["rows"]]
    languages = [(e["language"], e["rows"]) for e in facts.get("languages", [])]
    return _simple("Rows left, by source", ("source", "rows"), sources) + _simple(
        "Rows by language", ("language", "rows"), languages
    )


def _histogram(entry: Mapping[str, Any]) -> Chart:
    title = f"Length of {entry['config']} rows in {entry['unit']}"
    return charts.columns(
        title, (f"{entry['unit']}, from", "rows"), [(charts.short(b["from"]), b["rows"]) for b in entry["bins"]]
    )


def _duplicates(duplicates: Mapping[str, Any] | None) -> list[Chart]:
    if not duplicates or not duplicates["sizes"]:
        return []
    rows = [
        (str(s["from"]) if s["from"] == s["to"] else f"{s['from']}–{s['to']}", s["clusters"])
        for s in duplicates["sizes"]
    ]
    return [charts.columns("Clusters of duplicates by size", ("rows in a cluster", "clusters"), rows)]


def _pii(pii: Mapping[str, Any] | None) -> list[Chart]:
    rows = [(e["kind"], e["spans"]) for e in pii["kinds"]] if pii else []
    return _simple("Personal data found, by kind", ("kind", "found"), rows)


def _review(review: Mapping[str, Any] | None) -> list[Chart]:
    rows = [(e["label"], e["rows"]) for e in review["labels"]] if review else []
    return _simple("Labels that people decided on", ("label", "rows"), rows)


def _splits(facts: Mapping[str, Any]) -> list[Chart]:
    found = []
    for config in dict.fromkeys(e["config"] for e in facts.get("published", [])):
        rows = [(e["split"], e["rows"]) for e in facts["published"] if e["config"] == config]
        found.append(charts.shares(f"Splits of {config}", ("split", "rows"), rows))
    return found[:1]  # all configs follow one split of the rows; the table below has the others
