"""Puts sampled rows into the queue, once: seeding the same rows again finds the same batch.

A changed sample, label set or guideline makes a new batch of the same title; the open batch before it is cancelled, and
answers to questions that did not change (same item_key, label set and guideline) are carried over.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
import xxhash

from dataforge.errors import ConfigError, SchemaError
from dataforge.identity import digest_of
from dataforge.review import tables as t
from dataforge.review.database import Database
from dataforge.review.label_sets import KINDS, Guideline, LabelSet, load_guideline, load_label_set

SHOW, ON_DEADLINE = ("always", "after", "never"), ("wait", "close_resolved", "fail")
META = ("source", "channel", "speaker", "language", "uri", "reason", "filter", "score", "threshold", "conversation", "form")
CHUNK = 500


@dataclass(frozen=True)
class BatchSpec:
    """What is asked of whom. `need` answers per item; `salt` separates batches that are otherwise equal."""

    title: str
    kind: str = "act"  # act, instruct, dropped, preference
    label_set: str = ""  # name or path; empty: the kind's own
    guideline: str = ""
    need: int = 2
    lease_s: float = 300.0
    allow_multi: bool = False
    show_suggestions: str = "always"  # always, after the first answer, never
    deadline: float | None = None  # seconds since 1970 UTC
    on_deadline: str = "wait"
    salt: str = ""

    def check(self) -> None:
        rules = {
            "kind": (self.kind in KINDS, f"one of {', '.join(KINDS)}"),
            "need": (1 <= self.need <= 20, "from 1 to 20"),
            "lease_s": (10 <= self.lease_s <= 86400, "from 10 to 86400 seconds"),
            "show_suggestions": (self.show_suggestions in SHOW, f"one of {', '.join(SHOW)}"),
            "on_deadline": (self.on_deadline in ON_DEADLINE, f"one of {', '.join(ON_DEADLINE)}"),
            "title": (0 < len(self.title.strip()) <= 200, "1 to 200 characters"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise ConfigError(f"review.{name} must be {rule}", key=f"review.{name}")

    def loaded(self) -> tuple[LabelSet, Guideline]:
        return load_label_set(self.label_set or KINDS[self.kind]), load_guideline(self.guideline or KINDS[self.kind])


def seed(database: Database, rows: pa.Table, spec: BatchSpec) -> int:
    """Id of the batch that asks `spec` about `rows` (columns `id`, `text`; see `questions`); made if it is not there."""
    spec.check()
    label_set, guideline = spec.loaded()
    items = list(questions(rows, label_set))
    key = batch_key(spec, label_set, guideline, (item["item_key"] for item in items))
    now = database.now()
    with database.write() as c:
        known = c.execute(sa.select(t.batch.c.id, t.batch.c.state).where(t.batch.c.key == key)).first()
        batch_id = known.id if known else _insert_batch(c, key, spec, label_set, guideline, now)
        if not known:
            _insert_items(c, batch_id, items, spec.need)
        reopen = known is not None and known.state == "cancelled"
        _make_current(c, batch_id, spec, now, reopen=reopen)
        if not spec.salt and (known is None or reopen):  # a file's answers stand alone
            _carry_over(c, batch_id)
    return int(batch_id)


def batch_key(spec: BatchSpec, label_set: LabelSet, guideline: Guideline, item_keys: Iterable[str]) -> str:
    asked = [spec.title, spec.kind, spec.need, spec.allow_multi, spec.salt, label_set.sha256, guideline.sha256]
    return digest_of([*asked, sorted(item_keys)])


def questions(rows: pa.Table, label_set: LabelSet) -> Iterable[dict[str, Any]]:
    """One dict per row. A loop over rows is cheap: a sample has hundreds or thousands of rows, for people to read.

    Columns read where present: those of sample.SAMPLE (act, act_score, share, p_selected, priority: 0 is shown first,
    gold_label, prev_text, next_text), `context` (list of {speaker, text, after}), `suggestion`/`suggestion_score`/
    `suggestion_by`, `gold` (label or list), `random`, `instruct` {instruction, input, output}, `responses` (two strings)
    and the META columns.
    """
    if missing := [name for name in ("id", "text") if name not in rows.column_names]:
        raise SchemaError(f"a review sample needs column {missing[0]!r}; found {', '.join(rows.column_names)}")
    for number, row in enumerate(rows.to_pylist()):
        if row["id"] is None or row["text"] is None:
            raise SchemaError("a review sample has a row without id or text", row=number)
        shown = {"text": row["text"], "instruct": _instruct(row), "responses": row.get("responses")}
        yield {
            "row_id": row["id"],
            "item_key": xxhash.xxh3_128_hexdigest(f"{row['id']}\0{_dump(shown)}".encode()),
            "priority": -(_number(row.get("priority"), 0.0) or 0.0),
            "p_selected": _number(row.get("p_selected"), None),
            "is_random": bool(row.get("random")) or row.get("share") == "random",
            "text": row["text"].replace("\0", "\ufffd"),  # PostgreSQL stores no NUL
            "context_json": _dump(_context(row)),
            "instruct_json": _dump(
                {**(shown["instruct"] or {}), **({"responses": shown["responses"]} if shown["responses"] else {})}
            ),
            "meta_json": _dump({name: row[name] for name in _meta(row) if row.get(name) not in (None, "")}),
            "gold_json": _dump(_gold(row.get("gold") or row.get("gold_label"), label_set, number)),
            "suggestion": None if row.get("share") == "gold" else _suggestion(row, label_set),  # it would be the answer
        }


def _meta(row: dict[str, Any]) -> tuple[str, ...]:
    """A drawn sample may hold gold rows, which come from elsewhere: its sources would give them away."""
    return META if row.get("share") is None else tuple(name for name in META if name != "source")


def _dump(value: Any) -> str | None:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if value else None


def _number(value: Any, default: float | None) -> float | None:
    return default if value is None or not math.isfinite(value) else float(value)


def _instruct(row: dict[str, Any]) -> dict[str, str] | None:
    triple = row.get("instruct") or (row if row.get("instruction") else None)
    if not triple:
        return None
    output = triple.get("output") if triple.get("output") is not None else triple.get("response")
    return {"instruction": triple.get("instruction") or "", "input": triple.get("input") or "", "output": output or ""}


def _context(row: dict[str, Any]) -> list[dict[str, Any]]:
    value = row.get("context")
    entries = json.loads(value) if isinstance(value, str) and value else value or []
    if not entries:
        entries = [
            {
                "text": row[f"{side}_text"],
                "after": side == "next",
                "speaker": "same speaker" if row.get(f"{side}_same_speaker") else "another",
            }
            for side in ("prev", "next")
            if row.get(f"{side}_text")
        ]
    return [
        {
            "speaker": str(x.get("speaker") or ""),
            "text": str(x.get("text") or ""),
            "after": bool(x.get("after") or x.get("position") == "after"),
        }
        for x in entries
    ]


def _gold(value: Any, label_set: LabelSet, number: int) -> list[str]:
    wanted = [value] if isinstance(value, str) and value else list(value or [])
    names = [label_set.stored_name(word) for word in wanted]
    if None in names:
        raise SchemaError(
            f"gold label {wanted[names.index(None)]!r} is not in the label set {label_set.name!r}", row=number
        )
    return sorted(name for name in names if name)


def _suggestion(row: dict[str, Any], label_set: LabelSet) -> dict[str, Any] | None:
    word = row.get("suggestion") or row.get("act")
    name = label_set.stored_name(word) if word else None
    if name is None:  # a tagger of another label set: nothing to suggest here
        return None
    score = row.get("suggestion_score") if row.get("suggestion") else row.get("act_score")
    source = row.get("suggestion_by") or row.get("act_by") or "tagger"
    return {"source": str(source), "version": "", "label": name, "score": _number(score, None)}


def _insert_batch(
    c: sa.Connection, key: str, spec: BatchSpec, labels: LabelSet, guideline: Guideline, now: float
) -> int:
    values = {
        "key": key,
        "title": spec.title,
        "kind": spec.kind,
        "need": spec.need,
        "lease_s": spec.lease_s,
        "allow_multi": spec.allow_multi or labels.multi,
        "show_suggestions": spec.show_suggestions,
        "state": "open",
        "deadline": spec.deadline,
        "on_deadline": spec.on_deadline,
        "created_at": now,
        "seeded_at": now,
        "label_schema_id": _stored(
            c, t.label_schema, labels.sha256, name=labels.name, version=labels.version, json=labels.json()
        ),
        "guideline_id": _stored(
            c,
            t.guideline,
            guideline.sha256,
            name=guideline.name,
            version=guideline.version,
            markdown=guideline.markdown,
        ),
    }
    return int(c.execute(t.batch.insert().values(**values).returning(t.batch.c.id)).scalar_one())


def _stored(c: sa.Connection, table: sa.Table, sha256: str, **values: str) -> int:
    found = c.scalar(sa.select(table.c.id).where(table.c.sha256 == sha256))
    return int(found or c.execute(table.insert().values(sha256=sha256, **values).returning(table.c.id)).scalar_one())


def _insert_items(c: sa.Connection, batch_id: int, items: list[dict[str, Any]], need: int) -> None:
    if len({item["row_id"] for item in items}) < len(items):
        raise SchemaError("a review sample has the same id twice")
    own = {"batch_id": batch_id, "need": need, "done": 0}
    for start in range(0, len(items), CHUNK):
        chunk = items[start : start + CHUNK]
        c.execute(t.item.insert(), [{**{k: v for k, v in x.items() if k != "suggestion"}, **own} for x in chunk])
    ids = dict(c.execute(sa.select(t.item.c.row_id, t.item.c.id).where(t.item.c.batch_id == batch_id)).tuples().all())
    suggested = [{"item_id": ids[x["row_id"]], **x["suggestion"]} for x in items if x["suggestion"]]
    for start in range(0, len(suggested), CHUNK):
        c.execute(t.suggestion.insert(), suggested[start : start + CHUNK])


def _make_current(c: sa.Connection, batch_id: int, spec: BatchSpec, now: float, *, reopen: bool) -> None:
    values = {
        "seeded_at": now,
        "deadline": spec.deadline,
        "on_deadline": spec.on_deadline,
        "show_suggestions": spec.show_suggestions,
        "lease_s": spec.lease_s,
    }
    c.execute(
        t.batch.update().where(t.batch.c.id == batch_id).values(**values, **({"state": "open"} if reopen else {}))
    )
    others = (t.batch.c.title == spec.title) & (t.batch.c.id != batch_id) & t.batch.c.state.in_(("open", "closing"))
    for (old,) in c.execute(sa.select(t.batch.c.id).where(others)).all():
        c.execute(t.batch.update().where(t.batch.c.id == old).values(state="cancelled"))
        c.execute(
            t.audit.insert().values(
                at=now, action="batch.replaced", object=f"batch {old}", after_json=_dump({"by": batch_id})
            )
        )


def _carry_over(c: sa.Connection, batch_id: int) -> None:
    """Copies live answers and adjudications to equal questions of earlier batches, newest first, one per person."""
    new, old, batches, a = t.item.alias("new"), t.item.alias("old"), t.batch, t.annotation
    mine = c.execute(sa.select(batches).where(batches.c.id == batch_id)).one()
    same = (
        (old.c.batch_id != batch_id)
        & (batches.c.id == old.c.batch_id)
        & (batches.c.label_schema_id == mine.label_schema_id)
        & (batches.c.guideline_id == mine.guideline_id)
    )
    answers = (
        c.execute(
            sa.select(new.c.id.label("new_item"), a)
            .select_from(new)
            .join(old, old.c.item_key == new.c.item_key)
            .join(batches, same)
            .join(a, a.c.item_id == old.c.id)
            .where(
                new.c.batch_id == batch_id,
                a.c.superseded_by.is_(None),
                a.c.kind.in_(("label", "unsure", "reject", "flag")),
            )
            .order_by(new.c.id, a.c.created_at.desc(), a.c.id.desc())
        )
        .mappings()
        .all()
    )
    have = set(
        c.execute(
            sa.select(a.c.item_id, a.c.user_id)
            .join(new, new.c.id == a.c.item_id)
            .where(new.c.batch_id == batch_id, a.c.superseded_by.is_(None), a.c.kind != "skip")
        )
        .tuples()
        .all()
    )
    done: dict[int, int] = dict(
        c.execute(sa.select(new.c.id, new.c.done).where(new.c.batch_id == batch_id)).tuples().all()
    )
    for row in answers:
        item_id = row["new_item"]
        if (item_id, row["user_id"]) in have:
            continue
        have.add((item_id, row["user_id"]))
        extra = done[item_id] >= mine.need
        done[item_id] += not extra
        kept = {k: v for k, v in row.items() if k not in ("new_item", "id", "superseded_by")}
        key = f"carried:{batch_id}:{row['id']}:{mine.seeded_at}"
        c.execute(t.annotation.insert().values(**{**kept, "item_id": item_id, "client_key": key, "extra": extra}))
        c.execute(t.item.update().where(t.item.c.id == item_id).values(done=done[item_id]))
    _carry_decisions(c, batch_id, new, old, same)


def _carry_decisions(c: sa.Connection, batch_id: int, new: Any, old: Any, same: sa.ColumnElement[bool]) -> None:
    d = t.decision
    rows = (
        c.execute(
            sa.select(new.c.id.label("new_item"), d)
            .select_from(new)
            .join(old, old.c.item_key == new.c.item_key)
            .join(t.batch, same)
            .join(d, d.c.item_id == old.c.id)
            .where(new.c.batch_id == batch_id, d.c.source == "adjudicated")
            .order_by(new.c.id, d.c.decided_at.desc())
        )
        .mappings()
        .all()
    )
    have = set(c.scalars(sa.select(d.c.item_id).join(new, new.c.id == d.c.item_id).where(new.c.batch_id == batch_id)))
    for row in rows:
        if row["new_item"] not in have:
            have.add(row["new_item"])
            kept = {k: v for k, v in row.items() if k != "new_item"}
            c.execute(d.insert().values(**{**kept, "item_id": row["new_item"]}))
