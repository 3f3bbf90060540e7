"""Answers and adjudications that a new batch takes over from earlier ones: the questions that did not change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from dataforge.review import tables as t

COPIED = ("label", "unsure", "reject", "flag")


def carry_over(c: sa.Connection, batch_id: int) -> None:
    """Copies live answers and adjudications to equal questions of earlier batches, newest first, one per person."""
    new, old, batches = t.item.alias("new"), t.item.alias("old"), t.batch
    mine = c.execute(sa.select(batches).where(batches.c.id == batch_id)).one()
    same = (
        (old.c.batch_id != batch_id)
        & (batches.c.id == old.c.batch_id)
        & (batches.c.label_schema_id == mine.label_schema_id)
        & (batches.c.guideline_id == mine.guideline_id)
    )
    have, done = _have(c, batch_id), _done(c, batch_id)
    for row in _answers(c, batch_id, new, old, same):
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


def _answers(c: sa.Connection, batch_id: int, new: Any, old: Any, same: sa.ColumnElement[bool]) -> Sequence[Any]:
    """Live answers to questions that the new batch asks again, the newest first."""
    a = t.annotation
    select = (
        sa.select(new.c.id.label("new_item"), a)
        .select_from(new)
        .join(old, old.c.item_key == new.c.item_key)
        .join(t.batch, same)
        .join(a, a.c.item_id == old.c.id)
        .where(new.c.batch_id == batch_id, a.c.superseded_by.is_(None), a.c.kind.in_(COPIED))
    )
    return c.execute(select.order_by(new.c.id, a.c.created_at.desc(), a.c.id.desc())).mappings().all()


def _have(c: sa.Connection, batch_id: int) -> set[tuple[int, int]]:
    """(item, person) of the answers that the new batch has already."""
    a = t.annotation
    select = sa.select(a.c.item_id, a.c.user_id).join(t.item, t.item.c.id == a.c.item_id)
    given = select.where(t.item.c.batch_id == batch_id, a.c.superseded_by.is_(None), a.c.kind != "skip")
    return set(c.execute(given).tuples().all())


def _done(c: sa.Connection, batch_id: int) -> dict[int, int]:
    return dict(c.execute(sa.select(t.item.c.id, t.item.c.done).where(t.item.c.batch_id == batch_id)).tuples().all())


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
