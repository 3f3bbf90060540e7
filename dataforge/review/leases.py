"""Leases: who holds which item. Each public function is one transaction on the database.

A lease is a time-limited hold of one person on one item. For every item, counted answers + live leases of others never
exceed `need`, so no work is done twice. Times are the server's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dataforge.review.batches import item_settings, open_batch
from dataforge.review.database import Database
from dataforge.review.problems import Conflict
from dataforge.review.statement import Statement

CLAIM_LIMIT = 20


@dataclass(frozen=True)
class Claimed:
    item_ids: tuple[int, ...]
    expires_at: float
    with_others: int = 0  # open items that only leases of others keep from me
    back_at: float | None = None  # when the first of those leases ends


_FRESH = """
select i.id from item i
 where i.batch_id = :batch and i.done < i.need
   and not exists (select 1 from annotation a where a.item_id = i.id and a.user_id = :user
                   and a.superseded_by is null {and_not_skipped})
   and not exists (select 1 from lease m where m.item_id = i.id and m.user_id = :user and m.expires_at > :now)
   and i.done + (select count(*) from lease l where l.item_id = i.id and l.user_id <> :user and l.expires_at > :now) < i.need
 order by i.priority desc, i.id limit :n"""
# Two statements instead of one ordered by "skipped last": an order by expressions would sort every open row.
FRESH, SKIPPED = (Statement(_FRESH.format(and_not_skipped=x)) for x in ("", "and a.kind <> 'skip'"))
# PostgreSQL: lock what is found, then count again under the locks.
LOCKED = {x: Statement(x.text + " for no key update of i skip locked") for x in (FRESH, SKIPPED)}
AGAIN = ("i.batch_id = :batch", "i.batch_id = :batch and i.id = any(:found)")
RECOUNTED = {x: Statement(x.text.replace(*AGAIN)) for x in (FRESH, SKIPPED)}
GRANT = Statement("""
insert into lease (item_id, user_id, granted_at, expires_at) values (:item, :user, :now, :expires)
on conflict (item_id, user_id) do update set granted_at = excluded.granted_at, expires_at = excluded.expires_at""")
HELD = Statement("""
update lease set expires_at = :expires, granted_at = :now
 where user_id = :user and expires_at > :now
   and exists (select 1 from item i where i.id = lease.item_id and i.batch_id = :batch)
returning item_id""")
TAKEN = Statement("""
select i.done + (select count(*) from lease l where l.item_id = i.id and l.user_id <> :user and l.expires_at > :now)
  from item i where i.id = :item""")
OTHERS = Statement("""
select count(distinct i.id) items, min(l.expires_at) back_at from item i join lease l on l.item_id = i.id
 where i.batch_id = :batch and i.done < i.need and l.user_id <> :user and l.expires_at > :now
   and not exists (select 1 from annotation a where a.item_id = i.id and a.user_id = :user
                   and a.superseded_by is null and a.kind <> 'skip')""")
DROP = Statement("delete from lease where item_id = :item and user_id = :user")
RELEASE = Statement("update lease set expires_at = :now where item_id = :item and user_id = :user")


def claim(database: Database, batch_id: int, user_id: int, n: int = 3) -> Claimed:
    """Renews what the person holds in the batch and leases open items until they hold `n`, best first, skipped last."""
    with database.write() as c:
        return claim_in(c, database, batch_id, user_id, n)


def claim_in(c: sa.Connection, database: Database, batch_id: int, user_id: int, n: int) -> Claimed:
    """`claim` inside a transaction of the caller, as all functions that end so."""
    n, now = max(1, min(n, CLAIM_LIMIT)), database.now()
    batch = open_batch(c, database, batch_id)
    values = {"batch": batch_id, "user": user_id, "now": now, "expires": now + batch.lease_s}
    held = HELD.column(c, values)
    for select in (FRESH, SKIPPED):
        if len(held) < n:
            held += _grant(c, database, {**values, "n": n - len(held)}, select)
    if not held:
        others = OTHERS.first(c, values)
        return Claimed((), now, int(others.items), others.back_at)  # type: ignore[union-attr]
    return Claimed(tuple(held), values["expires"])


def _grant(c: sa.Connection, database: Database, values: dict[str, Any], select: Statement) -> list[int]:
    found = select.column(c, values) if database.is_sqlite else _lock_and_recount(c, values, select)
    for item_id in found:
        GRANT.run(c, {**values, "item": item_id})
    return found


def _lock_and_recount(c: sa.Connection, values: dict[str, Any], select: Statement) -> list[int]:
    """PostgreSQL: the first statement's snapshot may be older than a lease committed just now, so count under the locks."""
    found = LOCKED[select].column(c, values)
    return RECOUNTED[select].column(c, {**values, "found": found}) if found else []


def renew(database: Database, item_id: int, user_id: int) -> float:
    """New end of my lease. An expired lease comes back only if the slot is still free."""
    with database.write() as c:
        return renew_in(c, database, item_id, user_id)


def renew_in(c: sa.Connection, database: Database, item_id: int, user_id: int) -> float:
    now = database.now()
    item = item_settings(c, database, item_id, user_id, states=("open", "closing"))
    if not slot_is_free(c, item, user_id, now):
        raise Conflict("taken by another", kind="taken")
    grant(c, item_id, user_id, now, now + item.lease_s)
    return float(now + item.lease_s)


def release(database: Database, item_id: int, user_id: int) -> None:
    """Gives the item back to the queue at once. The row stays, so that a late answer is still recognised as mine."""
    with database.write() as c:
        RELEASE.run(c, {"item": item_id, "user": user_id, "now": database.now()})


def grant(c: sa.Connection, item_id: int, user_id: int, now: float, expires: float) -> None:
    GRANT.run(c, {"item": item_id, "user": user_id, "now": now, "expires": expires})


def drop_lease(c: sa.Connection, item_id: int, user_id: int) -> None:
    DROP.run(c, {"item": item_id, "user": user_id})


def slot_is_free(c: sa.Connection, item: Any, user_id: int, now: float) -> bool:
    """Whether answers that count and live leases of others leave room for one more."""
    return int(TAKEN.scalar(c, {"item": item.id, "user": user_id, "now": now}) or 0) < int(item.need)
