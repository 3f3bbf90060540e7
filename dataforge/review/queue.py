"""Who answers what: claims with leases, answers, undo. Each function is one transaction on the database.

A lease is a time-limited hold of one person on one item. For every item, counted answers + live leases of others never
exceed `need`, so no work is done twice; an answer that comes too late for its slot is refused with 409, never dropped
silently, and may be sent again as an extra answer. `client_key` makes a retry give the first result.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from dataforge.review import tables as t
from dataforge.review.database import Database
from dataforge.review.label_sets import LabelSet, label_set_from_json
from dataforge.review.problems import Conflict, Invalid, NotFound

KINDS = ("label", "unsure", "reject", "flag", "skip")
COUNTED = ("label", "unsure", "reject", "flag")  # a skip leaves the slot free
NOTE_LIMIT, TRIPLE_LIMIT, CLAIM_LIMIT = 4000, 200_000, 20


@dataclass(frozen=True)
class Answer:
    client_key: str
    kind: str = "label"
    labels: tuple[str, ...] = ()
    instruct: dict[str, str] | None = None  # the edited triple; None: left as it was
    note: str = ""
    reason: str = ""  # of a rejection
    flagged: bool = False
    seconds: float | None = None
    extra: bool = False  # store beyond `need` if the slot is gone
    replaces: int | None = None  # my earlier answer that this one corrects


@dataclass(frozen=True)
class Saved:
    answer_id: int
    item_id: int
    saved_at: float
    duplicate: bool = False  # the client_key was known: this is the first result again
    extra: bool = False


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
FRESH, SKIPPED = _FRESH.format(and_not_skipped=""), _FRESH.format(and_not_skipped="and a.kind <> 'skip'")
# Statements of the busy path are built once: building them anew costs more than SQLite takes to run them.
SELECT_FRESH, SELECT_SKIPPED = sa.text(FRESH), sa.text(SKIPPED)
GRANT = sa.text("""
insert into lease (item_id, user_id, granted_at, expires_at) values (:item, :user, :now, :expires)
on conflict (item_id, user_id) do update set granted_at = excluded.granted_at, expires_at = excluded.expires_at""")
HELD = sa.text("""
update lease set expires_at = :expires, granted_at = :now
 where user_id = :user and expires_at > :now
   and exists (select 1 from item i where i.id = lease.item_id and i.batch_id = :batch)
returning item_id""")
TAKEN = sa.text("""
select i.done + (select count(*) from lease l where l.item_id = i.id and l.user_id <> :user and l.expires_at > :now)
  from item i where i.id = :item""")
KNOWN = sa.text("select id, item_id, user_id, created_at, extra from annotation where client_key = :key")
HANDED = sa.text("""
select exists (select 1 from lease where item_id = :item and user_id = :user)
    or exists (select 1 from annotation where item_id = :item and user_id = :user)""")
ITEM = sa.text("""
select i.id, i.need, i.done, b.state, b.lease_s, b.allow_multi, s.json, s.version schema_version, g.version guideline_version
  from item i join batch b on b.id = i.batch_id join label_schema s on s.id = b.label_schema_id
  join guideline g on g.id = b.guideline_id where i.id = :item""")
LIVE = sa.text("""
select id, kind, labels_json, instruct_json, created_at, extra from annotation
 where item_id = :item and user_id = :user and superseded_by is null
 order by case kind when 'skip' then 1 else 0 end, id desc""")
INSERT = sa.text("""
insert into annotation (item_id, user_id, kind, labels_json, instruct_json, note, reason, flagged, seconds, extra,
                        schema_version, guideline_version, client_key, created_at)
values (:item_id, :user_id, :kind, :labels_json, :instruct_json, :note, :reason, :flagged, :seconds, :extra,
        :schema_version, :guideline_version, :client_key, :created_at) returning id""")
SUPERSEDE = sa.text("update annotation set superseded_by = :by where id = :id")
COUNT = sa.text("update item set done = done + :by where id = :item")
DROP_LEASE = sa.text("delete from lease where item_id = :item and user_id = :user")


def claim(database: Database, batch_id: int, user_id: int, n: int = 3) -> Claimed:
    """Renews what the person holds in the batch and leases open items until they hold `n`, best first, skipped last."""
    n = max(1, min(n, CLAIM_LIMIT))
    with database.write() as c:
        now = database.now()
        batch = open_batch(c, database, batch_id)
        values = {"batch": batch_id, "user": user_id, "now": now, "expires": now + batch.lease_s}
        held = list(c.execute(HELD, values).scalars())
        for skipped in (False, True):
            if len(held) < n:
                held += _grant(c, database, {**values, "n": n - len(held)}, skipped=skipped)
        if not held:
            return _nothing_left(c, batch_id, user_id, now)
    return Claimed(tuple(held), values["expires"])


def _grant(c: sa.Connection, database: Database, values: dict[str, Any], *, skipped: bool) -> list[int]:
    if database.is_sqlite:
        found = list(c.execute(SELECT_SKIPPED if skipped else SELECT_FRESH, values).scalars())
    else:
        found = _lock_and_recount(c, values, SKIPPED if skipped else FRESH)
    if found:
        c.execute(GRANT, [{**values, "item": item_id} for item_id in found])
    return found


def _lock_and_recount(c: sa.Connection, values: dict[str, Any], select: str) -> list[int]:
    """PostgreSQL: the first statement's snapshot may be older than a lease committed just now, so count under the locks."""
    found = list(c.execute(sa.text(select + " for no key update of i skip locked"), values).scalars())
    if not found:
        return []
    recount = select.replace("i.batch_id = :batch", "i.batch_id = :batch and i.id in :found")
    again = sa.text(recount).bindparams(sa.bindparam("found", expanding=True))
    return list(c.execute(again, {**values, "found": found}).scalars())


def _nothing_left(c: sa.Connection, batch_id: int, user_id: int, now: float) -> Claimed:
    others = sa.text("""
        select count(distinct i.id), min(l.expires_at) from item i join lease l on l.item_id = i.id
         where i.batch_id = :batch and i.done < i.need and l.user_id <> :user and l.expires_at > :now
           and not exists (select 1 from annotation a where a.item_id = i.id and a.user_id = :user
                           and a.superseded_by is null and a.kind <> 'skip')""")
    count, back_at = c.execute(others, {"batch": batch_id, "user": user_id, "now": now}).one()
    return Claimed((), now, int(count), back_at)


def open_batch(c: sa.Connection, database: Database, batch_id: int, *, states: Sequence[str] = ("open",)) -> Any:
    """The batch row, kept from changing state until this transaction ends; Conflict if it is in no state of `states`."""
    select = sa.select(t.batch).where(t.batch.c.id == batch_id)
    batch = c.execute(select if database.is_sqlite else select.with_for_update(read=True)).first()
    if batch is None:
        raise NotFound("there is no such batch")
    if batch.state not in states:
        raise Conflict(f"this batch is {batch.state}: nothing more can be answered in it", kind="batch-" + batch.state)
    return batch


def renew(database: Database, item_id: int, user_id: int) -> float:
    """New end of my lease. An expired lease comes back only if the slot is still free."""
    with database.write() as c:
        now = database.now()
        item = _item_of(c, database, item_id, user_id, states=("open", "closing"))
        if not _slot_is_free(c, item, user_id, now):
            raise Conflict("taken by another", kind="taken")
        expires = now + item.lease_s
        c.execute(GRANT, {"item": item_id, "user": user_id, "now": now, "expires": expires})
    return float(expires)


def release(database: Database, item_id: int, user_id: int) -> None:
    """Gives the item back to the queue at once. The row stays, so that a late answer is still recognised as mine."""
    with database.write() as c:
        mine = (t.lease.c.item_id == item_id) & (t.lease.c.user_id == user_id)
        c.execute(t.lease.update().where(mine).values(expires_at=database.now()))


def submit(database: Database, item_id: int, user_id: int, answer: Answer) -> Saved:
    """Stores one answer. Raises Conflict (kinds taken, already-answered, batch-…) with nothing stored."""
    with database.write() as c:
        now = database.now()
        if first := _known_key(c, answer.client_key, user_id):
            return first
        states = ("open", "closing") if answer.kind != "skip" else ("open",)
        item = _item_of(c, database, item_id, user_id, states=states)
        check(answer, parsed_labels(item.json), item.allow_multi)
        live = c.execute(LIVE, {"item": item_id, "user": user_id}).first()
        if live is not None and live.kind != "skip":
            return _correct(c, item, live, user_id, answer, now)
        extra = not _slot_is_free(c, item, user_id, now)
        if extra and answer.kind == "skip":
            return Saved(0, item_id, now)  # somebody else has it: nothing left to skip
        if extra and not answer.extra:
            raise Conflict("taken by another; your text is kept", kind="taken")
        saved = _insert(c, item, user_id, answer, now, extra=extra)
        if live is not None:
            _supersede(c, live.id, saved.answer_id)
        if not extra and answer.kind in COUNTED:
            c.execute(COUNT, {"item": item_id, "by": 1})
        c.execute(DROP_LEASE, {"item": item_id, "user": user_id})
    return saved


def undo(database: Database, answer_id: int, user_id: int) -> int:
    """Takes back my answer and holds its item for me again; its id. Undone twice is undone once."""
    with database.write() as c:
        now = database.now()
        old = c.execute(sa.select(t.annotation).where(t.annotation.c.id == answer_id)).first()
        if old is None or old.user_id != user_id or old.kind == "undo":
            raise NotFound("no such answer of yours")
        item = _item_of(c, database, old.item_id, user_id, states=("open", "closing"))
        if old.superseded_by is None:
            saved = _insert(c, item, user_id, Answer(f"undo:{answer_id}", kind="undo"), now, extra=old.extra)
            _supersede(c, saved.answer_id, saved.answer_id)
            _supersede(c, answer_id, saved.answer_id)
            if not old.extra and old.kind in COUNTED:
                c.execute(COUNT, {"item": old.item_id, "by": -1})
            if not old.extra and item.state == "open":
                c.execute(GRANT, {"item": old.item_id, "user": user_id, "now": now, "expires": now + item.lease_s})
    return int(old.item_id)


def bulk_label(
    database: Database, batch_id: int, user_id: int, item_ids: Sequence[int], label: str, client_key: str
) -> int:
    """A lead's own answer on many items at once; how many were added. Nobody's answer is overwritten, mine neither."""
    added = 0
    with database.write() as c:
        now = database.now()
        batch = open_batch(c, database, batch_id)
        answers = [(i, Answer(f"{client_key}:{i}", labels=(label,))) for i in sorted(set(item_ids))]
        own = set(c.scalars(sa.select(t.item.c.id).where(t.item.c.batch_id == batch_id, t.item.c.id.in_(item_ids))))
        for item_id, answer in answers:
            check(answer, labels_of(c, batch.label_schema_id), bool(batch.allow_multi))
            live = c.execute(LIVE, {"item": item_id, "user": user_id}).first()
            if (
                item_id not in own
                or (live is not None and live.kind != "skip")
                or _known_key(c, answer.client_key, user_id)
            ):
                continue
            c.execute(GRANT, {"item": item_id, "user": user_id, "now": now, "expires": now})  # mine, but holds no slot
            item = _item_of(c, database, item_id, user_id, states=("open",))
            extra = not _slot_is_free(c, item, user_id, now)
            saved = _insert(c, item, user_id, answer, now, extra=extra)
            if live is not None:
                _supersede(c, live.id, saved.answer_id)
            if not extra:
                c.execute(COUNT, {"item": item_id, "by": 1})
            c.execute(DROP_LEASE, {"item": item_id, "user": user_id})
            added += 1
    return added


@lru_cache(maxsize=64)
def parsed_labels(text: str) -> LabelSet:
    return label_set_from_json(text)


def labels_of(c: sa.Connection, label_schema_id: int) -> LabelSet:
    return parsed_labels(str(c.scalar(sa.select(t.label_schema.c.json).where(t.label_schema.c.id == label_schema_id))))


def check(answer: Answer, label_set: LabelSet, allow_multi: bool) -> None:
    """Raises Invalid for an answer that the batch's labels do not allow."""
    if answer.kind not in KINDS:
        raise Invalid(f"kind must be one of {', '.join(KINDS)}")
    if not 8 <= len(answer.client_key) <= 100:
        raise Invalid("client_key must have 8 to 100 characters")
    allowed = 0 if answer.kind != "label" else 2 if allow_multi else 1
    if len(answer.labels) > allowed or (answer.kind == "label" and not answer.labels):
        raise Invalid(
            f"this answer takes {'at most ' if allowed > 1 else ''}{allowed} labels, not {len(answer.labels)}"
        )
    if len(set(answer.labels)) < len(answer.labels) or not set(answer.labels) <= set(label_set.names):
        raise Invalid(f"labels must be different ones of {', '.join(label_set.names)}")
    if len(answer.note) > NOTE_LIMIT or len(answer.reason) > 100:
        raise Invalid(f"a note has at most {NOTE_LIMIT} characters")
    if answer.seconds is not None and not 0 <= answer.seconds < 1e7:
        raise Invalid("seconds must be a number from 0")
    if answer.instruct is not None and (
        set(answer.instruct) != {"instruction", "input", "output"}
        or len("".join(answer.instruct.values())) > TRIPLE_LIMIT
    ):
        raise Invalid("an edited triple has the texts instruction, input and output")


def _known_key(c: sa.Connection, client_key: str, user_id: int) -> Saved | None:
    row = c.execute(KNOWN, {"key": client_key}).first()
    if row is None:
        return None
    if row.user_id != user_id:
        raise Invalid("this client_key is in use")
    return Saved(row.id, row.item_id, row.created_at, duplicate=True, extra=bool(row.extra))


def _item_of(c: sa.Connection, database: Database, item_id: int, user_id: int, *, states: Sequence[str]) -> Any:
    """The item with its batch's settings, if the person was ever handed it. Locks batch, then item, in that order."""
    if not was_handed(c, item_id, user_id):
        raise NotFound("no such item of yours")
    if not database.is_sqlite:  # wait for a closing transaction, then for others at this item; then look
        c.execute(
            sa.text("select 1 from batch where id = (select batch_id from item where id = :item) for share"),
            {"item": item_id},
        )
        c.execute(sa.text("select 1 from item where id = :item for no key update"), {"item": item_id})
    item = c.execute(ITEM, {"item": item_id}).one()
    if item.state not in states:
        raise Conflict(f"this batch is {item.state}; your text is kept", kind="batch-" + item.state)
    return item


def was_handed(c: sa.Connection, item_id: int, user_id: int) -> bool:
    return bool(c.scalar(HANDED, {"item": item_id, "user": user_id}))


def _slot_is_free(c: sa.Connection, item: Any, user_id: int, now: float) -> bool:
    return int(c.scalar(TAKEN, {"item": item.id, "user": user_id, "now": now}) or 0) < int(item.need)


def _correct(c: sa.Connection, item: Any, live: Any, user_id: int, answer: Answer, now: float) -> Saved:
    """A second answer of the same person: the same content is the first result, another content needs `replaces`."""
    same = (answer.kind, _dump_labels(answer), _dump(answer.instruct)) == (
        live.kind,
        live.labels_json,
        live.instruct_json,
    )
    if same and answer.replaces is None:
        return Saved(live.id, item.id, live.created_at, duplicate=True, extra=bool(live.extra))
    if answer.replaces != live.id or answer.kind == "skip":
        raise Conflict(
            "you have already answered this item; your text is kept",
            kind="already-answered",
            extra={"answer_id": live.id},
        )
    _supersede(c, live.id, live.id)  # makes room in the unique index; the true successor is set below
    saved = _insert(c, item, user_id, answer, now, extra=bool(live.extra))
    _supersede(c, live.id, saved.answer_id)
    return saved


def _insert(c: sa.Connection, item: Any, user_id: int, answer: Answer, now: float, *, extra: bool) -> Saved:
    values = {
        "item_id": item.id,
        "user_id": user_id,
        "kind": answer.kind,
        "labels_json": _dump_labels(answer),
        "instruct_json": _dump(answer.instruct),
        "note": answer.note or None,
        "reason": answer.reason or None,
        "flagged": answer.flagged or answer.kind == "flag",
        "seconds": answer.seconds,
        "extra": extra,
        "schema_version": item.schema_version,
        "guideline_version": item.guideline_version,
        "client_key": answer.client_key,
        "created_at": now,
    }
    return Saved(int(c.execute(INSERT, values).scalar_one()), item.id, now, extra=extra)


def _supersede(c: sa.Connection, answer_id: int, by: int) -> None:
    c.execute(SUPERSEDE, {"id": answer_id, "by": by})


def _dump_labels(answer: Answer) -> str:
    return json.dumps(sorted(answer.labels))


def _dump(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
