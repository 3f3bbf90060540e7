"""What stands between the network and the page: hosts, origins, body limits, security headers, errors without traces.

An ASGI middleware. A write needs the page's own Origin and a header that a foreign form cannot set; its body is read
here, with a size and time limit, before any route runs. Log lines hold method, path and a reason: never text.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import sqlite3
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from dataforge.errors import DataforgeError, escape
from dataforge.review.problems import ReviewError

log = logging.getLogger("dataforge.review")
BODY_LIMIT, IMPORT_LIMIT, BODY_SECONDS = 1 << 20, 1 << 26, 20.0
SAFE = {"GET", "HEAD", "OPTIONS"}
MARK = b"x-dataforge"  # custom header of every write: only a script of our own origin can send it
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]
HSTS = (b"strict-transport-security", b"max-age=31536000")


class Refused(Exception):
    def __init__(self, status: int, kind: str, what: str) -> None:
        super().__init__(what)
        self.status, self.kind, self.what = status, kind, what


class Guard:
    """`public_url` is the address people type where a proxy stands in front; else localhost and IP addresses serve."""

    def __init__(
        self, app: Any, *, public_url: str, may_import: Callable[[dict[str, Any]], bool], trusted_proxy: str = ""
    ) -> None:
        self.app, self.may_import, self.trusted_proxy = app, may_import, trusted_proxy
        self.public = urlsplit(public_url) if public_url else None
        self.secure = self.public is not None and self.public.scheme == "https"

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def headed(message: dict[str, Any]) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = self._headers(message.get("headers", []), scope["path"])
            await send(message)

        try:
            headers = dict(scope["headers"])
            self._check_host(headers)
            body = b""
            if scope["method"] not in SAFE:
                self._check_origin(scope, headers)
                body = await _body(receive, headers, self._limit(scope))
            scope.setdefault("state", {})["body"] = body
            await self.app(scope, _replay(body, receive), headed)
        except Refused as refused:
            log.warning("refused %s %s: %s", scope["method"], escape(scope["path"], 80), refused.kind)
            await problem(headed, refused.status, refused.kind, refused.what)
        except Exception as error:
            await self._unexpected(error, scope, headed, started)

    async def _unexpected(self, error: Exception, scope: dict[str, Any], send: Any, started: bool) -> None:
        log.error("%s in %s %s", type(error).__name__, scope["method"], escape(scope["path"], 80))
        if started:
            return
        if isinstance(error, sa.exc.OperationalError | sqlite3.OperationalError):
            await problem(send, 503, "busy", "the database is busy; the page tries again", [(b"retry-after", b"2")])
        else:
            await problem(send, 500, "unexpected", "something went wrong; nothing was saved by this request")

    def _headers(self, own: list[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
        names = {name.lower() for name, _ in own}
        added = [(name, value) for name, value in HEADERS if name not in names]
        if b"cache-control" not in names:
            added.append((b"cache-control", b"no-cache" if path.startswith("/static/") else b"no-store"))
        return [*own, *added, *([HSTS] if self.secure else [])]

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        """A foreign name that resolves to this machine (DNS rebinding) must not reach the page."""
        name = _host_name(headers.get(b"host", b"").decode("latin-1"))
        if name == "localhost" or (self.public is not None and name == self.public.hostname) or _is_address(name):
            return
        raise Refused(421, "wrong-host", "this page is not served under that name")

    def _check_origin(self, scope: dict[str, Any], headers: dict[bytes, bytes]) -> None:
        origin = _address(headers.get(b"origin", b"").decode("latin-1"))
        host = headers.get(b"host", b"").decode("latin-1")
        own = {(scheme, host) for scheme in self._schemes(scope, host)}
        if self.public is not None:
            own.add((self.public.scheme, self.public.netloc))
        if origin not in own or headers.get(b"sec-fetch-site", b"same-origin") != b"same-origin":
            raise Refused(403, "foreign-origin", "a write must come from this page")
        if headers.get(MARK) != b"1":
            raise Refused(403, "foreign-origin", "a write needs the header X-Dataforge")

    def _schemes(self, scope: dict[str, Any], host: str) -> set[str]:
        """How people may have typed that host: as it reached us, unless a proxy that ends TLS stands between."""
        if self.public is not None and host == self.public.netloc:
            return {self.public.scheme}
        client = scope.get("client")
        proxied = self.trusted_proxy and client and client[0] == self.trusted_proxy
        return {"http", "https"} if proxied else {scope["scheme"]}

    def _limit(self, scope: dict[str, Any]) -> int:
        return IMPORT_LIMIT if scope["path"].endswith("/import") and self.may_import(scope) else BODY_LIMIT


def _host_name(host: str) -> str:
    """Lower-case name without the port; empty, which serves nobody, where it is none."""
    try:
        return (urlsplit("//" + host).hostname or "") if "@" not in host else ""
    except ValueError:  # a bracket without its other half, a character that would become a delimiter
        return ""


def _address(origin: str) -> tuple[str, str]:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _body(receive: Any, headers: dict[bytes, bytes], limit: int) -> bytes:
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > limit:
        raise Refused(413, "too-large", f"a body has at most {limit} bytes")
    try:
        return await asyncio.wait_for(_read(receive, limit), BODY_SECONDS)
    except TimeoutError:
        raise Refused(408, "too-slow", f"a body must arrive within {BODY_SECONDS:.0f} s") from None


async def _read(receive: Any, limit: int) -> bytes:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "cut", "the body is cut")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise Refused(413, "too-large", f"a body has at most {limit} bytes")
        if not message.get("more_body"):
            return b"".join(chunks)


def _replay(body: bytes, receive: Any) -> Any:
    sent = False

    async def replay() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        return dict(await receive())

    return replay


def problem_document(status: int, kind: str, what: str, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """RFC 9457: `type` is stable and made for programs, `detail` for people."""
    return {
        "type": f"about:blank#{kind}",
        "kind": kind,
        "title": kind.replace("-", " "),
        "status": status,
        "detail": what,
        **(extra or {}),
    }


async def problem(
    send: Any, status: int, kind: str, what: str, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    body = json.dumps(problem_document(status, kind, what)).encode()
    own = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        *(headers or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": body})


def status_of(error: DataforgeError) -> tuple[int, str, dict[str, Any]]:
    if isinstance(error, ReviewError):
        return error.status, error.kind, {**error.extra, **({"hint": error.hint} if error.hint else {})}
    return 400, "invalid", {"row": error.row} if error.row is not None else {}
