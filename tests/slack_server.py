"""A Slack that serves a small workspace, in process or on loopback, with a script of faults. Time moves only when told.

`FakeSlack.answer(method, params)` gives (status, headers, body bytes) or raises what a network raises. `script` maps
the n-th request of all (from 1) to the name of a fault. `serve(fake)` puts the same on a port of 127.0.0.1 for tests
through slack_sdk.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dataforge.operators.slack_api import Answer, Clock

FATAL = {"invalid_auth", "token_revoked", "missing_scope", "not_in_channel"}
NETWORK = {"timeout": TimeoutError, "reset": ConnectionResetError, "cut": lambda: http.client.IncompleteRead(b"{")}
Raw = tuple[int, dict[str, str], bytes]


@dataclass
class FakeSlack:
    """`channels`: entries of conversations.list; `messages`: channel id → messages with replies among them."""

    users: list[dict[str, Any]]
    channels: list[dict[str, Any]]
    messages: dict[str, list[dict[str, Any]]]
    team: str = "T0HOME001"
    page_limit: int = 1000
    script: dict[int, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    after: dict[int, Any] = field(
        default_factory=dict
    )  # n-th request → a change of the workspace before it is answered
    expired: set[str] = field(default_factory=set)

    def answer(self, method: str, params: dict[str, str]) -> Raw:
        self.requests.append((method, params))
        number = len(self.requests)
        if number in self.after:
            self.after.pop(number)(self)
        fault = self.script.get(number, "")
        if fault:
            return self._fault(fault, method, params)
        return _json(self._page(method, params))

    def _fault(self, fault: str, method: str, params: dict[str, str]) -> Raw:
        if fault in NETWORK:
            raise NETWORK[fault]()
        if fault.startswith("429"):
            wait = fault.partition(":")[2]
            return 429, ({"Retry-After": wait} if wait else {}), b'{"ok":false,"error":"ratelimited"}'
        if fault == "ratelimited":
            return _json({"ok": False, "error": "ratelimited"}, {"Retry-After": "1"})
        if fault.startswith("5"):
            return int(fault), {}, b"<html>down</html>"
        if fault in ("html", "bad_json"):
            return 200, {}, b"<html>maintenance</html>" if fault == "html" else b'{"ok": true, "messages": [{"te'
        page = self._page(method, params)
        if fault == "no_cursor":
            return _json(page | {"has_more": True, "response_metadata": {"next_cursor": ""}})
        if fault == "same_cursor":
            return _json(page | {"has_more": True, "response_metadata": {"next_cursor": params.get("cursor", "loop")}})
        if fault == "empty_page":
            cursor = f"again-{params.get('cursor', '')}"
            return _json({"ok": True, "messages": [], "has_more": True, "response_metadata": {"next_cursor": cursor}})
        return _json({"ok": False, "error": fault, "needed": "channels:history" if fault == "missing_scope" else None})

    def _page(self, method: str, params: dict[str, str]) -> dict[str, Any]:
        if method == "auth.test":
            return {"ok": True, "team_id": self.team, "user_id": "U0BOT0001"}
        if method == "users.list":
            return self._slice("members", self.users, params)
        if method == "conversations.list":
            types = params.get("types", "public_channel").split(",")
            kinds = {"is_im": "im", "is_mpim": "mpim", "is_private": "private_channel"}
            wanted = [
                c for c in self.channels if next((k for f, k in kinds.items() if c.get(f)), "public_channel") in types
            ]
            return self._slice("channels", wanted, params)
        rows = self.messages[params["channel"]]
        oldest, latest = float(params.get("oldest", 0)), float(params.get("latest", "inf"))
        rows = [m for m in rows if oldest <= float(m["ts"]) <= latest]
        if method == "conversations.history":
            shown = [m for m in rows if m.get("thread_ts") in (None, m["ts"]) or m.get("subtype") == "thread_broadcast"]
            return self._slice("messages", sorted(shown, key=lambda m: m["ts"], reverse=True), params)
        thread = [m for m in rows if m.get("thread_ts") == params["ts"] or m["ts"] == params["ts"]]
        if not any(m["ts"] == params["ts"] for m in self.messages[params["channel"]]):
            return {"ok": False, "error": "thread_not_found"}
        return self._slice("messages", sorted(thread, key=lambda m: m["ts"]), params)

    def _slice(self, name: str, rows: list[Any], params: dict[str, str]) -> dict[str, Any]:
        """Cursors of messages hold the ts of the next row, so that a changed workspace shifts no page."""
        cursor = params.get("cursor", "").replace("again-", "")
        if cursor in self.expired:
            self.expired.discard(cursor)
            return {"ok": False, "error": "invalid_cursor"}
        start = _start(rows, cursor)
        size = min(int(params.get("limit", 100)), self.page_limit)
        following = rows[start + size : start + size + 1]
        place = following[0].get("ts", str(start + size)) if following else ""
        meta = {"next_cursor": f"c:{place}" if following else ""}
        return {"ok": True, name: rows[start : start + size], "has_more": bool(following), "response_metadata": meta}


def _start(rows: list[Any], cursor: str) -> int:
    place = cursor.rpartition(":")[2]
    if "." not in place:
        return int(place or 0)
    newest_first = len(rows) > 1 and rows[0]["ts"] > rows[-1]["ts"]
    after = [at for at, m in enumerate(rows) if (m["ts"] <= place if newest_first else m["ts"] >= place)]
    return after[0] if after else len(rows)


def _json(value: Any, headers: dict[str, str] | None = None) -> Raw:
    return 200, headers or {}, json.dumps(value).encode()


def in_process(fake: FakeSlack) -> Any:
    """A Transport without a socket."""

    def send(method: str, params: dict[str, str]) -> Answer:
        status, headers, raw = fake.answer(method, params)
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        return Answer(status, {name.lower(): value for name, value in headers.items()}, body)

    return send


@dataclass
class ToldClock:
    """A clock that moves only by sleeping."""

    at: float = 1_700_900_000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(lambda: self.at, self.sleep, lambda: 0.5)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


@contextmanager
def serve(fake: FakeSlack) -> Iterator[str]:
    """The base URL of the fake on 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            params = {k: v[0] for k, v in parse_qs(f"{url.query}&{body}").items()}
            try:
                status, headers, raw = fake.answer(url.path.rpartition("/")[2], params)
            except http.client.IncompleteRead:
                status, headers, raw = 200, {"Content-Length": "500"}, b'{"ok": true, "mess'
            except OSError:
                self.connection.close()
                return
            self.send_response(status)
            for name, value in (
                {"Content-Type": "application/json", "Content-Length": str(len(raw))} | headers
            ).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)
            self.close_connection = True

        do_GET = do_POST

        def log_message(self, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api/"
    finally:
        server.shutdown()
        server.server_close()
