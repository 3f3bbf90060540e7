"""What a person may see of items: the item with its context, their history, the batches that wait for them.

Gold marks and other people's answers never leave the database before a person's own answer, and to annotators not after
it either; suggestions are held back where the batch or the random share says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from dataforge.review import tables as t
from dataforge.review.auth import User
from dataforge.review.batches import was_handed
from dataforge.review.problems import NotFound
from dataforge.review.statement import OfMany

HISTORY = 10

ITEMS = OfMany("""
select i.id, i.batch_id, i.row_id, i.item_key, i.text, i.context_json, i.instruct_json, i.meta_json, i.is_random,
       b.kind, b.allow_multi, b.show_suggestions, b.state, s.label suggestion, s.score, s.source suggestion_by
  from item i join batch b on b.id = i.batch_id left join suggestion s on s.item_id = i.id
 where i.id in (:ids) order by i.id, s.source""")
MINE = OfMany("""
select id, item_id, kind, labels_json, instruct_json, note, reason, flagged, extra, created_at from annotation
 where item_id in (:ids) and user_id = :user and superseded_by is null order by id""")


def items_for(c: sa.Connection, ids: Sequence[int], user: User) -> list[dict[str, Any]]:
    """The items as the page shows them, in the order of `ids`."""
    if not ids:
        return []
    mine = {row.item_id: row for row in MINE.all(c, ids, {"user": user.id})}
    shown = {row.id: _item(row, mine.get(row.id)) for row in ITEMS.all(c, ids, {})}
    return [shown[item_id] for item_id in ids if item_id in shown]


def item_for(c: sa.Connection, item_id: int, user: User) -> dict[str, Any]:
    if not (user.is_lead or was_handed(c, item_id, user.id)):
        raise NotFound("no such item of yours")
    found = items_for(c, [item_id], user)
    if not found:
        raise NotFound("no such item of yours")
    return found[0]


def _item(row: Any, mine: Any) -> dict[str, Any]:
    instruct = json.loads(row.instruct_json or "{}")
    responses = instruct.pop("responses", None)
    swapped = bool(responses) and int(row.item_key[-1], 16) % 2 == 1  # A and B in an order that the source cannot show in
    return {
        "id": row.id,
        "batch": row.batch_id,
        "row": row.row_id,
        "kind": row.kind,
        "state": row.state,
        "text": row.text,
        "context": json.loads(row.context_json or "[]"),
        "meta": json.loads(row.meta_json or "{}"),
        "instruct": instruct or None,
        "swapped": swapped,
        "responses": responses[::-1] if responses and swapped else responses,
        "suggestion": _suggestion(row, mine),
        "mine": _answer(mine) if mine is not None else None,
    }


def _suggestion(row: Any, mine: Any) -> dict[str, Any] | None:
    answered = mine is not None and mine.kind != "skip"
    hidden = row.show_suggestions == "never" or (not answered and (row.show_suggestions == "after" or row.is_random))
    return (
        None if hidden or row.suggestion is None else {"label": row.suggestion, "score": row.score, "by": row.suggestion_by}
    )


def _answer(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "labels": json.loads(row.labels_json),
        "note": row.note,
        "reason": row.reason,
        "instruct": json.loads(row.instruct_json) if row.instruct_json else None,
        "flagged": bool(row.flagged),
        "extra": bool(row.extra),
        "at": row.created_at,
    }


def history(c: sa.Connection, batch_id: int, user: User) -> list[dict[str, Any]]:
    """My last answers in a batch, newest first."""
    a = t.annotation
    rows = c.execute(
        sa.select(a.c.id, a.c.item_id, a.c.kind, a.c.labels_json, a.c.created_at, t.item.c.text)
        .join(t.item, t.item.c.id == a.c.item_id)
        .where(t.item.c.batch_id == batch_id, a.c.user_id == user.id, a.c.superseded_by.is_(None))
        .order_by(a.c.id.desc())
        .limit(HISTORY)
    )
    return [
        {
            "id": r.id,
            "item": r.item_id,
            "kind": r.kind,
            "labels": json.loads(r.labels_json),
            "at": r.created_at,
            "text": r.text[:120],
        }
        for r in rows
    ]


def suggests(c: sa.Connection, batch: Any) -> bool:
    """Whether some item of the batch shows a suggestion before it is answered."""
    found = sa.select(t.suggestion.c.item_id).join(t.item, t.item.c.id == t.suggestion.c.item_id)
    given = found.where(t.item.c.batch_id == batch.id, t.item.c.is_random.is_(False)).limit(1)
    return batch.show_suggestions == "always" and c.execute(given).first() is not None


def answered_by(c: sa.Connection, batch_id: int, user: User) -> int:
    """My live answers in a batch, skips not counted."""
    a = t.annotation
    select = sa.select(sa.func.count()).select_from(a).join(t.item, t.item.c.id == a.c.item_id)
    mine = (a.c.user_id == user.id) & a.c.superseded_by.is_(None) & (a.c.kind != "skip")
    return int(c.scalar(select.where(t.item.c.batch_id == batch_id, mine)) or 0)


def batches_for(c: sa.Connection, user: User) -> list[dict[str, Any]]:
    counts = sa.text("""
        select b.id, b.title, b.kind, b.state, b.need, b.deadline, b.lease_s, count(i.id) items,
               coalesce(sum(case when i.done >= i.need then 1 else 0 end), 0) done,
               coalesce(sum(case when i.done < i.need and a.id is null then 1 else 0 end), 0) for_me, count(a.id) mine
          from batch b left join item i on i.batch_id = b.id
          left join annotation a on a.item_id = i.id and a.user_id = :user and a.superseded_by is null and a.kind <> 'skip'
         where b.state <> 'cancelled'
         group by b.id, b.title, b.kind, b.state, b.need, b.deadline, b.lease_s, b.seeded_at
         order by case b.state when 'open' then 0 when 'closing' then 1 else 2 end, b.seeded_at desc, b.id desc""")
    return [dict(row) for row in c.execute(counts, {"user": user.id}).mappings()]
