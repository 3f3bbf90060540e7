"""The list of a batch with its filters. Annotators find items that they were handed, with their own answers only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dataforge.review import tables as t
from dataforge.review.adjudication import seen
from dataforge.review.auth import User
from dataforge.review.batches import batch_row, labels_of
from dataforge.review.decisions import decisions_of
from dataforge.review.export import answers_of
from dataforge.review.label_sets import LabelSet
from dataforge.review.views import items_for

PAGE = 50
STATUSES = ("", "open", "done", "mine", "skipped", "flagged", "unresolved", "adjudicated")


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
        where.append(sa.or_(i.c.text.icontains(f.text, autoescape=True), i.c.row_id.startswith(f.text, autoescape=True)))
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
        "unresolved": sa.and_(distinct.scalar_subquery() > 1, sa.not_(decided.exists())) if user.is_lead else sa.false(),
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
            "answers": [seen(a, label_set) for a in answers.get(item["id"], [])],
            "decision": {"source": decisions[item["id"]].source, "labels": list(decisions[item["id"]].labels)},
        }
        for item in shown
    ]
