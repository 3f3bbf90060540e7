"""What happened to one row: at every step, up to what it came from, down to shard, row and token range.

No lineage was recorded for this: a row is where its id is, its parents are in `parents`, its end is in `dropped/`. The
answer holds scores, names of classes, counts of spans by kind and lengths of texts, never texts or found values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import InputError, escape
from dataforge.identity import part_of, row_id, text_hashes
from dataforge.part import part_name, read_groups
from dataforge.table import Table
from dataforge.trace_places import parent_rows, places
from dataforge.trace_text import trace_text

# Columns whose values are names of classes or ids, never words of a person; of all other strings only the length is
# told.
TOLD = {
    *(
        "source",
        "key",
        "language",
        "licence",
        "split",
        "cluster",
        "group",
        "twin",
        "into",
        "duplicate",
        "keep",
        "reason",
    ),
    *("act", "form", "act_by", "act_ambiguity", "reviewed"),
    *("label", "decided_by", "channel_kind", "subtype", "text_source", "conversation", "kind"),
    *("text_hash", "rewrites", "script", "suggestion", "suggestion_by", "stratum", "share", "labels", "error_category"),
}


__all__ = ["tell", "trace", "trace_text"]


def trace(
    tables: Sequence[Table], row: str, published: Path | None = None, *, sources: Sequence[str] = ()
) -> dict[str, Any]:
    """`tables` in graph order, `row` an id, a unique prefix of at least 8 hex digits, or the native key of a row of one
    of `sources` (names): the key column's value, a file's path, a Slack message's "channel/ts".

    Gives {"id", "fate", "ancestors", "descendants", "steps": [...], "published": [...]}.
    Raises InputError (exit 3) for an id that no Table holds and for a prefix of several ids.
    """
    tables = [table for table in tables if not table.is_files]
    row = _full_id(tables, row, sources)
    family = _Family(row)
    _climb(tables, family)
    steps = [step for table in tables for step in _at_step(table, family)]
    found = [] if published is None else list(places(Path(published), family.line()))
    return {
        "id": row,
        "fate": _fate(steps, found, family),
        "ancestors": sorted(family.ancestors),
        "descendants": sorted(family.descendants),
        "steps": steps,
        "published": found,
    }


@dataclass
class _Family:
    """The row, what it was made from, what was made from it, and the hash of each one's text when last seen."""

    row: str
    ancestors: set[str] = field(default_factory=set)
    descendants: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)

    def ids(self) -> pa.Array:
        return pa.array(sorted({self.row} | self.ancestors | self.descendants), pa.string())

    def line(self) -> pa.Array:
        """The row and its descendants: whose children are its own."""
        return pa.array(sorted({self.row} | self.descendants), pa.string())


# --- finding rows -----------------------------------------------------------------------------------------------------


def _full_id(tables: Sequence[Table], row: str, sources: Sequence[str]) -> str:
    """The one id that `row` names or starts."""
    row = row.encode(errors="replace").decode()  # arguments may hold bytes that are no UTF-8
    lower = row.strip().lower()
    found = _starting_with(tables, lower) if re.fullmatch(r"[0-9a-f]{8,32}", lower) else set()
    for source in sources:
        found |= _starting_with(tables, row_id(source, row))
    if not found:
        hint = "give an id, its first 8 or more digits, or the row's key in its source; documents are published with `id`"
        hint += " and, in `provenance`, the row's address or else its key"
        raise InputError(f"no table holds the row {escape(row, 80)}", key="id", hint=hint)
    if len(found) > 1:
        some = ", ".join(sorted(found)[:5])
        raise InputError(f"{len(found)} ids fit {escape(row, 80)}: {some}", key="id", hint="give more digits")
    return found.pop()


def _starting_with(tables: Sequence[Table], digits: str) -> set[str]:
    """Ids that start with these hex digits, in the first table that has the whole id, else in all."""
    found: set[str] = set()
    for table in tables:
        for kind in ("data", "dropped"):
            if kind == "data" and "id" not in table.schema.names:
                continue
            for _, batch in _read(table, ["id"], kind, pa.array([digits.ljust(32, "0")])):
                ids = batch.column("id")
                found.update(ids.filter(pc.starts_with(ids, digits)).to_pylist())
        if len(found) == 1 and len(digits) == 32:
            break
    return found


def _read(
    table: Table, columns: Sequence[str] | None, kind: str, ids: pa.Array
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(part, rows) of the parts that may hold `ids`. Page checksums are verified; hashing whole files would be slow."""
    for part in _parts(table, ids, kind):
        if kind in table.manifest["parts"][part]["files"]:
            for batch in read_groups(table.path / kind / part_name(part), columns):
                yield part, batch


def _parts(table: Table, ids: pa.Array, kind: str) -> list[int]:
    """One part per id where the Table is partitioned by id, else all. What a derived table dropped has ids of its
    input.
    """
    if (kind == "data" or table.manifest["contract"] != "derived") and _is_partitioned(table):
        return sorted(set(part_of(ids, table.n_parts).tolist()))
    return list(range(table.n_parts))


def _is_partitioned(table: Table) -> bool:
    """Judged by the first ids of three parts: the manifest of a Map over a Source looks just the same."""
    count, files = table.n_parts, [record["files"]["data"] for record in table.manifest["parts"]]
    if count & (count - 1) or "id" not in table.schema.names:
        return False
    filled = sorted(range(count), key=lambda part: -files[part]["size_bytes"])[:3]
    firsts = [(part, next(read_groups(table.path / "data" / part_name(part), ["id"]), None)) for part in filled]
    return all(batch is None or bool((part_of(batch.column("id"), count) == part).all()) for part, batch in firsts)


def _climb(tables: Sequence[Table], family: _Family) -> None:
    """Fills the ancestors: from the last table to the first, the parents of every derived row that is wanted."""
    wanted = {family.row}
    for table in reversed(tables):
        if not {"id", "parents"} <= set(table.schema.names):
            continue
        ids = pa.array(sorted(wanted), pa.string())
        for _, batch in _read(table, ["id", "parents"], "data", ids):
            for parents in batch.column("parents").filter(pc.is_in(batch.column("id"), value_set=ids)).to_pylist():
                wanted.update(parents)
    family.ancestors = wanted - {family.row}


# --- a row at a step --------------------------------------------------------------------------------------------------


def _at_step(table: Table, family: _Family) -> Iterator[dict[str, Any]]:
    names = table.schema.names
    if "parents" in names:
        _descend(table, family)
    if "id" in names:
        ids = family.ids()
        for part, batch in _read(table, None, "data", ids):
            chosen = batch.filter(pc.is_in(batch.column("id"), value_set=ids))
            for row in chosen.to_pylist():  # a handful of rows
                yield {**_place(table, part, row["id"], family), **_present(row, family)}
    for part, batch in _read(table, None, "dropped", family.ids()):
        for row in batch.filter(pc.is_in(batch.column("id"), value_set=family.ids())).to_pylist():
            told = {
                name: row[name] for name in ("reason", "score", "threshold", "detail", "into") if row[name] is not None
            }
            yield {**_place(table, part, row["id"], family), "event": "dropped", **told}
    if table.manifest["contract"] == "subset":
        yield from _set_aside(table, family)


def _set_aside(table: Table, family: _Family) -> Iterator[dict[str, Any]]:
    """Rows in quarantine have no id of their own; where one had an id when it was set aside, the reason names it."""
    for part, batch in _read(table, ["code", "reason"], "quarantine", family.ids()):
        named = pc.struct_field(pc.extract_regex(batch.column("reason"), r"(?P<id>\b[0-9a-f]{32}\b)"), "id")
        hits = pc.fill_null(pc.is_in(named, value_set=family.ids()), False)
        for row, told in zip(named.filter(hits).to_pylist(), batch.filter(hits).to_pylist(), strict=True):
            yield {**_place(table, part, row, family), "event": "quarantined", **told}


def _descend(table: Table, family: _Family) -> None:
    """Adds the rows of a derived table that have the row or one of its descendants among their parents."""
    line = family.line()
    for part in range(table.n_parts):
        for batch in read_groups(table.path / "data" / part_name(part), ["id", "parents"]):
            places = np.unique(parent_rows(batch.column("parents"), line))
            family.descendants.update(batch.column("id").take(pa.array(places)).to_pylist())
    family.descendants -= {family.row} | family.ancestors


def _place(table: Table, part: int, row: str, family: _Family) -> dict[str, Any]:
    relation = "row" if row == family.row else "ancestor" if row in family.ancestors else "descendant"
    return {"step": table.step, "table": table.id[:12], "part": part, "id": row, "of": relation}


def _present(row: Mapping[str, Any], family: _Family) -> dict[str, Any]:
    """The event and the columns of a row that is there."""
    event = "derived" if "parents" in row else "attributes"
    if isinstance(row.get("text"), str):
        text_hash = text_hashes(pa.array([row["text"]]))[0].as_py()
        before = family.texts.get(row["id"])
        event = "derived" if "parents" in row and before is None else "read" if before is None else "kept"
        event = "rewritten" if before not in (None, text_hash) else event
        family.texts[row["id"]] = text_hash
    told = {
        name: tell(name, value) for name, value in row.items() if name not in ("id", "parents") and value is not None
    }
    answer: dict[str, Any] = {"event": event, "columns": told}
    return {**answer, "parents": row["parents"]} if "parents" in row else answer


def tell(name: str, value: Any) -> Any:
    """What may be said of a value: numbers, names of classes and ids as they are; spans by kind; else only how long
    it is.
    """
    if isinstance(value, (bool, int)) or value is None:
        return value
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, str):
        return value if name in TOLD or re.fullmatch(r"[0-9a-f]{32}", value) else {"characters": len(value)}
    if isinstance(value, list):
        return _tell_list(name, value)
    return {key: tell(key, inner) for key, inner in value.items()} if isinstance(value, dict) else type(value).__name__


def _tell_list(name: str, values: list[Any]) -> Any:
    if name == "spans" or (values and isinstance(values[0], dict) and {"start", "kind"} <= values[0].keys()):
        kinds = [span["kind"] for span in values]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    if len(values) <= 8 and all(isinstance(v, float) or (isinstance(v, str) and name in TOLD) for v in values):
        return [tell(name, v) for v in values]
    return {"length": len(values)}


def _fate(steps: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], family: _Family) -> str:
    """One line: where it is published, or where and why it ended."""
    if found:
        configs = list(dict.fromkeys(place["config"] for place in found))
        return f"published in {', '.join(configs)}"
    own = [s for s in steps if s["of"] == "row" and s["event"] == "dropped"]
    if own:
        into = f", in favour of {own[-1]['into']}" if "into" in own[-1] else ""
        return f"dropped at {own[-1]['step']}: {own[-1]['reason']}{into}"
    last = [s for s in steps if s["of"] == "row"]
    if last and last[-1]["event"] == "quarantined":  # of a repeated key one row goes on
        return f"quarantined at {last[-1]['step']}: {last[-1]['code']}"
    made = [s for s in steps if s["of"] == "descendant" and s["event"] == "dropped"]
    if made:
        return f"went into {len(family.descendants)} rows; dropped at {made[-1]['step']}: {made[-1]['reason']}"
    return f"not published; last seen at {last[-1]['step']}" if last else "not published"
