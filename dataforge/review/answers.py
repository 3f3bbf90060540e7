"""Answers that come from files: JSONL `id, label, annotator`, and what the bridges of formats.py read.

Everything is checked before anything is stored; the first bad line is named. Importing twice stores once. People named
in a file become inactive accounts: their answers count, they cannot log in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dataforge.errors import InputError, SchemaError, escape
from dataforge.review import tables as t
from dataforge.review.batches import batch_row, labels_of
from dataforge.review.database import Database
from dataforge.review.decisions import Decision, store_decisions
from dataforge.review.label_sets import LabelSet
from dataforge.review.problems import Conflict
from dataforge.review.queue import COUNTED, is_triple

LINE_LIMIT = 1 << 20
TRIPLE_ERROR = "`instruct` has the texts instruction, input and output, and only input may be empty"
RESERVED = {"unsure": "unsure", "reject": "reject", "flag": "flag"}


@dataclass(frozen=True)
class Given:
    """One answer from a file. `place` is its line or record, for errors."""

    row_id: str
    annotator: str
    kind: str
    labels: tuple[str, ...]
    place: int
    seconds: float | None = None
    instruct: dict[str, str] | None = None
    flagged: bool = False


@dataclass(frozen=True)
class Imported:
    answers: int
    known: int  # stored by an earlier import, or the same answer already there
    decisions: int


@dataclass(frozen=True)
class Batch:
    """What a file gives: answers, and decisions of a lead by row id."""

    answers: tuple[Given, ...]
    decisions: dict[str, Decision] = field(default_factory=dict)


def read_answers(path: Path, label_set: LabelSet) -> Iterator[Given]:
    """JSONL: `id`, `label` (stored or shown name, a list, or unsure/reject), `annotator`; `instruct`, an edited triple."""
    try:
        raw = path.read_bytes()
    except OSError:
        raise InputError("the answers file cannot be read", file=str(path)) from None
    for number, line in enumerate(raw.split(b"\n"), 1):
        if line.strip():
            yield _given(_object(line, path, number), label_set, path, number)


def _object(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8")) if len(line) <= LINE_LIMIT else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        raise SchemaError("a line of answers is a JSON object with the text `id`", file=str(path), row=number)
    return value


def _given(record: dict[str, Any], label_set: LabelSet, path: Path, number: int) -> Given:
    words = record.get("label", record.get("labels"))
    words = words if isinstance(words, list) else [words]
    annotator = record.get("annotator", "file")
    if not isinstance(annotator, str) or not 0 < len(annotator) <= 100:
        raise SchemaError("`annotator` is a name of 1 to 100 characters", file=str(path), row=number)
    instruct = record.get("instruct")
    if instruct is not None and not is_triple(instruct):
        raise SchemaError(TRIPLE_ERROR, file=str(path), row=number)
    if len(words) == 1 and words[0] in RESERVED:
        return Given(record["id"], annotator, RESERVED[words[0]], (), number, instruct=instruct)
    labels = tuple(label_set.stored_name(word) if isinstance(word, str) else None for word in words)
    if None in labels or not labels:
        wrong = escape(words[labels.index(None)] if labels else "", 40)
        raise SchemaError(
            f"label {wrong!r} is not in the label set {label_set.name!r}",
            file=str(path),
            row=number,
            hint=f"use one of {', '.join(label_set.names)}, unsure or reject",
        )
    return Given(record["id"], annotator, "label", tuple(str(x) for x in labels), number, instruct=instruct)


def import_answers(database: Database, batch_id: int, batch: Batch, *, file: str = "") -> Imported:
    """Stores what is new. Raises InputError for an unknown id or a contradiction, Conflict for a closed batch."""
    with database.write() as c:
        row = batch_row(c, batch_id)
        if row.state not in ("open", "closing"):
            raise Conflict(
                f"this batch is {row.state}: nothing more can be imported", kind="batch-" + row.state, file=file
            )
        items = dict(
            c.execute(sa.select(t.item.c.row_id, t.item.c.id).where(t.item.c.batch_id == batch_id)).tuples().all()
        )
        _check(batch, items, row.allow_multi, file)
        users = _accounts(c, {given.annotator for given in batch.answers}, database.now())
        known = _store_answers(c, database, row, batch.answers, items, users)
        store_decisions(
            c, {items[row_id]: decision for row_id, decision in batch.decisions.items()}, None, database.now()
        )
    return Imported(len(batch.answers) - known, known, len(batch.decisions))


def _check(batch: Batch, items: dict[str, int], allow_multi: bool, file: str) -> None:
    seen: dict[tuple[str, str], Given] = {}
    for given in batch.answers:
        if given.row_id not in items:
            raise InputError(
                f"id {escape(given.row_id, 64)} is not in the sample",
                file=file,
                row=given.place,
                hint="label the current sample: dataforge review export",
            )
        if len(given.labels) > (2 if allow_multi else 1):
            raise SchemaError(f"{len(given.labels)} labels where the batch takes one", file=file, row=given.place)
        if given.instruct is not None and not is_triple(given.instruct):
            raise SchemaError(TRIPLE_ERROR, file=file, row=given.place)
        first = seen.setdefault((given.row_id, given.annotator), given)
        if (first.kind, set(first.labels), first.instruct) != (given.kind, set(given.labels), given.instruct):
            raise InputError(
                f"the same annotator answers this id differently on line {first.place}", file=file, row=given.place
            )
    if unknown := [row_id for row_id in batch.decisions if row_id not in items]:
        raise InputError(f"id {escape(unknown[0], 64)} is not in the sample", file=file)
    for row_id, decision in batch.decisions.items():
        if decision.instruct and not is_triple(json.loads(decision.instruct)):
            raise SchemaError(f"the decision on {escape(row_id, 64)}: {TRIPLE_ERROR}", file=file)


def _accounts(c: sa.Connection, names: Iterable[str], now: float) -> dict[str, int]:
    found = dict(c.execute(sa.select(t.account.c.name, t.account.c.id)).tuples().all())
    for name in sorted(set(names) - set(found)):
        values = {"name": name, "role": "annotator", "active": False, "created_at": now}
        found[name] = c.execute(t.account.insert().values(**values).returning(t.account.c.id)).scalar_one()
    return found


def _store_answers(
    c: sa.Connection,
    database: Database,
    row: Any,
    answers: Iterable[Given],
    items: dict[str, int],
    users: dict[str, int],
) -> int:
    a = t.annotation
    live = a.c.superseded_by.is_(None) & (a.c.kind != "skip") & (t.item.c.batch_id == row.id)
    have = set(
        c.execute(sa.select(a.c.item_id, a.c.user_id).join(t.item, t.item.c.id == a.c.item_id).where(live))
        .tuples()
        .all()
    )
    done = dict(c.execute(sa.select(t.item.c.id, t.item.c.done).where(t.item.c.batch_id == row.id)).tuples().all())
    versions = {
        "schema_version": labels_of(c, row.label_schema_id).version,
        "guideline_version": c.scalar(sa.select(t.guideline.c.version).where(t.guideline.c.id == row.guideline_id)),
    }
    known, now, rows = 0, database.now(), []
    for given in answers:
        item_id, user_id = items[given.row_id], users[given.annotator]
        if (item_id, user_id) in have:
            known += 1
            continue
        have.add((item_id, user_id))
        extra = done[item_id] >= row.need
        done[item_id] += not extra and given.kind in COUNTED
        rows.append(
            {
                "item_id": item_id,
                "user_id": user_id,
                "kind": given.kind,
                "labels_json": json.dumps(sorted(given.labels)),
                "instruct_json": json.dumps(given.instruct, ensure_ascii=False, sort_keys=True)
                if given.instruct
                else None,
                "flagged": given.flagged or given.kind == "flag",
                "seconds": given.seconds,
                "extra": extra,
                **versions,
                "client_key": _client_key(row.id, given, now),
                "created_at": now,
            }
        )
    for start in range(0, len(rows), 500):
        c.execute(a.insert(), rows[start : start + 500])
    touched = sorted({r["item_id"] for r in rows})
    if touched:
        update = t.item.update().where(t.item.c.id == sa.bindparam("touched")).values(done=sa.bindparam("so_far"))
        c.execute(update, [{"touched": i, "so_far": done[i]} for i in touched])
    return known


def _client_key(batch_id: int, given: Given, now: float) -> str:
    """Unique, and unlike any that a browser makes."""
    text = f"{batch_id}\0{given.row_id}\0{given.annotator}\0{now!r}"
    return "import:" + hashlib.sha256(text.encode()).hexdigest()
