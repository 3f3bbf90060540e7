"""The interface for annotators: claim, answer, undo, look back, search."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from dataforge.review import leases, views
from dataforge.review.calls import Call, busy_route, route
from dataforge.review.leases import claim_in, renew_in
from dataforge.review.problems import Invalid
from dataforge.review.queue import Answer, submit_in, undo_in
from dataforge.review.search import Filters
from dataforge.review.search import search as find
from dataforge.review.statement import Statement

BATCH_OF = Statement("select batch_id from item where id = :item")


def list_batches(call: Call) -> dict[str, Any]:
    with call.database.read() as c:
        return {"batches": views.batches_for(c, call.user)}


def claim(call: Call, c: sa.Connection) -> dict[str, Any]:
    batch_id = call.id("batch")
    got = claim_in(c, call.database, batch_id, call.user.id, call.body.get("n", 3))
    return {
        "items": views.items_for(c, got.item_ids, call.user),
        "expires_at": got.expires_at,
        "with_others": got.with_others,
        "back_at": got.back_at,
        "progress": _progress(call, c, batch_id),
    }


def get_progress(call: Call) -> dict[str, int]:
    with call.database.read() as c:
        return _progress(call, c, call.id("batch"))


def _progress(call: Call, c: sa.Connection, batch_id: int) -> dict[str, int]:
    done, items = call.page.progress(c, batch_id)
    return {"done": done, "items": items}


def renew(call: Call, c: sa.Connection) -> dict[str, Any]:
    return {"expires_at": renew_in(c, call.database, call.id("item"), call.user.id)}


def release(call: Call) -> None:
    leases.release(call.database, call.id("item"), call.user.id)


def get_item(call: Call) -> dict[str, Any]:
    with call.database.read() as c:
        return views.item_for(c, call.id("item"), call.user)


ANSWER_FIELDS = {
    "client_key": str,
    "kind": str,
    "labels": list,
    "instruct": dict,
    "note": str,
    "reason": str,
    "flagged": bool,
    "seconds": (int, float),
    "extra": bool,
    "replaces": int,
}


def add_answer(call: Call, c: sa.Connection) -> dict[str, Any]:
    body = dict(call.body)
    labels, instruct = body.pop("labels", []), body.get("instruct")
    if not all(isinstance(x, str) for x in [*labels, *(instruct or {}).values()]):
        raise Invalid("labels and the triple are texts")
    answer = Answer(labels=tuple(labels), **{"client_key": "", **body})
    saved = submit_in(c, call.database, call.id("item"), call.user.id, answer)
    batch_id = int(BATCH_OF.scalar(c, {"item": saved.item_id}))
    return {**asdict(saved), "progress": _progress(call, c, batch_id)}


def undo(call: Call, c: sa.Connection) -> dict[str, Any]:
    item_id = undo_in(c, call.database, call.id("answer"), call.user.id)
    return {"item": views.item_for(c, item_id, call.user)}


def get_history(call: Call) -> dict[str, Any]:
    with call.database.read() as c:
        return {"answers": views.history(c, call.id("batch"), call.user)}


SEARCH_FIELDS = {
    "status": str,
    "label": str,
    "suggestion": str,
    "differs": bool,
    "score_from": (int, float),
    "score_to": (int, float),
    "annotator": str,
    "text": str,
    "page": int,
}


def search(call: Call) -> dict[str, Any]:
    """A POST because what is searched for must not stand in a URL; it changes nothing."""
    filters = Filters(**call.body)
    if len(filters.text) > 500 or not 0 <= filters.page <= 100_000:
        raise Invalid("a search has at most 500 characters")
    with call.database.read() as c:
        return find(c, call.id("batch"), call.user, filters)


ROUTES = [  # the busiest first: they are tried one after another
    busy_route("/items/{item:int}/answers", add_answer, "POST", ANSWER_FIELDS),
    busy_route("/batches/{batch:int}/claim", claim, "POST", {"n": int}),
    busy_route("/leases/{item:int}/renew", renew, "POST"),
    busy_route("/answers/{answer:int}", undo, "DELETE"),
    route("/leases/{item:int}/release", release, "POST"),
    route("/items/{item:int}", get_item, "GET"),
    route("/batches/{batch:int}/progress", get_progress, "GET"),
    route("/batches/{batch:int}/history", get_history, "GET"),
    route("/batches/{batch:int}/search", search, "POST", SEARCH_FIELDS),
    route("/batches", list_batches, "GET"),
]
