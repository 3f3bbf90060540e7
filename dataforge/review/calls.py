"""What every route does first: find out who asks, read the body, say no. And what the routes share.

User and role come from the session, never from a body. Bodies are checked field by field; an unknown field is refused,
so that nothing can be set that a form does not offer. A `route` runs in a thread and opens its own transactions; a
`busy_route` is one write transaction together with the look at the session, and shares its commit with others.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dataforge.review import auth
from dataforge.review.auth import User
from dataforge.review.commands import OnClosed
from dataforge.review.database import Database
from dataforge.review.problems import Forbidden, Invalid, NotFound, Unauthenticated
from dataforge.review.stats import progress_of

MAX_ID = 2**31 - 1
MAX_NUMBER = 2.0**53  # what a browser's number holds exactly
NOT_TEXT = re.compile("[\ud800-\udfff\0]")
METER_S = 0.5


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

    def progress(self, c: sa.Connection, batch_id: int) -> tuple[int, int]:
        """(done, items) for the bar at the top, up to half a second old: counting a large batch costs more than a claim."""
        at, counts = self._meters.get(batch_id, (-9.0, (0, 0)))
        if time.monotonic() - at > METER_S:
            counts = progress_of(c, batch_id)
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

    def user(self, c: sa.Connection, request: Request) -> User | None:
        proxied = self.trusted_proxy and request.client and request.client.host == self.trusted_proxy
        if proxied and (name := request.headers.get("x-forwarded-user")):
            return auth.user_named(c, name)
        token = self.token(request)
        return auth.user_of(c, self.database, token) if token else None

    def may_be_known(self, request: Request) -> bool:
        """Without asking the database: there is a cookie that we signed, or the trusted proxy speaks."""
        return bool(self.trusted_proxy) or self.token(request) is not None

    def known_user(self, request: Request) -> User | None:
        """`user` in a look of its own."""
        with self.database.read() as c:
            return self.user(c, request)


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


def _let_in(user: User | None, lead: bool) -> User:
    if user is None:
        raise Unauthenticated("log in again; your text is kept")
    if lead and not user.is_lead:
        raise Forbidden("only a lead may do this")
    return user


def route(
    path: str,
    handler: Callable[[Call], Any],
    method: str,
    fields: dict[str, Any] | None = None,
    *,
    lead: bool = False,
    raw: bool = False,
) -> Route:
    def endpoint(request: Request) -> Response:
        page: Page = request.app.state.page
        user = _let_in(page.known_user(request), lead)
        body = {} if raw else json_body(request, fields or {})
        return _response(handler(Call(page, user, request, body)))

    return Route("/api/v1" + path, endpoint, methods=[method])


def busy_route(
    path: str, handler: Callable[[Call, sa.Connection], Any], method: str, fields: dict[str, Any] | None = None
) -> Route:
    """For what every annotator does all day. Who has no cookie of ours costs no transaction."""

    async def endpoint(request: Request) -> Response:
        page: Page = request.app.state.page
        if not page.may_be_known(request):
            raise Unauthenticated("log in again; your text is kept")
        body = json_body(request, fields or {})

        def work(c: sa.Connection) -> Response:
            user = _let_in(page.user(c, request), lead=False)
            return _response(handler(Call(page, user, request, body), c))

        return await page.database.transact(work)

    return Route("/api/v1" + path, endpoint, methods=[method])


def _response(result: Any) -> Response:
    return result if isinstance(result, Response) else JSONResponse(result if result is not None else {})
