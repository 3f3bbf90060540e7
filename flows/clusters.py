"""Clusters of duplicates as people look at them: the row that stays, the rows that go, and the words that differ."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import InputError, escape
from dataforge.identity import part_of
from dataforge.table import Table

SHOWN_ROWS, SHOWN_WORDS = 5, 12  # of a cluster; changed words of a row


def clusters_document(tables: list[Table], limit: int) -> dict[str, Any]:
    """`{"schema", "clusters": [{"cluster", "rows", "kept", "members": [member]}]}`.
    A member is `{"id", "source", "key", "duplicate", "into", "similarity", "changes"}`; `into` is the row it is a duplicate
    of, `similarity` how alike the two were measured (Jaccard): null where others between them made them one cluster.

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
    documents = names[read_by(names["corpus/twins"])]
    spans = names["corpus/pii"]
    found = [_cluster(entry["values"], twins, documents, spans) for entry in order]
    members = [member for cluster in found for member in cluster["members"]]
    _measure(members, names.get("corpus/near"), names.get("corpus/exact"))
    return {"schema": 1, "clusters": found}


def read_by(table: Table) -> str:
    """The step of the rows that duplicates were looked for in: the last input, behind any operators of the user's own."""
    return str(table.manifest["inputs"][-1]["step"])


def _measure(members: list[dict[str, Any]], near: Table | None, exact: Table | None) -> None:
    """Fills in `similarity`: 1 for equal texts, else that of the pair verified between them or their equal twins."""
    first = _first_of_equals([member["id"] for member in members], exact)
    shares = {}
    if near is not None:
        pairs, ids = near.to_table(["a", "b", "common", "union"]), pa.array([*first, *first.values()], pa.string())
        both = pc.and_(*(pc.is_in(pairs[end], value_set=ids) for end in ("a", "b")))
        for row in pairs.filter(both).to_pylist():  # of the clusters shown
            ends = (first.get(row["a"], row["a"]), first.get(row["b"], row["b"]))
            shares[ends] = shares[ends[::-1]] = round(row["common"] / row["union"], 4)
    for member in members:
        if member["duplicate"]:
            ends = (first[member["id"]], first.get(member["into"], member["into"]))
            member["similarity"] = 1.0 if ends[0] == ends[1] else shares.get(ends)


def _first_of_equals(ids: list[str], exact: Table | None) -> dict[str, str]:
    """Per id the smallest id of a row with the same text: `exact` links each row to it."""
    first = {id: id for id in ids}
    if exact is not None:
        pairs = exact.to_table(["a", "b"])
        pairs = pairs.filter(pc.is_in(pairs["b"], value_set=pa.array(ids, pa.string())))
        first |= {row["b"]: row["a"] for row in pairs.to_pylist()}
    return first


def _cluster(cluster: str, twins: pa.Table, documents: Table, spans: Table) -> dict[str, Any]:
    rows = twins.filter(pc.equal(twins["cluster"], cluster)).to_pylist()
    kept = [row for row in rows if row["duplicate"] is None]
    lost = [row for row in rows if row["duplicate"] is not None]
    shown = (kept + lost)[: SHOWN_ROWS + 1]
    found = {row["id"]: row for row in shown_rows([row["id"] for row in shown], documents, spans)}
    base = found[kept[0]["id"]]["text"] if kept and kept[0]["id"] in found else ""
    members = []
    for row in shown:
        origin = found.get(row["id"], {"source": "", "key": "", "text": ""})
        changes = word_changes(base, origin["text"]) if row["duplicate"] else []
        place = {"source": origin["source"], "key": origin["key"]}
        fate = {"duplicate": row["duplicate"], "into": row["into"], "similarity": None}
        members.append({"id": row["id"], **place, **fate, "changes": changes})
    return {"cluster": cluster, "rows": len(rows), "kept": [row["id"] for row in kept], "members": members}


def shown_rows(ids: list[str], documents: Table, spans: Table) -> Iterator[dict[str, Any]]:
    """{id, source, key, text} of rows, personal data in the text masked; opens only the parts that hold the ids."""
    from dataforge.operators.mask import apply_spans

    wanted = pa.array(ids, pa.string())
    columns = ["id", "source", "key", "text"]
    for part in sorted(set(part_of(wanted, documents.n_parts).tolist())):
        for rows, marks in zip(documents.read(part, columns), spans.read(part), strict=True):
            here = pc.is_in(rows.column("id"), value_set=wanted)
            if pc.any(here).as_py():
                found = rows.filter(here)
                masked = apply_spans(found.column("text"), marks.column("spans").filter(here), "mask")
                yield from found.set_column(columns.index("text"), "text", masked.texts).to_pylist()


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
    """A block per cluster: the row that stays, then those that go, with the words they lack (-) and have more (+)."""
    if not document["clusters"]:
        return "no duplicates"
    lines = []
    for cluster in document["clusters"]:
        lines += ["", f"cluster {cluster['cluster'][:12]}: {cluster['rows']} rows"]
        for member in cluster["members"]:
            fate = _fate(member)
            name = escape(f"{member['source']}/{member['key']}" if member["key"] else member["source"], 64)
            lines.append(f"  {member['id'][:12]}  {name}  {fate}")
            if member["duplicate"]:
                lines.append(f"      {escape(' '.join(member['changes']), 400) or 'same text'}")
        hidden = cluster["rows"] - len(cluster["members"])
        lines += [f"  and {hidden} more"] if hidden else []
    return "\n".join(lines[1:])


def _fate(member: dict[str, Any]) -> str:
    """A row whose equal twin went too has the reason "exact", but the row that stays is only near to both."""
    if member["duplicate"] is None:
        return "kept"
    alike = f", {member['similarity']:.3f} alike" if member["similarity"] is not None else ""
    if member["duplicate"] == "exact" and member["similarity"] != 1:
        return f"equal to another row that went, near duplicate of {member['into'][:12]}{alike}"
    return f"{member['duplicate']} duplicate of {member['into'][:12]}{alike}"
