"""Sample rows for the report: kept ones, and dropped ones per reason. Few, cut short, free of the personal data found.

Ids are hashes, so the rows with the smallest ids are a random draw that never changes. Kept rows come from published
tables, where masking is done. Of a dropped row the text is shown only if spans were found for just that text; then
it is masked here. Rows dropped for personal data are never shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataforge.identity import part_of
from dataforge.table import Table

KEPT, PER_REASON, REASONS, CHARACTERS, LINES = 6, 3, 40, 400, 8
PERSONAL = re.compile(r"pii|personal|secret|opt_?out|eras|forg[eo]t|private")


def samples(tables: Sequence[Table], texts: Sequence[Table]) -> dict[str, Any]:
    """{"kept": [{"id", "step", "text"}], "dropped": [{"step", "reason", "id", "score", "threshold", "into",
    "text"}]}.
    """
    dropped = [row for t in tables if t.manifest["contract"] == "subset" for row in _dropped(t, tables)]
    return {"kept": [row for table in texts for row in _kept(table)], "dropped": dropped}


def _kept(table: Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for part in range(table.n_parts):
        for batch in table.read(part, ["id", "text"]):
            for row in batch.slice(0, KEPT - len(found)).to_pylist():
                found.append({"id": row["id"], "step": table.step, "text": cut(row["text"])})
            if len(found) == KEPT:
                return found
    return found


def _dropped(table: Table, tables: Sequence[Table]) -> list[dict[str, Any]]:
    chosen: dict[str, list[dict[str, Any]]] = {}
    for part in range(table.n_parts):
        for batch in table.read(part, kind="dropped"):
            _choose(chosen, batch)
    rows = [{"step": table.step, **row} for reason in sorted(chosen)[:REASONS] for row in chosen[reason]]
    shown = [row for row in rows if not PERSONAL.search(row["reason"])]
    texts = _masked_texts(table, tables, [row["id"] for row in shown])
    return [{**row, "text": texts.get(row["id"]) if row in shown else None} for row in rows]


def _choose(chosen: dict[str, list[dict[str, Any]]], batch: pa.RecordBatch) -> None:
    """Keeps the smallest ids per reason. Parts follow each other in id order, so the first seen are the smallest."""
    for reason in batch.column("reason").unique().to_pylist():
        held = chosen.setdefault(reason, [])
        if len(held) < PER_REASON:
            rows = batch.filter(pc.equal(batch.column("reason"), reason))
            rows = rows.take(pc.sort_indices(rows, sort_keys=[("id", "ascending")])[: PER_REASON - len(held)])
            held += [{k: v for k, v in row.items() if k != "detail"} for row in rows.to_pylist()]


def _masked_texts(table: Table, tables: Sequence[Table], ids: Sequence[str]) -> dict[str, str]:
    """Texts of the rows as the step read them, with the spans of every finder that read the same texts masked."""
    base = next((t for t in tables if t.id == table.manifest["inputs"][0]["id"]), None)
    if base is None or "text" not in base.schema.names or not ids:
        return {}
    finders = [
        t
        for t in tables
        if "spans" in t.schema.names and t.manifest["inputs"] and t.manifest["inputs"][0]["id"] == base.id
    ]
    if not finders:
        return {}
    texts = rows_of(base, ids, ["id", "text"])
    found = [rows_of(finder, ids, ["id", "spans"]) for finder in finders]
    whole = [i for i in texts if all(i in spans for spans in found)]
    return {i: cut(mask(texts[i]["text"], [s for spans in found for s in spans[i]["spans"]])) for i in whole}


def rows_of(table: Table, ids: Sequence[str], columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    """{id: row} for a handful of ids of a table partitioned by id."""
    wanted = pa.array(sorted(set(ids)), pa.string())
    count = table.n_parts
    parts = sorted(set(part_of(wanted, count).tolist())) if count & (count - 1) == 0 else range(count)
    found = {}
    for part in parts:
        for batch in table.read(part, columns):
            for row in batch.filter(pc.is_in(batch.column("id"), value_set=wanted)).to_pylist():
                found[row["id"]] = row
    return found


def mask(text: str, spans: Iterable[Mapping[str, Any]]) -> str:
    """The text with `<KIND>` in place of every span; of overlapping spans the first, and of those the longest, names
    it.
    """
    pieces, at = [], 0
    for span in sorted(spans, key=lambda s: (s["start"], -s["end"])):
        if span["start"] >= at:
            pieces += [text[at : span["start"]], f"<{span['kind']}>"]
        at = max(at, span["end"])
    return "".join([*pieces, text[at:]])


def cut(text: str) -> str:
    """At most CHARACTERS and LINES of a text; "…" says that there is more."""
    short = "\n".join(text[:CHARACTERS].split("\n", LINES)[:LINES])
    return text if short == text else short.rstrip() + "…"
