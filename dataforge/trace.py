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
import pyarrow.parquet as pq

from dataforge.errors import InputError
from dataforge.identity import part_of, text_hashes
from dataforge.part import part_name, read_groups
from dataforge.table import Table
from dataforge.verify import read_manifest

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
    *("act", "form", "act_by", "label", "decided_by", "channel_kind", "subtype", "text_source", "conversation", "kind"),
    *("text_hash", "rewrites", "script", "suggestion", "suggestion_by", "stratum", "share", "labels", "error_category"),
}

TOLD_IN_A_LINE = 12


def trace(tables: Sequence[Table], row: str, published: Path | None = None) -> dict[str, Any]:
    """`tables` in graph order, `row` an id or a unique prefix of at least 8 hex digits.

    Gives {"id", "fate", "ancestors", "descendants", "steps": [...], "published": [...]}.
    Raises InputError (exit 3) for an id that no Table holds and for a prefix of several ids.
    """
    tables = [table for table in tables if not table.is_files]
    row = _full_id(tables, row)
    family = _Family(row)
    _climb(tables, family)
    steps = [step for table in tables for step in _at_step(table, family)]
    found = [] if published is None else list(_published(Path(published), family))
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


def _full_id(tables: Sequence[Table], row: str) -> str:
    """The one id that starts with `row`."""
    row = row.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{8,32}", row):
        raise InputError("an id is 32 hex digits, or the first 8 or more of them", key="id")
    found: set[str] = set()
    for table in tables:
        for kind in ("data", "dropped"):
            if kind == "data" and "id" not in table.schema.names:
                continue
            for _, batch in _read(table, ["id"], kind, pa.array([row.ljust(32, "0")])):
                ids = batch.column("id")
                found.update(ids.filter(pc.starts_with(ids, row)).to_pylist())
        if len(found) == 1 and len(row) == 32:
            break
    if not found:
        raise InputError(f"no table holds the row {row}", key="id", hint="`dataforge funnel` lists the steps that ran")
    if len(found) > 1:
        some = ", ".join(sorted(found)[:5])
        raise InputError(f"{len(found)} ids start with {row}: {some}", key="id", hint="give more digits")
    return found.pop()


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


def _descend(table: Table, family: _Family) -> None:
    """Adds the rows of a derived table that have the row or one of its descendants among their parents."""
    line = family.line()
    for part in range(table.n_parts):
        for batch in read_groups(table.path / "data" / part_name(part), ["id", "parents"]):
            places = np.unique(_parent_rows(batch.column("parents"), line))
            family.descendants.update(batch.column("id").take(pa.array(places)).to_pylist())
    family.descendants -= {family.row} | family.ancestors


def _parent_rows(parents: pa.Array, wanted: pa.Array) -> np.ndarray:
    """int64[k]: the rows whose list holds one of `wanted`, once per hit."""
    hits = pc.is_in(pc.list_flatten(parents), value_set=wanted)
    return np.asarray(pc.list_parent_indices(parents).filter(hits).to_numpy())


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


# --- the published version --------------------------------------------------------------------------------------------


def _published(out: Path, family: _Family) -> Iterator[dict[str, Any]]:
    """Where the row and its descendants stand: config, split, file, row in the file; the token range in packed rows."""
    wanted = family.line()
    for entry in read_manifest(out)["configs"]:
        column = "id" if any(c["name"] == "id" for c in entry["columns"]) else "parents"
        for file in entry["files"]:
            place = {"config": entry["config"], "split": entry["split"], "file": file["path"]}
            with pq.ParquetFile(out / file["path"], page_checksum_verification=True) as reader:
                for found in _in_ids(reader, wanted) if column == "id" else _in_parents(reader, wanted):
                    yield {**place, **found}


def _in_ids(reader: pq.ParquetFile, wanted: pa.Array) -> Iterator[dict[str, Any]]:
    """Row groups whose smallest and largest id exclude all wanted ones are not read."""
    first = 0
    names = reader.schema_arrow.names
    for group in range(reader.num_row_groups):
        metadata = reader.metadata.row_group(group)
        bounds = metadata.column(names.index("id")).statistics
        if bounds is None or any(bounds.min <= w <= bounds.max for w in wanted.to_pylist()):
            ids = reader.read_row_group(group, columns=["id"], use_threads=False)["id"]
            hits = pc.is_in(ids, value_set=wanted).to_numpy()
            for place in np.flatnonzero(hits).tolist():
                yield {"id": ids[place].as_py(), "row": first + place}
        first += metadata.num_rows


def _in_parents(reader: pq.ParquetFile, wanted: pa.Array) -> Iterator[dict[str, Any]]:
    """A sequence of a packed row runs from the sum of the lengths before it to that plus its own."""
    first = 0
    for group in range(reader.num_row_groups):
        rows = reader.read_row_group(group, columns=["parents", "seq_lengths"], use_threads=False).combine_chunks()
        if rows.num_rows:
            parents, lengths = rows["parents"].chunk(0), rows["seq_lengths"].chunk(0)
            for place in np.unique(_parent_rows(parents, wanted)).tolist():
                yield from _ranges(
                    first + place, parents[place].as_py(), lengths[place].as_py(), set(wanted.to_pylist())
                )
        first += rows.num_rows


def _ranges(row: int, parents: list[str], lengths: list[int], wanted: set[str]) -> Iterator[dict[str, Any]]:
    ends = np.cumsum(lengths).tolist()
    for parent, end, length in zip(parents, ends, lengths, strict=True):
        if parent in wanted:
            yield {"id": parent, "row": row, "tokens": {"start": end - length, "end": end}}


# --- in words ---------------------------------------------------------------------------------------------------------


def _fate(steps: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], family: _Family) -> str:
    """One line: where it is published, or where and why it ended."""
    if found:
        configs = list(dict.fromkeys(place["config"] for place in found))
        return f"published in {', '.join(configs)}"
    own = [s for s in steps if s["of"] == "row" and s["event"] == "dropped"]
    if own:
        into = f", in favour of {own[-1]['into']}" if "into" in own[-1] else ""
        return f"dropped at {own[-1]['step']}: {own[-1]['reason']}{into}"
    made = [s for s in steps if s["of"] == "descendant" and s["event"] == "dropped"]
    if made:
        return f"went into {len(family.descendants)} rows; dropped at {made[-1]['step']}: {made[-1]['reason']}"
    last = [s for s in steps if s["of"] == "row"]
    return f"not published; last seen at {last[-1]['step']}" if last else "not published"


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
    if step["event"] == "dropped":
        score = f" ({step['score']:g} against {step['threshold']:g})" if {"score", "threshold"} <= step.keys() else ""
        into = f" → {step['into']}" if "into" in step else ""
        return f": {step['reason']}{score}{into}"
    news = {name: value for name, value in step["columns"].items() if known.get(name) != value}
    known |= news
    parts = [f"{name}={_short(value)}" for name, value in news.items()]
    if len(parts) > TOLD_IN_A_LINE:
        parts[TOLD_IN_A_LINE:] = [f"{len(parts) - TOLD_IN_A_LINE} more columns"]
    if "parents" in step and step["event"] == "derived":
        parts.insert(0, f"{len(step['parents'])} parents")
    return "  " + ", ".join(parts) if parts else ""


def _short(value: Any) -> str:
    if isinstance(value, dict) and list(value) == ["characters"]:
        return f"{value['characters']:,} characters"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} {_short(v)}" for k, v in value.items()) + "}" if value else "none"
    return f"[{', '.join(map(_short, value))}]" if isinstance(value, list) else str(value)
