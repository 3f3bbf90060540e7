"""What a person may see of items: the item with its context, their history, lists with filters, items to adjudicate.

Gold marks and other people's answers never leave the database before a person's own answer, and to annotators not after
it either; suggestions are held back where the batch or the random share says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dataforge.review import tables as t
from dataforge.review.auth import User
from dataforge.review.decisions import Decision, decide, decisions_of, given_of_item
from dataforge.review.export import answers_of, batch_row, in_order
from dataforge.review.label_sets import LabelSet
from dataforge.review.problems import NotFound
from dataforge.review.queue import labels_of, was_handed

HISTORY, PAGE = 10, 50
STATUSES = ("", "open", "done", "mine", "skipped", "flagged", "unresolved", "adjudicated")

ITEMS = sa.text("""
select i.id, i.batch_id, i.row_id, i.item_key, i.text, i.context_json, i.instruct_json, i.meta_json, i.is_random,
       b.kind, b.allow_multi, b.show_suggestions, b.state, s.label suggestion, s.score, s.source suggestion_by
  from item i join batch b on b.id = i.batch_id left join suggestion s on s.item_id = i.id
 where i.id in :ids order by i.id, s.source""").bindparams(sa.bindparam("ids", expanding=True))
MINE = sa.text("""
select id, item_id, kind, labels_json, instruct_json, note, reason, flagged, extra, created_at from annotation
 where item_id in :ids and user_id = :user and superseded_by is null order by id""").bindparams(
    sa.bindparam("ids", expanding=True)
)


def items_for(c: sa.Connection, ids: Sequence[int], user: User) -> list[dict[str, Any]]:
    """The items as the page shows them, in the order of `ids`."""
    if not ids:
        return []
    mine = {row.item_id: row for row in c.execute(MINE, {"ids": list(ids), "user": user.id})}
    shown = {row.id: _item(row, mine.get(row.id)) for row in c.execute(ITEMS, {"ids": list(ids)})}
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
    swapped = (
        bool(responses) and int(row.item_key[-1], 16) % 2 == 1
    )  # A and B in an order that the source cannot show in
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
        None
        if hidden or row.suggestion is None
        else {"label": row.suggestion, "score": row.score, "by": row.suggestion_by}
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


@dataclass(frozen=True)
class Filters:
    """What a list asks for; empty fields ask for everything."""

    status: str = ""
    label: str = ""  # an answer (annotators: my answer) with this label
    suggestion: str = ""
    differs: bool = False  # the suggestion is not the answer
    score_from: float | None = None
    score_to: float | None = None
    annotator: str = ""  # leads only
    text: str = ""  # part of the text, or the start of a row id
    page: int = 0


def search(c: sa.Connection, batch_id: int, user: User, filters: Filters) -> dict[str, Any]:
    """{total, page, size, items}: annotators find items that they were handed, with their own answers only."""
    batch_row(c, batch_id)
    where = [t.item.c.batch_id == batch_id, *_where(user, filters)]
    total = c.scalar(sa.select(sa.func.count()).select_from(t.item).where(*where))
    select = sa.select(t.item.c.id).where(*where).order_by(t.item.c.id).limit(PAGE).offset(max(0, filters.page) * PAGE)
    ids = list(c.scalars(select))
    label_set = labels_of(c, batch_row(c, batch_id).label_schema_id)
    return {
        "total": int(total or 0),
        "page": filters.page,
        "size": PAGE,
        "items": _rows(c, batch_id, ids, user, label_set),
    }


def _where(user: User, f: Filters) -> list[sa.ColumnElement[bool]]:
    a, s, i = t.annotation, t.suggestion, t.item
    # Correlated by name: left alone, a query two levels down would read a second `item` of its own.
    live = sa.select(a.c.id).where(a.c.item_id == i.c.id, a.c.superseded_by.is_(None)).correlate(i, s)
    mine = live.where(a.c.user_id == user.id)
    visible = live if user.is_lead else mine
    where: list[sa.ColumnElement[bool]] = []
    if not user.is_lead:
        leased = sa.select(t.lease.c.item_id).where(t.lease.c.item_id == i.c.id, t.lease.c.user_id == user.id)
        where.append(sa.or_(mine.exists(), leased.exists()))
    if f.status:
        where.append(_status(f.status, mine, visible, user))
    if f.label:
        where.append(visible.where(a.c.labels_json.contains(json.dumps(f.label), autoescape=True)).exists())
    if f.annotator and user.is_lead:
        named = sa.select(t.account.c.id).where(t.account.c.name == f.annotator).scalar_subquery()
        where.append(live.where(a.c.user_id == named, a.c.kind != "skip").exists())
    suggested = sa.select(s.c.item_id).where(s.c.item_id == i.c.id).correlate(i)
    if not user.is_lead:  # a filter must not tell what the page holds back
        suggested = suggested.where(mine.where(a.c.kind != "skip").exists())
    if f.suggestion:
        where.append(suggested.where(s.c.label == f.suggestion).exists())
    if f.score_from is not None or f.score_to is not None:
        low, high = f.score_from if f.score_from is not None else -1e9, f.score_to if f.score_to is not None else 1e9
        where.append(suggested.where(s.c.score.between(low, high)).exists())
    if f.differs:
        same = a.c.labels_json.contains(sa.literal('"').concat(s.c.label).concat('"'))
        where.append(suggested.where(visible.where(a.c.kind == "label", sa.not_(same)).exists()).exists())
    if f.text:
        where.append(
            sa.or_(i.c.text.icontains(f.text, autoescape=True), i.c.row_id.startswith(f.text, autoescape=True))
        )
    return where


def _status(status: str, mine: Any, visible: Any, user: User) -> sa.ColumnElement[bool]:
    a, i, d = t.annotation, t.item, t.decision
    decided = sa.select(d.c.item_id).where(d.c.item_id == i.c.id)
    votes = visible.where(a.c.kind != "skip")
    distinct = sa.select(sa.func.count(sa.distinct(a.c.kind.concat(a.c.labels_json)))).where(
        a.c.item_id == i.c.id, a.c.superseded_by.is_(None), a.c.kind != "skip"
    )
    rules: dict[str, sa.ColumnElement[bool]] = {
        "open": i.c.done < i.c.need,
        "done": i.c.done >= i.c.need,
        "mine": mine.where(a.c.kind != "skip").exists(),
        "skipped": mine.where(a.c.kind == "skip").exists(),
        "flagged": votes.where(a.c.flagged).exists(),
        "unresolved": sa.and_(distinct.scalar_subquery() > 1, sa.not_(decided.exists()))
        if user.is_lead
        else sa.false(),
        "adjudicated": decided.where(d.c.source == "adjudicated").exists() if user.is_lead else sa.false(),
    }
    return rules.get(status, sa.true())


def _rows(c: sa.Connection, batch_id: int, ids: list[int], user: User, label_set: LabelSet) -> list[dict[str, Any]]:
    shown = items_for(c, ids, user)
    if not user.is_lead:
        return [{k: item[k] for k in ("id", "row", "text", "suggestion", "mine")} for item in shown]
    answers, decisions = answers_of(c, batch_id), decisions_of(c, batch_id)
    return [
        {
            **{k: item[k] for k in ("id", "row", "text", "suggestion", "mine")},
            "answers": [_seen(a, label_set) for a in answers.get(item["id"], [])],
            "decision": {"source": decisions[item["id"]].source, "labels": list(decisions[item["id"]].labels)},
        }
        for item in shown
    ]


def _seen(answer: Any, label_set: LabelSet) -> dict[str, Any]:
    return {
        "name": answer.name,
        "kind": answer.kind,
        "labels": in_order(answer.labels_json, label_set),
        "note": answer.note,
        "flagged": bool(answer.flagged),
        "seconds": answer.seconds,
        "at": answer.created_at,
        "reason": answer.reason,
        "instruct": json.loads(answer.instruct_json) if answer.instruct_json else None,
    }


def to_adjudicate(c: sa.Connection, batch_id: int) -> list[tuple[int, float]]:
    """(item, agreement) of items that the answers leave open or that somebody flagged, lowest agreement first."""
    batch_row(c, batch_id)
    d = t.decision
    final = sa.select(d.c.item_id).join(t.item, t.item.c.id == d.c.item_id).where(t.item.c.batch_id == batch_id)
    adjudicated = set(c.scalars(final.where(d.c.source == "adjudicated")))
    answers, decisions = answers_of(c, batch_id), decisions_of(c, batch_id)
    full = set(c.scalars(sa.select(t.item.c.id).where(t.item.c.batch_id == batch_id, t.item.c.done >= t.item.c.need)))
    found = []
    for item_id, given in answers.items():
        waiting = decisions[item_id].source == "unresolved" and item_id in full
        if item_id not in adjudicated and (waiting or any(a.flagged for a in given)):
            found.append((item_id, _top_share(given)))
    return sorted(found, key=lambda pair: (pair[1], pair[0]))


def _top_share(given: Sequence[Any]) -> float:
    words = [(a.kind, a.labels_json) for a in given]
    return max(words.count(word) for word in words) / len(words)


def adjudication(c: sa.Connection, item_id: int, user: User) -> dict[str, Any]:
    """One item with every answer to it and the decision so far."""
    item = item_for(c, item_id, user)
    batch = batch_row(c, item["batch"])
    label_set = labels_of(c, batch.label_schema_id)
    suggestion = c.execute(sa.select(t.suggestion).where(t.suggestion.c.item_id == item_id)).first()
    stored = c.execute(sa.select(t.decision).where(t.decision.c.item_id == item_id)).first()
    decision: Decision | Any = stored or decide(given_of_item(c, item_id))
    if item["swapped"]:  # people saw A and B in their own order; a lead sees the stored one
        item["responses"] = item["responses"][::-1]
    return {
        **item,
        "answers": [_seen(a, label_set) for a in answers_of(c, item["batch"]).get(item_id, [])],
        "suggestion": {"label": suggestion.label, "score": suggestion.score, "by": suggestion.source}
        if suggestion
        else None,
        "decision": {
            "source": decision.source,
            "kind": decision.kind,
            "note": decision.note,
            "labels": json.loads(stored.labels_json) if stored else list(decision.labels),
        },
    }
