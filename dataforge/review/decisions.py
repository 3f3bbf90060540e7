"""From answers to decisions: what an item's answers amount to, adjudication by a lead, closing a batch.

A decision is adjudicated (a lead chose), unanimous, majority (three or more answers, more than half equal), single (one
answer, nobody else asked or doubting) or unresolved. Unresolved items never reach training data. `unsure` and `flag`
are answers without a vote: they count against unanimity.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from dataforge.errors import EXIT_WAITING
from dataforge.review import tables as t
from dataforge.review.database import Database
from dataforge.review.problems import Conflict, Invalid, NotFound
from dataforge.review.queue import labels_of

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


@dataclass(frozen=True)
class Closing:
    """What closing does or would do. `unanswered` items have fewer answers than needed and are not adjudicated."""

    state: str
    counts: dict[str, int]
    unanswered: int
    leased: int
    export_sha256: str | None = None

    def sentence(self) -> str:
        agreed = sum(self.counts.get(source, 0) for source in ("unanimous", "majority", "single"))
        adjudicated, unresolved = (self.counts.get(source, 0) for source in ("adjudicated", "unresolved"))
        return f"{agreed} agreed, {adjudicated} adjudicated, {unresolved} unresolved"


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
    items: dict[int, list[Given]] = {
        i: [] for i in c.scalars(sa.select(t.item.c.id).where(t.item.c.batch_id == batch_id))
    }
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
    return [
        Given(r.kind, tuple(json.loads(r.labels_json)), r.instruct_json) for r in c.execute(sa.select(a).where(live))
    ]


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


def _audit_decision(
    c: sa.Connection, database: Database, item_id: int, user_id: int | None, after: Decision | None
) -> None:
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


def preview(database: Database, batch_id: int) -> Closing:
    with database.read() as c:
        batch = c.execute(sa.select(t.batch).where(t.batch.c.id == batch_id)).first()
        if batch is None:
            raise NotFound("there is no such batch")
        return _closing(c, batch, decisions_of(c, batch_id), database.now())


def _closing(c: sa.Connection, batch: Any, decisions: dict[int, Decision], now: float) -> Closing:
    counts = Counter(decision.source for decision in decisions.values())
    short = c.scalars(sa.select(t.item.c.id).where(t.item.c.batch_id == batch.id, t.item.c.done < t.item.c.need)).all()
    unanswered = sum(decisions[item_id].source != "adjudicated" for item_id in short)
    leased = c.scalar(
        sa.select(sa.func.count())
        .select_from(t.lease)
        .join(t.item, t.item.c.id == t.lease.c.item_id)
        .where(t.item.c.batch_id == batch.id, t.lease.c.expires_at > now)
    )
    return Closing(
        batch.state, {s: counts.get(s, 0) for s in SOURCES}, unanswered, int(leased or 0), batch.export_sha256
    )


def close(
    database: Database,
    batch_id: int,
    user_id: int | None = None,
    *,
    allow_unresolved: bool = False,
    now_at_once: bool = False,
    digest: Callable[[sa.Connection, int], str],
) -> Closing:
    """Makes decisions final. With live leases the batch goes to `closing` and takes their answers; call again to finish.

    Raises Conflict while items are unresolved or short of answers, unless `allow_unresolved`. Closing a closed batch
    changes nothing. `digest` gives the sha256 of the export (export.py), stored in the same transaction.
    """
    with database.write() as c:
        select = sa.select(t.batch).where(t.batch.c.id == batch_id)
        batch = c.execute(select if database.is_sqlite else select.with_for_update()).first()
        if batch is None:
            raise NotFound("there is no such batch")
        decisions = decisions_of(c, batch_id)
        plan = _closing(c, batch, decisions, database.now())
        if batch.state == "closed":
            return plan
        if batch.state == "cancelled":
            raise Conflict("this batch was replaced by a newer one", kind="batch-cancelled")
        if (plan.counts["unresolved"] or plan.unanswered) and not allow_unresolved:
            raise Conflict(
                f"not closed: {plan.sentence()}, {plan.unanswered} short of answers",
                kind="unresolved",
                code="REVIEW",
                exit_code=EXIT_WAITING,
                hint="adjudicate them, or close without them: --allow-unresolved",
            )
        if plan.leased and not now_at_once:
            c.execute(t.batch.update().where(t.batch.c.id == batch_id).values(state="closing"))
            return replace(plan, state="closing")
        return _finish(c, database, batch_id, user_id, decisions, plan, digest)


def _finish(
    c: sa.Connection,
    database: Database,
    batch_id: int,
    user_id: int | None,
    decisions: dict[int, Decision],
    plan: Closing,
    digest: Callable[[sa.Connection, int], str],
) -> Closing:
    now = database.now()
    store_decisions(c, {i: x for i, x in decisions.items() if x.source != "adjudicated"}, user_id, now)
    values = {"state": "closed", "closed_at": now, "closed_by": user_id}
    c.execute(t.batch.update().where(t.batch.c.id == batch_id).values(**values))
    sha256 = digest(c, batch_id)
    c.execute(t.batch.update().where(t.batch.c.id == batch_id).values(export_sha256=sha256))
    c.execute(
        t.audit.insert().values(
            at=now,
            user_id=user_id,
            action="batch.closed",
            object=f"batch {batch_id}",
            after_json=json.dumps({"counts": plan.counts, "export_sha256": sha256}),
        )
    )
    return replace(plan, state="closed", export_sha256=sha256)


def due(database: Database) -> Iterable[Any]:
    """Batches that a sweep must look at: past their deadline, or closing with no live lease left."""
    with database.read() as c:
        now = database.now()
        rows = c.execute(sa.select(t.batch).where(t.batch.c.state.in_(("open", "closing")))).all()
        live = (
            sa.select(t.item.c.batch_id)
            .join(t.lease, t.lease.c.item_id == t.item.c.id)
            .where(t.lease.c.expires_at > now)
        )
        busy = set(c.scalars(live.distinct()))
    return [
        b for b in rows if (b.deadline is not None and b.deadline <= now) or (b.state == "closing" and b.id not in busy)
    ]
