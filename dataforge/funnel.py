"""The funnel: how many rows went into each step, came out, were dropped for which reason, were quarantined.

It is read from the manifests alone. The first entry, `sources`, is the reading of all sources together; after it comes
one entry per step in the order of the graph. Tables of rows about rows (edges, statistics: the contract ASIDE) lose none and
stand apart (`aside`). A source that waits for other steps (the closed label queue) has an entry of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dataforge.part import Account
from dataforge.table import Table

SOURCES = "sources"


def funnel(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """`[{"step", "in", "out", "dropped": {reason: n}, "quarantined"}]`, in graph order.

    Where a step cut pieces out of texts that stay, also `"removed": {what: {"texts", "units", "bytes"}}`.
    """
    return [{k: v for k, v in entry.items() if k != "kept"} for entry in ledger(tables)]


def ledger(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """The funnel with `kept`, so that in = kept + dropped + quarantined can be checked where rows are derived."""
    sources = [table for table in tables if is_reading(table)]
    total = Account()
    for table in sources:
        total = total.add(table.account)
    entries = [_entry(SOURCES, total)] if sources else []
    others = (t for t in tables if not is_reading(t) and not is_aside(t))
    return entries + [_entry(table.step, table.account) for table in others]


def aside(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """`[{"step", "read", "rows"}]` of tables beside the corpus; `rows` is None where files were written."""
    beside = [table for table in tables if is_aside(table)]
    return [
        {"step": t.step, "read": t.account.rows_in, "rows": None if t.is_files else t.account.rows_out} for t in beside
    ]


def is_aside(table: Table) -> bool:
    """True for rows about rows and for files made of rows: what was read for them goes on elsewhere."""
    return table.is_files or table.manifest["contract"] == "aside"


def by_source(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """One entry per source, by the step that read it: what the funnel's first entry sums."""
    return [_entry(table.step, table.account) for table in tables if is_reading(table)]


def is_reading(table: Table) -> bool:
    """True for a Table read from outside: files, a Slack export."""
    return table.manifest["contract"] == "source" and not table.manifest["inputs"]


def _entry(step: str, account: Account) -> dict[str, Any]:
    removed = _removed(account.notes)
    return {
        "step": step,
        "in": account.rows_in,
        "kept": account.kept,
        "out": account.rows_out,
        "dropped": dict(sorted(account.dropped.items(), key=lambda item: (-item[1], item[0]))),
        "quarantined": account.quarantined,
        **({"removed": removed} if removed else {}),
        **({"edited": edited} if (edited := account.notes.get("edited", 0)) else {}),
    }


def _removed(notes: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """{"removed:lines:bytes": 49} -> {"lines": {"bytes": 49}}; what was cut from no text is left out."""
    found: dict[str, dict[str, int]] = {}
    for note, count in notes.items():
        kind, _, rest = note.partition(":")
        if kind == "removed":
            what, _, name = rest.partition(":")
            found.setdefault(what, {})[name] = count
    return {what: counts for what, counts in found.items() if counts.get("texts")}


def funnel_text(
    entries: Iterable[dict[str, Any]], *, every_step: bool = False, beside: Sequence[dict[str, Any]] = ()
) -> str:
    """An aligned table for people. Steps that only add columns are counted in a last line unless `every_step`; then also
    what `aside` gave is listed."""
    entries = list(entries)
    shown = [e for i, e in enumerate(entries) if every_step or i == 0 or changes(e)]
    rows = [("step", "in", "out", "dropped", "quarantined", "reasons")]
    for e in shown:
        dropped = sum(e["dropped"].values())
        told = [f"{reason} {count:,}" for reason, count in e["dropped"].items()]
        told += [removed_text(what, counts) for what, counts in e.get("removed", {}).items()]
        kept = e["in"] - dropped - e["quarantined"]
        told += [f"{e['out']:,} made of {kept:,}"] if e["out"] != kept else []
        told += [f"edited by people {e['edited']:,}"] if "edited" in e else []
        reasons = ", ".join(told)
        rows.append((e["step"], *(f"{n:,}" for n in (e["in"], e["out"], dropped, e["quarantined"])), reasons))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(1, 5)), row[5]]).rstrip()
        for row in rows
    ]
    hidden = len(entries) - len(shown)
    if hidden:
        lines.append(f"({hidden} more step{'s' if hidden > 1 else ''} left the number of rows as it was)")
    if every_step and beside:
        lines += ["", "beside them, from rows that go on above (nothing is lost here):", *map(_beside_text, beside)]
    return "\n".join(lines) + "\n"


def _beside_text(entry: Mapping[str, Any]) -> str:
    made = "files" if entry["rows"] is None else f"{entry['rows']:,} row{'s' if entry['rows'] != 1 else ''}"
    return f"  {entry['step']}: {made} from {entry['read']:,}"


def removed_text(what: str, counts: Mapping[str, int]) -> str:
    """`12 lines (345 bytes) cut from 7 texts`."""
    return f"{counts['units']:,} {what} ({counts['bytes']:,} bytes) cut from {counts['texts']:,} texts"


def changes(entry: dict[str, Any]) -> bool:
    """True where a step changed the number of rows, left any out, or changed texts."""
    told = entry["dropped"] or entry["quarantined"] or {"removed", "edited"} & set(entry)
    return bool(entry["in"] != entry["out"] or told)
