"""The JSON interface of the page under /api/v1. User and role come from the session, never from a body.

Bodies are checked field by field; an unknown field is refused, so that nothing can be set that a form does not offer.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from dataforge.review import auth, formats, queue, views
from dataforge.review import stats as numbers
from dataforge.review.answers import Batch, import_answers, read_answers
from dataforge.review.auth import User
from dataforge.review.commands import OnClosed, closed_event
from dataforge.review.database import Database
from dataforge.review.decisions import Decision, adjudicate, close, preview, withdraw
from dataforge.review.export import batch_row, export_sha256
from dataforge.review.problems import Forbidden, Invalid, NotFound, Unauthenticated
from dataforge.review.queue import Answer

MAX_ID = 2**31 - 1
MAX_NUMBER = 2.0**53  # what a browser's number holds exactly
NOT_TEXT = re.compile("[\ud800-\udfff\0]")
METER_S = 2.0


@dataclass(frozen=True)
class Page:
    """What the routes share: the database, the cookie's secret, and where we stand on the network."""

    database: Database
    secret: bytes
    on_closed: OnClosed | None = None
    trusted_proxy: str = ""
    public_url: str = ""
    min_alpha: float = 0.667
    _meters: dict[int, tuple[float, tuple[int, int]]] = field(default_factory=dict)

    def progress(self, batch_id: int) -> tuple[int, int]:
        """(done, items) for the bar at the top, up to 2 s old: counting a large batch costs more than a claim."""
        at, counts = self._meters.get(batch_id, (-9.0, (0, 0)))
        if time.monotonic() - at > METER_S:
            counts = numbers.progress(self.database, batch_id)
            self._meters[batch_id] = (time.monotonic(), counts)
        return counts

    def cookie_name(self) -> str:
        return "__Host-session" if self.is_secure() else "session"

    def is_secure(self) -> bool:
        return self.public_url.startswith("https://")

    def address(self, request: Request) -> str:
        peer = request.client.host if request.client else ""
        if self.trusted_proxy and peer == self.trusted_proxy:
            return request.headers.get("x-forwarded-for", peer).split(",")[-1].strip()
        return peer

    def token(self, request: Request) -> str | None:
        cookie = request.cookies.get(self.cookie_name())
        return auth.unsigned(self.secret, cookie) if cookie else None

    def user(self, request: Request) -> User | None:
        proxied = self.trusted_proxy and request.client and request.client.host == self.trusted_proxy
        if proxied and (name := request.headers.get("x-forwarded-user")):
            return _account(self.database, name)
        token = self.token(request)
        return auth.user_of(self.database, token) if token else None


def _account(database: Database, name: str) -> User | None:
    row = next((u for u in auth.users(database) if u["name"] == name and u["active"]), None)
    if row is None:
        return None
    with database.read() as c:
        user_id = c.scalar(sa.text("select id from account where name = :name"), {"name": name})
    return User(int(user_id or 0), name, str(row["role"]))


@dataclass(frozen=True)
class Call:
    """One request of a logged-in person."""

    page: Page
    user: User
    request: Request
    body: dict[str, Any]

    @property
    def database(self) -> Database:
        return self.page.database

    def id(self, name: str) -> int:
        value = int(self.request.path_params[name])
        if value > MAX_ID:
            raise NotFound("no such thing")
        return value


def json_body(request: Request, fields: dict[str, Any]) -> dict[str, Any]:
    """The body's fields, each of the type (or types) that `fields` names."""
    raw = request.scope["state"]["body"]
    if not raw:
        return {}
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise Invalid("the body must be application/json")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise Invalid("the body is not JSON") from None
    if not isinstance(value, dict):
        raise Invalid("the body is not a JSON object")
    for name, given in value.items():
        if name not in fields:
            raise Invalid("the body has a field that is not known here")
        if given is not None and (
            not isinstance(given, fields[name]) or (isinstance(given, bool) and fields[name] is not bool)
        ):
            raise Invalid(f"field {name} has the wrong type")
        if isinstance(given, int | float) and not abs(given) <= MAX_NUMBER:  # infinite and NaN too
            raise Invalid(f"field {name} holds a number out of range")
        if any(NOT_TEXT.search(text) for text in _texts(given)):
            raise Invalid(f"field {name} holds characters that are not text")
    return {name: given for name, given in value.items() if given is not None}


def _texts(given: Any) -> Iterable[str]:
    """The texts of a field, one level down; what is nested deeper no route takes."""
    within = [*given, *given.values()] if isinstance(given, dict) else given if isinstance(given, list) else [given]
    return (text for text in within if isinstance(text, str))


Handler = Callable[[Call], Any]


def route(
    path: str,
    handler: Handler,
    method: str,
    fields: dict[str, Any] | None = None,
    *,
    lead: bool = False,
    raw: bool = False,
) -> Route:
    def endpoint(request: Request) -> Response:
        page: Page = request.app.state.page
        user = page.user(request)
        if user is None:
            raise Unauthenticated("log in again; your text is kept")
        if lead and not user.is_lead:
            raise Forbidden("only a lead may do this")
        body = {} if raw else json_body(request, fields or {})
        result = handler(Call(page, user, request, body))
        return result if isinstance(result, Response) else JSONResponse(result if result is not None else {})

    return Route("/api/v1" + path, endpoint, methods=[method])


def open_session(request: Request) -> Response:
    page: Page = request.app.state.page
    body = json_body(request, {"name": str, "passphrase": str, "token": str})
    if old := page.token(request):  # a login ends the session before it
        auth.logout(page.database, old)
    if "token" in body:
        token = auth.login_with_link(page.database, body["token"], page.address(request))
    else:
        token = auth.login(page.database, body.get("name", ""), body.get("passphrase", ""), page.address(request))
    user = auth.user_of(page.database, token)
    response = JSONResponse({"name": user.name, "role": user.role, "id": user.id} if user else {})
    response.set_cookie(
        page.cookie_name(),
        auth.signed(page.secret, token),
        max_age=int(auth.SESSION_S),
        httponly=True,
        samesite="strict",
        secure=page.is_secure(),
        path="/",
    )
    return response


def end_session(call: Call) -> Response:
    if token := call.page.token(call.request):
        auth.logout(call.database, token)
    response = JSONResponse({})
    response.delete_cookie(
        call.page.cookie_name(), path="/", httponly=True, samesite="strict", secure=call.page.is_secure()
    )
    response.headers["Clear-Site-Data"] = '"cache"'  # not storage: an unsent answer must survive the logout
    return response


def set_passphrase(call: Call) -> None:
    auth.set_passphrase(call.database, call.user.id, call.body.get("passphrase", ""))


def list_batches(call: Call) -> dict[str, Any]:
    with call.database.read() as c:
        return {"batches": views.batches_for(c, call.user)}


def claim(call: Call) -> dict[str, Any]:
    batch_id = call.id("batch")
    got = queue.claim(call.database, batch_id, call.user.id, call.body.get("n", 3))
    with call.database.read() as c:
        done, items = call.page.progress(batch_id)
        return {
            "items": views.items_for(c, got.item_ids, call.user),
            "expires_at": got.expires_at,
            "with_others": got.with_others,
            "back_at": got.back_at,
            "progress": {"done": done, "items": items},
        }


def renew(call: Call) -> dict[str, Any]:
    return {"expires_at": queue.renew(call.database, call.id("item"), call.user.id)}


def release(call: Call) -> None:
    queue.release(call.database, call.id("item"), call.user.id)


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


def add_answer(call: Call) -> dict[str, Any]:
    body = dict(call.body)
    labels, instruct = body.pop("labels", []), body.get("instruct")
    if not all(isinstance(x, str) for x in [*labels, *(instruct or {}).values()]):
        raise Invalid("labels and the triple are texts")
    saved = queue.submit(
        call.database, call.id("item"), call.user.id, Answer(labels=tuple(labels), **{"client_key": "", **body})
    )
    return {**asdict(saved), "saved_at": saved.saved_at}


def undo(call: Call) -> dict[str, Any]:
    item_id = queue.undo(call.database, call.id("answer"), call.user.id)
    with call.database.read() as c:
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
    filters = views.Filters(**call.body)
    if len(filters.text) > 500 or not 0 <= filters.page <= 100_000:
        raise Invalid("a search has at most 500 characters")
    with call.database.read() as c:
        return views.search(c, call.id("batch"), call.user, filters)


def get_stats(call: Call) -> dict[str, Any]:
    return {"schema": 1, **numbers.stats(call.database, call.id("batch"))}


def get_adjudication(call: Call) -> dict[str, Any]:
    with call.database.read() as c:
        return views.adjudication(c, call.id("item"), call.user)


def decide(call: Call) -> dict[str, Any]:
    b = call.body
    instruct = b.get("instruct")
    if not all(isinstance(x, str) for x in [*b.get("labels", []), *(instruct or {}).values()]):
        raise Invalid("labels and the triple are texts")
    if len(b.get("note", "")) > queue.NOTE_LIMIT:
        raise Invalid(f"a note has at most {queue.NOTE_LIMIT} characters")
    decision = Decision(
        b.get("kind", "label"),
        tuple(b.get("labels", ())),
        "adjudicated",
        0,
        instruct=json.dumps(instruct, ensure_ascii=False, sort_keys=True) if instruct else None,
        error_category=b.get("error_category", ""),
        note=b.get("note", ""),
    )
    final = adjudicate(call.database, call.id("item"), call.user.id, decision)
    return {"source": final.source, "labels": final.labels, "kind": final.kind}


def undecide(call: Call) -> None:
    withdraw(call.database, call.id("item"), call.user.id)


def bulk(call: Call) -> dict[str, Any]:
    ids = call.body.get("item_ids", [])
    if not all(isinstance(x, int) and 0 < x <= MAX_ID for x in ids) or len(ids) > 1000:
        raise Invalid("item_ids are up to 1000 numbers")
    b = call.body
    return {
        "added": queue.bulk_label(
            call.database, call.id("batch"), call.user.id, ids, b.get("label", ""), b.get("client_key", "")
        )
    }


def get_preview(call: Call) -> dict[str, Any]:
    closing = preview(call.database, call.id("batch"))
    return {**asdict(closing), "sentence": closing.sentence()}


def close_batch(call: Call) -> dict[str, Any]:
    batch_id = call.id("batch")
    already = preview(call.database, batch_id).state == "closed"
    closing = close(
        call.database,
        batch_id,
        call.user.id,
        allow_unresolved=call.body.get("allow_unresolved", False),
        now_at_once=call.body.get("now", False),
        digest=export_sha256,
    )
    if closing.state == "closed" and not already and call.page.on_closed:
        call.page.on_closed(closed_event(call.database, batch_id))
    return {**asdict(closing), "sentence": closing.sentence()}


def export(call: Call) -> Response:
    name, batch_id = call.request.query_params.get("format", "jsonl"), call.id("batch")
    if name not in formats.FORMATS:
        raise Invalid(f"format must be one of {', '.join(formats.FORMATS)}")
    with call.database.read() as c:
        label_set = queue.labels_of(c, batch_row(c, batch_id).label_schema_id)
        if name == "parquet":
            chunks: list[bytes] = [_parquet(formats.hf_table(formats.exported(c, batch_id), label_set))]
        else:
            chunks = ["".join(formats.export_text(c, batch_id, name)).encode()]
    headers = {"Content-Disposition": f'attachment; filename="batch-{batch_id}-{name}.{formats.ENDINGS[name]}"'}
    return StreamingResponse(iter(chunks), media_type="application/octet-stream", headers=headers)


def _parquet(table: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def import_(call: Call) -> dict[str, Any]:
    name, batch_id = call.request.query_params.get("format", "jsonl"), call.id("batch")
    if name != "jsonl" and name not in formats.READERS:
        raise Invalid(f"format must be one of jsonl, {', '.join(formats.READERS)}")
    with call.database.read() as c:
        label_set = queue.labels_of(c, batch_row(c, batch_id).label_schema_id)
    with tempfile.NamedTemporaryFile(prefix="review-import-") as file:
        file.write(call.request.scope["state"]["body"])
        file.flush()
        path = Path(file.name)
        given = (
            Batch(tuple(read_answers(path, label_set))) if name == "jsonl" else formats.READERS[name](path, label_set)
        )
        return asdict(import_answers(call.database, batch_id, given, file="import"))


def list_users(call: Call) -> dict[str, Any]:
    return {"users": auth.users(call.database)}


def add_user(call: Call) -> dict[str, Any]:
    """The link stands in the answer's body only; its token is in the fragment, which browsers send to nobody."""
    token = auth.add_user(call.database, call.body.get("name", ""), call.body.get("role", "annotator"))
    return {"link": f"/login#{token}"}


def link_user(call: Call) -> dict[str, Any]:
    return {"link": f"/login#{auth.new_link(call.database, call.request.path_params['name'])}"}


def remove_user(call: Call) -> None:
    if call.request.path_params["name"] == call.user.name:
        raise Invalid("you cannot remove yourself")
    auth.deactivate(call.database, call.request.path_params["name"])


DECISION_FIELDS = {"kind": str, "labels": list, "instruct": dict, "error_category": str, "note": str}
ROUTES = [
    Route("/api/v1/session", open_session, methods=["POST"]),
    route("/session", end_session, "DELETE"),
    route("/passphrase", set_passphrase, "PUT", {"passphrase": str}),
    route("/batches", list_batches, "GET"),
    route("/batches/{batch:int}/claim", claim, "POST", {"n": int}),
    route("/batches/{batch:int}/history", get_history, "GET"),
    route("/batches/{batch:int}/search", search, "POST", SEARCH_FIELDS),
    route("/batches/{batch:int}/stats", get_stats, "GET", lead=True),
    route("/batches/{batch:int}/preview", get_preview, "GET", lead=True),
    route("/batches/{batch:int}/close", close_batch, "POST", {"allow_unresolved": bool, "now": bool}, lead=True),
    route("/batches/{batch:int}/bulk", bulk, "POST", {"item_ids": list, "label": str, "client_key": str}, lead=True),
    route("/batches/{batch:int}/export", export, "GET", lead=True),
    route("/batches/{batch:int}/import", import_, "POST", lead=True, raw=True),
    route("/leases/{item:int}/renew", renew, "POST"),
    route("/leases/{item:int}/release", release, "POST"),
    route("/items/{item:int}", get_item, "GET"),
    route("/items/{item:int}/answers", add_answer, "POST", ANSWER_FIELDS),
    route("/items/{item:int}/adjudication", get_adjudication, "GET", lead=True),
    route("/items/{item:int}/decision", decide, "POST", DECISION_FIELDS, lead=True),
    route("/items/{item:int}/decision", undecide, "DELETE", lead=True),
    route("/answers/{answer:int}", undo, "DELETE"),
    route("/users", list_users, "GET", lead=True),
    route("/users", add_user, "POST", {"name": str, "role": str}, lead=True),
    route("/users/{name}/link", link_user, "POST", lead=True),
    route("/users/{name}", remove_user, "DELETE", lead=True),
]
