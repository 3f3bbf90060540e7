"""The tables of the review queue, one schema for SQLite and PostgreSQL. Times are seconds since 1970 UTC.

`annotation` is append-only: an undone or replaced answer stays and names the row that took its place. JSON is text, so
that both databases hold the same bytes.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

SCHEMA_VERSION = "1"
metadata = MetaData()


def _key() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=True)


def _item(*, primary_key: bool = False) -> Column[int]:
    return Column("item_id", Integer, ForeignKey("item.id"), nullable=False, primary_key=primary_key)


def _user(name: str = "user_id", *, nullable: bool = True, primary_key: bool = False) -> Column[int]:
    return Column(
        name, Integer, ForeignKey("account.id"), nullable=nullable and not primary_key, primary_key=primary_key
    )


setting = Table("setting", metadata, Column("key", String, primary_key=True), Column("value", Text, nullable=False))

account = Table(
    "account",
    metadata,
    _key(),
    Column("name", String, nullable=False, unique=True),
    Column("role", String, nullable=False),  # annotator, lead
    Column("pass_hash", String),  # argon2id; null until the person sets a passphrase
    Column("active", Boolean, nullable=False),  # false: answers stay, no login
    Column("created_at", Float, nullable=False),
)
login_link = Table(
    "login_link",
    metadata,
    Column("token_hash", String, primary_key=True),
    _user(nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("used_at", Float),
)
session = Table(
    "session",
    metadata,
    Column("id_hash", String, primary_key=True),
    _user(nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
)
attempt = Table(  # failed logins, for the rate limit
    "attempt",
    metadata,
    _key(),
    Column("key", String, nullable=False),
    Column("at", Float, nullable=False),
    Index("attempt_key_at", "key", "at"),
)

label_schema = Table(
    "label_schema",
    metadata,
    _key(),
    Column("name", String, nullable=False),
    Column("version", String, nullable=False),
    Column("json", Text, nullable=False),
    Column("sha256", String, nullable=False, unique=True),
)
guideline = Table(
    "guideline",
    metadata,
    _key(),
    Column("name", String, nullable=False),
    Column("version", String, nullable=False),
    Column("markdown", Text, nullable=False),
    Column("sha256", String, nullable=False, unique=True),
)

batch = Table(
    "batch",
    metadata,
    _key(),
    Column("key", String, nullable=False, unique=True),  # hash of all that was asked: seeding twice finds it
    Column("title", String, nullable=False),
    Column("kind", String, nullable=False),  # act, instruct, dropped, preference
    Column("label_schema_id", Integer, ForeignKey("label_schema.id"), nullable=False),
    Column("guideline_id", Integer, ForeignKey("guideline.id"), nullable=False),
    Column("need", Integer, nullable=False),  # answers wanted per item
    Column("lease_s", Float, nullable=False),
    Column("allow_multi", Boolean, nullable=False),
    Column("show_suggestions", String, nullable=False),  # always, after, never
    Column("state", String, nullable=False),  # open, closing, closed, cancelled
    Column("deadline", Float),
    Column("on_deadline", String, nullable=False),  # wait, close_resolved, fail
    Column("created_at", Float, nullable=False),
    Column("seeded_at", Float, nullable=False),  # last time a flow asked for it: the newest of a title is current
    Column("closed_at", Float),
    _user("closed_by"),
    Column("export_sha256", String),  # of the export, set by the closing transaction
)
item = Table(
    "item",
    metadata,
    _key(),
    Column("batch_id", Integer, ForeignKey("batch.id"), nullable=False),
    Column("row_id", String, nullable=False),  # id of the row in its Table
    Column("item_key", String, nullable=False),  # hash of row id and everything shown: the same question again
    Column("priority", Float, nullable=False),
    Column("p_selected", Float),  # probability with which sampling chose this row
    Column("is_random", Boolean, nullable=False),  # of the uniform share: estimates use only these, no suggestion shown
    Column("text", Text, nullable=False),
    Column("context_json", Text),
    Column("instruct_json", Text),
    Column("meta_json", Text),
    Column("gold_json", Text),
    Column("need", Integer, nullable=False),
    Column("done", Integer, nullable=False),  # live answers that count
    UniqueConstraint("batch_id", "item_key"),
    UniqueConstraint("batch_id", "row_id"),
)
Index(
    "item_open",
    item.c.batch_id,
    item.c.priority.desc(),
    item.c.id,
    sqlite_where=text("done < need"),
    postgresql_where=text("done < need"),
)
Index("item_by_key", item.c.item_key)

suggestion = Table(
    "suggestion",
    metadata,
    _item(primary_key=True),
    Column("source", String, primary_key=True),
    Column("version", String, nullable=False),
    Column("label", String, nullable=False),
    Column("score", Float),
)
lease = Table(
    "lease",
    metadata,
    _item(primary_key=True),
    _user(primary_key=True),
    Column("granted_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Index("lease_user_expires", "user_id", "expires_at"),
)
annotation = Table(
    "annotation",
    metadata,
    _key(),
    _item(),
    _user(nullable=False),
    Column("kind", String, nullable=False),  # label, unsure, reject, flag, skip, undo
    Column("labels_json", Text, nullable=False),
    Column("instruct_json", Text),  # the edited triple
    Column("note", Text),
    Column("reason", String),  # of a rejection
    Column("flagged", Boolean, nullable=False),
    Column("seconds", Float),
    Column("extra", Boolean, nullable=False),  # beyond `need`: kept, outside `done`
    Column("schema_version", String, nullable=False),
    Column("guideline_version", String, nullable=False),
    Column("client_key", String, nullable=False, unique=True),  # made in the browser: a retry is recognised
    Column("created_at", Float, nullable=False),
    Column("superseded_by", Integer, ForeignKey("annotation.id")),
)
_live = text("superseded_by is null and kind <> 'skip' and kind <> 'undo'")
Index(
    "annotation_one_live",
    annotation.c.item_id,
    annotation.c.user_id,
    unique=True,
    sqlite_where=_live,
    postgresql_where=_live,
)
Index("annotation_user_item", annotation.c.user_id, annotation.c.item_id)

decision = Table(
    "decision",
    metadata,
    _item(primary_key=True),
    Column("kind", String, nullable=False),  # label, reject, none
    Column("labels_json", Text, nullable=False),
    Column("instruct_json", Text),
    Column("source", String, nullable=False),  # unanimous, majority, adjudicated, single, unresolved
    Column("n_answers", Integer, nullable=False),
    Column("agreement", Float),  # share of the answers that equal the decision
    Column("error_category", String),
    Column("note", Text),
    _user("decided_by"),
    Column("decided_at", Float, nullable=False),
)
audit = Table(
    "audit",
    metadata,
    _key(),
    Column("at", Float, nullable=False),
    _user(),
    Column("action", String, nullable=False),
    Column("object", String, nullable=False),
    Column("before_json", Text),  # never text of an item
    Column("after_json", Text),
)
