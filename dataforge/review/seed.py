"""Puts sampled rows into the queue, once: seeding the same rows again finds the same batch.

A changed sample, label set or guideline makes a new batch of the same title; the open batch before it is cancelled, and
answers to questions that did not change (same item_key, label set and guideline) are carried over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from dataforge.errors import ConfigError, SchemaError
from dataforge.identity import digest_of
from dataforge.review import tables as t
from dataforge.review.carried import carry_over
from dataforge.review.database import Database
from dataforge.review.label_sets import KINDS, Guideline, LabelSet, load_guideline, load_label_set
from dataforge.review.questions import dump, questions

SHOW, ON_DEADLINE = ("always", "after", "never"), ("wait", "close_resolved", "fail")
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
    """Id of the batch that asks `spec` about `rows` (columns `id`, `text`; see questions.py); made if it is not there."""
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
            carry_over(c, batch_id)
    return int(batch_id)


def batch_key(spec: BatchSpec, label_set: LabelSet, guideline: Guideline, item_keys: Iterable[str]) -> str:
    asked = [spec.title, spec.kind, spec.need, spec.allow_multi, spec.salt, label_set.sha256, guideline.sha256]
    return digest_of([*asked, sorted(item_keys)])


def _insert_batch(c: sa.Connection, key: str, spec: BatchSpec, labels: LabelSet, guideline: Guideline, now: float) -> int:
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
    c.execute(t.batch.update().where(t.batch.c.id == batch_id).values(**values, **({"state": "open"} if reopen else {})))
    others = (t.batch.c.title == spec.title) & (t.batch.c.id != batch_id) & t.batch.c.state.in_(("open", "closing"))
    for (old,) in c.execute(sa.select(t.batch.c.id).where(others)).all():
        c.execute(t.batch.update().where(t.batch.c.id == old).values(state="cancelled"))
        c.execute(
            t.audit.insert().values(
                at=now, action="batch.replaced", object=f"batch {old}", after_json=dump({"by": batch_id})
            )
        )
