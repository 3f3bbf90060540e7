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
    known: int  # the same answer is already there, from an earlier import or from the page
    decisions: int
    different: int = 0  # the person's answer that is already there says something else: it stays


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
        stored = _store_answers(c, database.now(), row, batch.answers, items, users)
        decided = {items[row_id]: decision for row_id, decision in batch.decisions.items()}
        store_decisions(c, decided, None, database.now())
    new = len(batch.answers) - stored.known - stored.different
    return Imported(new, stored.known, len(batch.decisions), stored.different)


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


@dataclass(frozen=True)
class _Stored:
    """What of the answers of a file was there before: the same one, or another of the same person."""

    known: int
    different: int


def _store_answers(
    c: sa.Connection, now: float, batch: Any, answers: Iterable[Given], items: dict[str, int], users: dict[str, int]
) -> _Stored:
    have, done, versions = _live(c, batch.id), _done(c, batch.id), _versions(c, batch)
    known, different, rows = 0, 0, []
    for given in answers:
        place = (items[given.row_id], users[given.annotator])
        if place in have:
            known, different = (known + 1, different) if have[place] == _content(given) else (known, different + 1)
            continue
        have[place] = _content(given)
        extra = done[place[0]] >= batch.need
        done[place[0]] += not extra and given.kind in COUNTED
        key = _client_key(batch.id, given, now)
        rows.append(_row(given, *place) | {**versions, "extra": extra, "client_key": key, "created_at": now})
    _insert(c, rows, done)
    return _Stored(known, different)


def _content(given: Given) -> tuple[str, str, str | None]:
    """(kind, labels, triple) as the database has them."""
    triple = json.dumps(given.instruct, ensure_ascii=False, sort_keys=True) if given.instruct else None
    return given.kind, json.dumps(sorted(given.labels)), triple


def _live(c: sa.Connection, batch_id: int) -> dict[tuple[int, int], tuple[str, str, str | None]]:
    """By item and person, what stands of their answers."""
    a = t.annotation
    live = a.c.superseded_by.is_(None) & (a.c.kind != "skip") & (t.item.c.batch_id == batch_id)
    columns = (a.c.item_id, a.c.user_id, a.c.kind, a.c.labels_json, a.c.instruct_json)
    rows = c.execute(sa.select(*columns).join(t.item, t.item.c.id == a.c.item_id).where(live))
    return {(r.item_id, r.user_id): (r.kind, r.labels_json, r.instruct_json) for r in rows}


def _done(c: sa.Connection, batch_id: int) -> dict[int, int]:
    return dict(c.execute(sa.select(t.item.c.id, t.item.c.done).where(t.item.c.batch_id == batch_id)).tuples().all())


def _versions(c: sa.Connection, batch: Any) -> dict[str, Any]:
    guideline = sa.select(t.guideline.c.version).where(t.guideline.c.id == batch.guideline_id)
    return {"schema_version": labels_of(c, batch.label_schema_id).version, "guideline_version": c.scalar(guideline)}


def _row(given: Given, item_id: int, user_id: int) -> dict[str, Any]:
    kind, labels, triple = _content(given)
    said = {"kind": kind, "labels_json": labels, "instruct_json": triple, "seconds": given.seconds}
    return {"item_id": item_id, "user_id": user_id, "flagged": given.flagged or kind == "flag", **said}


def _insert(c: sa.Connection, rows: list[dict[str, Any]], done: dict[int, int]) -> None:
    for start in range(0, len(rows), 500):
        c.execute(t.annotation.insert(), rows[start : start + 500])
    if touched := sorted({row["item_id"] for row in rows}):
        update = t.item.update().where(t.item.c.id == sa.bindparam("touched")).values(done=sa.bindparam("so_far"))
        c.execute(update, [{"touched": i, "so_far": done[i]} for i in touched])


def _client_key(batch_id: int, given: Given, now: float) -> str:
    """Unique, and unlike any that a browser makes."""
    text = f"{batch_id}\0{given.row_id}\0{given.annotator}\0{now!r}"
    return "import:" + hashlib.sha256(text.encode()).hexdigest()
