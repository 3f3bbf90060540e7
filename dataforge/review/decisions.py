"""From answers to decisions: what an item's answers amount to, adjudication by a lead.

A decision is adjudicated (a lead chose), unanimous, majority (three or more answers, more than half equal), single (one
answer, nobody else asked or doubting) or unresolved. Unresolved items never reach training data. `unsure` and `flag`
are answers without a vote: they count against unanimity.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from dataforge.review import tables as t
from dataforge.review.batches import labels_of
from dataforge.review.database import Database
from dataforge.review.problems import Conflict, Invalid, NotFound

SOURCES = ("unanimous", "majority", "adjudicated", "single", "unresolved")
CATEGORIES = ("ambiguous_text", "guideline_gap", "annotator_error", "edge_case", "needs_context", "other")


@dataclass(frozen=True)
class Given:
    """One live answer, as deciding sees it."""

    kind: str  # label, unsure, reject, flag
    labels: tuple[str, ...] = ()
    instruct: str | None = None  # JSON of the edited triple


@dataclass(frozen=True)
class Decision:
    kind: str  # label, reject, none
    labels: tuple[str, ...]
    source: str
    n_answers: int
    agreement: float | None = None  # share of all answers that equal the decision
    instruct: str | None = None
    error_category: str = ""
    note: str = ""


def decide(answers: Sequence[Given]) -> Decision:
    """The decision that the answers themselves give. Order does not matter."""
    votes = Counter((g.kind, tuple(sorted(g.labels))) for g in answers if g.kind in ("label", "reject"))
    n, none = len(answers), Decision("none", (), "unresolved", len(answers))
    if not votes:
        return none
    (kind, labels), top = votes.most_common(1)[0]
    if top == n:
        source = "single" if n == 1 else "unanimous"
    elif n >= 3 and 2 * top > n:
        source = "majority"
    else:
        return none
    edits = {g.instruct for g in answers if (g.kind, tuple(sorted(g.labels))) == (kind, labels) and g.instruct}
    if len(edits) > 1:  # agreed on the label, edited differently: somebody must choose
        return none
    return Decision(kind, labels, source, n, top / n, next(iter(edits), None))


def given_of(c: sa.Connection, batch_id: int) -> dict[int, list[Given]]:
    """Live answers of every item of a batch, items without any included."""
    a = t.annotation
    items: dict[int, list[Given]] = {i: [] for i in c.scalars(sa.select(t.item.c.id).where(t.item.c.batch_id == batch_id))}
    rows = c.execute(
        sa.select(a.c.item_id, a.c.kind, a.c.labels_json, a.c.instruct_json)
        .join(t.item, t.item.c.id == a.c.item_id)
        .where(
            t.item.c.batch_id == batch_id,
            a.c.superseded_by.is_(None),
            a.c.kind.in_(("label", "unsure", "reject", "flag")),
        )
    )
    for item_id, kind, labels, instruct in rows:
        items[item_id].append(Given(kind, tuple(json.loads(labels)), instruct))
    return items


def decisions_of(c: sa.Connection, batch_id: int) -> dict[int, Decision]:
    """Stored decisions where there are (adjudicated, closed), else what the answers give."""
    items = given_of(c, batch_id)
    d = t.decision
    rows = c.execute(sa.select(d).join(t.item, t.item.c.id == d.c.item_id).where(t.item.c.batch_id == batch_id))
    stored = {row.item_id: _from_row(row) for row in rows}
    return {item_id: stored.get(item_id) or decide(answers) for item_id, answers in items.items()}


def _from_row(row: Any) -> Decision:
    return Decision(
        row.kind,
        tuple(json.loads(row.labels_json)),
        row.source,
        row.n_answers,
        row.agreement,
        row.instruct_json,
        row.error_category or "",
        row.note or "",
    )


def adjudicate(database: Database, item_id: int, user_id: int | None, decision: Decision) -> Decision:
    """A lead's word on one item; asked again, the last one holds and the audit keeps the others."""
    if decision.error_category and decision.error_category not in CATEGORIES:
        raise Invalid(f"error_category must be one of {', '.join(CATEGORIES)}")
    with database.write() as c:
        batch = _lock_batch_of(c, database, item_id)
        names, most = labels_of(c, batch.label_schema_id).names, 2 if batch.allow_multi else 1
        valid = {
            "label": 1 <= len(decision.labels) <= most and set(decision.labels) <= set(names),
            "reject": not decision.labels,
            "none": not decision.labels,
        }
        if not valid.get(decision.kind, False):
            raise Invalid(f"a decision takes 1 to {most} labels of {', '.join(names)}, or is a rejection")
        answers = given_of_item(c, item_id)
        share = sum(_equals(g, decision) for g in answers) / len(answers) if answers else None
        source = "unresolved" if decision.kind == "none" else "adjudicated"
        final = replace(decision, source=source, n_answers=len(answers), agreement=share)
        _audit_decision(c, database, item_id, user_id, final)
        store_decisions(c, {item_id: final}, user_id, database.now())
    return final


def _equals(given: Given, decision: Decision) -> bool:
    return (given.kind, sorted(given.labels)) == (decision.kind, sorted(decision.labels))


def given_of_item(c: sa.Connection, item_id: int) -> list[Given]:
    a = t.annotation
    live = (a.c.item_id == item_id) & a.c.superseded_by.is_(None) & a.c.kind.in_(("label", "unsure", "reject", "flag"))
    return [Given(r.kind, tuple(json.loads(r.labels_json)), r.instruct_json) for r in c.execute(sa.select(a).where(live))]


def withdraw(database: Database, item_id: int, user_id: int | None) -> None:
    """Takes an adjudication back: the answers decide again."""
    with database.write() as c:
        _lock_batch_of(c, database, item_id)
        _audit_decision(c, database, item_id, user_id, None)
        c.execute(t.decision.delete().where(t.decision.c.item_id == item_id))


def _lock_batch_of(c: sa.Connection, database: Database, item_id: int) -> Any:
    select = sa.select(t.batch).join(t.item, t.item.c.batch_id == t.batch.c.id).where(t.item.c.id == item_id)
    batch = c.execute(select if database.is_sqlite else select.with_for_update(read=True, of=t.batch)).first()
    if batch is None:
        raise NotFound("no such item")
    if not database.is_sqlite:  # two leads at one item take turns
        c.execute(sa.text("select 1 from item where id = :item for no key update"), {"item": item_id})
    if batch.state not in ("open", "closing"):
        raise Conflict(f"this batch is {batch.state}: its decisions are final", kind="batch-" + batch.state)
    return batch


def _audit_decision(c: sa.Connection, database: Database, item_id: int, user_id: int | None, after: Decision | None) -> None:
    row = c.execute(sa.select(t.decision).where(t.decision.c.item_id == item_id)).first()
    words = [
        None if x is None else json.dumps({"kind": x.kind, "labels": x.labels, "source": x.source})
        for x in (_from_row(row) if row else None, after)
    ]
    c.execute(
        t.audit.insert().values(
            at=database.now(),
            user_id=user_id,
            action="decision",
            object=f"item {item_id}",
            before_json=words[0],
            after_json=words[1],
        )
    )


def store_decisions(c: sa.Connection, decisions: dict[int, Decision], user_id: int | None, now: float) -> None:
    rows = [
        {
            "item_id": i,
            "kind": x.kind,
            "labels_json": json.dumps(sorted(x.labels)),
            "instruct_json": x.instruct,
            "source": x.source,
            "n_answers": x.n_answers,
            "agreement": x.agreement,
            "error_category": x.error_category or None,
            "note": x.note or None,
            "decided_by": user_id if x.source == "adjudicated" else None,
            "decided_at": now,
        }
        for i, x in decisions.items()
    ]
    ids = list(decisions)
    for start in range(0, len(ids), 500):
        c.execute(t.decision.delete().where(t.decision.c.item_id.in_(ids[start : start + 500])))
        c.execute(t.decision.insert(), rows[start : start + 500])
