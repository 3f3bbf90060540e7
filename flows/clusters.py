"""Clusters of duplicates as people look at them: the row that stays, the rows that go, and the words that differ."""

from __future__ import annotations

import difflib
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import InputError, escape
from dataforge.flows.build import Graph
from dataforge.identity import part_of
from dataforge.table import Table

SHOWN_ROWS, SHOWN_WORDS = 5, 12  # of a cluster; changed words of a row


def clusters_document(graph: Graph, tables: list[Table], limit: int) -> dict[str, Any]:
    """`{"schema", "clusters": [{"cluster", "rows", "kept", "members": [{"id", "duplicate", "source", "changes"}]}]}`.

    Largest clusters first. `changes` are words removed (-) and added (+) against the row that stays, taken from the
    masked texts where the row is published, never from raw ones.
    """
    names = {table.step: table for table in tables}
    if "corpus/twins" not in names:
        raise InputError("duplicates have not been looked for", hint="run the config first")
    twins = names["corpus/twins"].to_table()
    losers = twins.filter(pc.is_valid(twins["duplicate"]))
    sizes = pc.value_counts(losers["cluster"])
    order = sorted(sizes.to_pylist(), key=lambda entry: (-entry["counts"], entry["values"]))[:limit]
    documents = names["corpus/documents"]
    spans = names["corpus/pii"]
    return {"schema": 1, "clusters": [_cluster(entry["values"], twins, documents, spans) for entry in order]}


def _cluster(cluster: str, twins: pa.Table, documents: Table, spans: Table) -> dict[str, Any]:
    rows = twins.filter(pc.equal(twins["cluster"], cluster)).to_pylist()
    kept = [row for row in rows if row["duplicate"] is None]
    lost = [row for row in rows if row["duplicate"] is not None]
    shown = (kept + lost)[: SHOWN_ROWS + 1]
    texts = masked_texts([row["id"] for row in shown], documents, spans)
    base = texts.get(kept[0]["id"], "") if kept else ""
    members = [
        {
            "id": row["id"],
            "duplicate": row["duplicate"],
            "changes": word_changes(base, texts.get(row["id"], "")) if row["duplicate"] else [],
        }
        for row in shown
    ]
    return {"cluster": cluster, "rows": len(rows), "kept": [row["id"] for row in kept], "members": members}


def masked_texts(ids: list[str], documents: Table, spans: Table) -> dict[str, str]:
    """{id: text with personal data masked}; opens only the parts that hold the ids."""
    from dataforge.operators.mask import apply_spans

    wanted = pa.array(ids, pa.string())
    found: dict[str, str] = {}
    for part in sorted(set(part_of(wanted, documents.n_parts).tolist())):
        for texts, marks in zip(documents.read(part, ["id", "text"]), spans.read(part), strict=True):
            here = pc.is_in(texts.column("id"), value_set=wanted)
            if pc.any(here).as_py():
                masked = apply_spans(texts.column("text").filter(here), marks.column("spans").filter(here), "mask")
                found.update(zip(texts.column("id").filter(here).to_pylist(), masked.texts.to_pylist(), strict=True))
    return found


def word_changes(base: str, text: str) -> list[str]:
    """["-old", "+new"]: words that differ, in order, at most SHOWN_WORDS of them."""
    old, new = base.split(), text.split()
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    changes: list[str] = []
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag != "equal":
            changes += [f"-{word}" for word in old[a:b]] + [f"+{word}" for word in new[c:d]]
    return changes[:SHOWN_WORDS] + (["…"] if len(changes) > SHOWN_WORDS else [])


def clusters_text(document: dict[str, Any]) -> str:
    if not document["clusters"]:
        return "no duplicates"
    lines = []
    for cluster in document["clusters"]:
        lines.append(
            f"cluster {cluster['cluster'][:12]}: {cluster['rows']} rows, kept {', '.join(i[:12] for i in cluster['kept'])}"
        )
        for member in cluster["members"]:
            if member["duplicate"]:
                same = "same text" if not member["changes"] else escape(" ".join(member["changes"]))
                lines.append(f"  {member['id'][:12]}  {member['duplicate']:<5}  {same}")
    return "\n".join(lines)
