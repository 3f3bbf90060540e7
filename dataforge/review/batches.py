"""Rows that nearly every transaction starts from: a batch, its label set, an item with its batch's settings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from dataforge.review import tables as t
from dataforge.review.database import Database
from dataforge.review.label_sets import LabelSet, label_set_from_json
from dataforge.review.problems import Conflict, NotFound
from dataforge.review.statement import Statement

BATCH = Statement("select id, state, lease_s, allow_multi, label_schema_id from batch where id = :batch")
BATCH_SHARED = Statement(BATCH.text + " for share")
HANDED = Statement("""
select exists (select 1 from lease where item_id = :item and user_id = :user)
    or exists (select 1 from annotation where item_id = :item and user_id = :user)""")
ITEM = Statement("""
select i.id, i.need, i.done, b.state, b.lease_s, b.allow_multi, s.json, s.version schema_version, g.version guideline_version
  from item i join batch b on b.id = i.batch_id join label_schema s on s.id = b.label_schema_id
  join guideline g on g.id = b.guideline_id where i.id = :item""")
SHARE_BATCH = Statement("select 1 from batch where id = (select batch_id from item where id = :item) for share")
LOCK_ITEM = Statement("select 1 from item where id = :item for no key update")


def batch_row(c: sa.Connection, batch_id: int) -> Any:
    batch = c.execute(sa.select(t.batch).where(t.batch.c.id == batch_id)).first()
    if batch is None:
        raise NotFound("there is no such batch")
    return batch


def open_batch(c: sa.Connection, database: Database, batch_id: int) -> Any:
    """The settings of an open batch, kept from changing state until this transaction ends; Conflict if it is not open."""
    batch = (BATCH if database.is_sqlite else BATCH_SHARED).first(c, {"batch": batch_id})
    if batch is None:
        raise NotFound("there is no such batch")
    if batch.state != "open":
        raise Conflict(f"this batch is {batch.state}: nothing more can be answered in it", kind="batch-" + batch.state)
    return batch


def item_settings(c: sa.Connection, database: Database, item_id: int, user_id: int, *, states: Sequence[str]) -> Any:
    """The item with its batch's settings, if the person was ever handed it. Locks batch, then item, in that order."""
    if not was_handed(c, item_id, user_id):
        raise NotFound("no such item of yours")
    if not database.is_sqlite:  # wait for a closing transaction, then for others at this item; then look
        SHARE_BATCH.run(c, {"item": item_id})
        LOCK_ITEM.run(c, {"item": item_id})
    item: Any = ITEM.first(c, {"item": item_id})
    if item.state not in states:
        raise Conflict(f"this batch is {item.state}; your text is kept", kind="batch-" + item.state)
    return item


def was_handed(c: sa.Connection, item_id: int, user_id: int) -> bool:
    return bool(HANDED.scalar(c, {"item": item_id, "user": user_id}))


@lru_cache(maxsize=64)
def parsed_labels(text: str) -> LabelSet:
    return label_set_from_json(text)


def labels_of(c: sa.Connection, label_schema_id: int) -> LabelSet:
    return parsed_labels(str(c.scalar(sa.select(t.label_schema.c.json).where(t.label_schema.c.id == label_schema_id))))
