"""Closing a batch: what it would do, doing it, and which batches a sweep must look at."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from dataforge.errors import EXIT_WAITING
from dataforge.review import tables as t
from dataforge.review.database import Database
from dataforge.review.decisions import SOURCES, Decision, decisions_of, store_decisions
from dataforge.review.problems import Conflict, NotFound


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
    return Closing(batch.state, {s: counts.get(s, 0) for s in SOURCES}, unanswered, int(leased or 0), batch.export_sha256)


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
        batch = _held(c, database, batch_id)
        decisions = decisions_of(c, batch_id)
        plan = _closing(c, batch, decisions, database.now())
        if batch.state == "closed":
            return plan
        _may_close(batch, plan, allow_unresolved)
        if plan.leased and not now_at_once:
            c.execute(t.batch.update().where(t.batch.c.id == batch_id).values(state="closing"))
            return replace(plan, state="closing")
        return _finish(c, database, batch_id, user_id, decisions, plan, digest)


def _held(c: sa.Connection, database: Database, batch_id: int) -> Any:
    """The batch, kept from changing until this transaction ends."""
    select = sa.select(t.batch).where(t.batch.c.id == batch_id)
    batch = c.execute(select if database.is_sqlite else select.with_for_update()).first()
    if batch is None:
        raise NotFound("there is no such batch")
    return batch


def _may_close(batch: Any, plan: Closing, allow_unresolved: bool) -> None:
    if batch.state == "cancelled":
        raise Conflict("this batch was replaced by a newer one", kind="batch-cancelled")
    if (plan.counts["unresolved"] or plan.unanswered) and not allow_unresolved:
        raise Conflict(
            f"not closed yet: {plan.sentence()}; {plan.unanswered} still short of answers",
            kind="unresolved",
            code="REVIEW",
            exit_code=EXIT_WAITING,
            hint="label and adjudicate the rest, or leave the unresolved out of the data (--allow-unresolved)",
        )


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
        live = sa.select(t.item.c.batch_id).join(t.lease, t.lease.c.item_id == t.item.c.id).where(t.lease.c.expires_at > now)
        busy = set(c.scalars(live.distinct()))
    return [b for b in rows if (b.deadline is not None and b.deadline <= now) or (b.state == "closing" and b.id not in busy)]
