"""Answers: submit, correct, undo. Each public function is one transaction on the database.

An answer that comes too late for its slot (leases.py) is refused with 409, never dropped silently, and may be sent again
as an extra answer. `client_key` makes a retry give the first result.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dataforge.review import tables as t
from dataforge.review.batches import item_settings, labels_of, open_batch, parsed_labels
from dataforge.review.database import Database
from dataforge.review.label_sets import LabelSet
from dataforge.review.leases import drop_lease, grant, slot_is_free
from dataforge.review.problems import Conflict, Invalid, NotFound
from dataforge.review.statement import Statement
from dataforge.visible import is_blank

KINDS = ("label", "unsure", "reject", "flag", "skip")
COUNTED = ("label", "unsure", "reject", "flag")  # a skip leaves the slot free
NOTE_LIMIT, TRIPLE_LIMIT = 4000, 200_000
TRIPLE = ("instruction", "input", "output")
OWN_KEYS = ("undo:", "import:", "carried:")  # client keys that the server itself makes


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


KNOWN = Statement("select id, item_id, user_id, created_at, extra from annotation where client_key = :key")
LIVE = Statement("""
select id, kind, labels_json, instruct_json, created_at, extra from annotation
 where item_id = :item and user_id = :user and superseded_by is null
 order by case kind when 'skip' then 1 else 0 end, id desc""")
INSERT = Statement("""
insert into annotation (item_id, user_id, kind, labels_json, instruct_json, note, reason, flagged, seconds, extra,
                        schema_version, guideline_version, client_key, created_at)
values (:item_id, :user_id, :kind, :labels_json, :instruct_json, :note, :reason, :flagged, :seconds, :extra,
        :schema_version, :guideline_version, :client_key, :created_at) returning id""")
SUPERSEDE = Statement("update annotation set superseded_by = :by where id = :id")
COUNT = Statement("update item set done = done + :by where id = :item")


def submit(database: Database, item_id: int, user_id: int, answer: Answer) -> Saved:
    """Stores one answer. Raises Conflict (kinds taken, already-answered, batch-…) with nothing stored."""
    with database.write() as c:
        return submit_in(c, database, item_id, user_id, answer)


def submit_in(c: sa.Connection, database: Database, item_id: int, user_id: int, answer: Answer) -> Saved:
    now = database.now()
    if first := _known_key(c, answer.client_key, user_id):
        return first
    states = ("open", "closing") if answer.kind != "skip" else ("open",)
    item = item_settings(c, database, item_id, user_id, states=states)
    check(answer, parsed_labels(item.json), item.allow_multi)
    live = LIVE.first(c, {"item": item_id, "user": user_id})
    if live is not None and live.kind != "skip":
        return _correct(c, item, live, user_id, answer, now)
    extra = not slot_is_free(c, item, user_id, now)
    if extra and answer.kind == "skip":
        return Saved(0, item_id, now)  # somebody else has it: nothing left to skip
    if extra and not answer.extra:
        raise Conflict("taken by another; your text is kept", kind="taken")
    return _store(c, item, live, user_id, answer, now, extra=extra)


def _store(c: sa.Connection, item: Any, skipped: Any, user_id: int, answer: Answer, now: float, *, extra: bool) -> Saved:
    """A first answer: it takes the place of my skip, if there is one, and its slot; my lease ends."""
    saved = _insert(c, item, user_id, answer, now, extra=extra)
    if skipped is not None:
        _supersede(c, skipped.id, saved.answer_id)
    if not extra and answer.kind in COUNTED:
        COUNT.run(c, {"item": item.id, "by": 1})
    drop_lease(c, item.id, user_id)
    return saved


def undo(database: Database, answer_id: int, user_id: int) -> int:
    """Takes back my answer and holds its item for me again; its id. Undone twice is undone once."""
    with database.write() as c:
        return undo_in(c, database, answer_id, user_id)


def undo_in(c: sa.Connection, database: Database, answer_id: int, user_id: int) -> int:
    now = database.now()
    old = c.execute(sa.select(t.annotation).where(t.annotation.c.id == answer_id)).first()
    if old is None or old.user_id != user_id or old.kind == "undo":
        raise NotFound("no such answer of yours")
    item = item_settings(c, database, old.item_id, user_id, states=("open", "closing"))
    if old.superseded_by is None:
        saved = _insert(c, item, user_id, Answer(f"undo:{answer_id}:{now!r}", kind="undo"), now, extra=bool(old.extra))
        _supersede(c, saved.answer_id, saved.answer_id)
        _supersede(c, answer_id, saved.answer_id)
        if not old.extra and old.kind in COUNTED:
            COUNT.run(c, {"item": old.item_id, "by": -1})
        if not old.extra and item.state == "open":
            grant(c, old.item_id, user_id, now, now + item.lease_s)
    return int(old.item_id)


def bulk_label(database: Database, batch_id: int, user_id: int, item_ids: Sequence[int], label: str, client_key: str) -> int:
    """A lead's own answer on many items at once; how many were added. Nobody's answer is overwritten, mine neither."""
    with database.write() as c:
        batch = open_batch(c, database, batch_id)
        labels, now = labels_of(c, batch.label_schema_id), database.now()
        own = c.scalars(sa.select(t.item.c.id).where(t.item.c.batch_id == batch_id, t.item.c.id.in_(item_ids)))
        answers = {i: Answer(f"{client_key}:{i}", labels=(label,)) for i in sorted(set(item_ids))}
        for answer in answers.values():
            check(answer, labels, bool(batch.allow_multi))
        return sum(_add(c, database, i, user_id, answers[i], now) for i in sorted(own))


def _add(c: sa.Connection, database: Database, item_id: int, user_id: int, answer: Answer, now: float) -> bool:
    live = LIVE.first(c, {"item": item_id, "user": user_id})
    if (live is not None and live.kind != "skip") or _known_key(c, answer.client_key, user_id):
        return False
    grant(c, item_id, user_id, now, now)  # mine, but holds no slot
    item = item_settings(c, database, item_id, user_id, states=("open",))
    _store(c, item, live, user_id, answer, now, extra=not slot_is_free(c, item, user_id, now))
    return True


def check(answer: Answer, label_set: LabelSet, allow_multi: bool) -> None:
    """Raises Invalid for an answer that the batch's labels do not allow."""
    if answer.kind not in KINDS:
        raise Invalid(f"kind must be one of {', '.join(KINDS)}")
    if not 8 <= len(answer.client_key) <= 100:
        raise Invalid("client_key must have 8 to 100 characters")
    if answer.client_key.startswith(OWN_KEYS):
        raise Invalid(f"client_key must not begin with {', '.join(OWN_KEYS)}")
    allowed = 0 if answer.kind != "label" else 2 if allow_multi else 1
    if len(answer.labels) > allowed or (answer.kind == "label" and not answer.labels):
        raise Invalid(f"this answer takes {'at most ' if allowed > 1 else ''}{allowed} labels, not {len(answer.labels)}")
    if len(set(answer.labels)) < len(answer.labels) or not set(answer.labels) <= set(label_set.names):
        raise Invalid(f"labels must be different ones of {', '.join(label_set.names)}")
    if len(answer.note) > NOTE_LIMIT or len(answer.reason) > 100:
        raise Invalid(f"a note has at most {NOTE_LIMIT} characters")
    if answer.seconds is not None and not 0 <= answer.seconds < 1e7:
        raise Invalid("seconds must be a number from 0")
    if answer.instruct is not None:
        check_triple(answer.instruct)


def is_triple(value: Any) -> bool:
    texts = isinstance(value, dict) and set(value) == set(TRIPLE) and all(isinstance(x, str) for x in value.values())
    if not texts or len("".join(value.values())) > TRIPLE_LIMIT:
        return False
    return not is_blank(value["instruction"]) and not is_blank(value["output"])


def check_triple(triple: dict[str, str]) -> None:
    if not is_triple(triple):
        raise Invalid("an edited triple has the texts instruction, input and output, and only input may be empty")


def _known_key(c: sa.Connection, client_key: str, user_id: int) -> Saved | None:
    row = KNOWN.first(c, {"key": client_key})
    if row is None:
        return None
    if row.user_id != user_id:
        raise Invalid("this client_key is in use")
    return Saved(row.id, row.item_id, row.created_at, duplicate=True, extra=bool(row.extra))


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
    return Saved(int(INSERT.scalar(c, values)), item.id, now, extra=extra)


def _supersede(c: sa.Connection, answer_id: int, by: int) -> None:
    SUPERSEDE.run(c, {"id": answer_id, "by": by})


def _dump_labels(answer: Answer) -> str:
    return json.dumps(sorted(answer.labels))


def _dump(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
