"""The Slack Web API, one page at a time: pacing, waiting as told, retries of the same cursor, and loud ends.

slack_sdk carries the bytes; its own retry handlers and its page iterator are not used (they lose pages after an error).
Every wait goes through an injected clock. No state is kept between runs: that is slack_pull's business. No error or
log holds a body, a token or a message.
"""

from __future__ import annotations

import http.client
import logging
import math
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dataforge.errors import AuthError, PartialError

ERROR_NAME = re.compile(r"[a-z0-9_.:-]{1,64}")
NO_ENTRY = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "org_login_required"}
)
NO_CHANNEL = frozenset(
    {
        *("missing_scope", "not_in_channel", "channel_not_found", "not_allowed_token_type", "access_denied"),
        *("no_permission", "thread_not_found", "team_access_not_granted", "is_archived"),
    }
)
TRY_AGAIN = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
DEFAULT_WAIT_S = 30.0


@dataclass(frozen=True)
class Answer:
    """What came back. `body` is None where it is not a JSON object."""

    status: int
    headers: dict[str, str]  # lower-case names
    body: dict[str, Any] | None


Transport = Callable[[str, dict[str, str]], Answer]  # raises OSError or http.client.HTTPException when the network fails


class InvalidCursor(Exception):
    """The cursor is too old; the window has to be opened again."""


class ChannelRefused(Exception):
    """This channel cannot be read with this token; others may."""

    def __init__(self, name: str, scope: str) -> None:
        self.name, self.scope = name, scope
        super().__init__(name)


@dataclass(frozen=True)
class Pace:
    """Requests per minute of history and replies (tier 3: 50; the low tier: 1), of lists (tier 2: 20), and patience."""

    history_per_minute: float = 50
    list_per_minute: float = 20
    page_size: int = 200
    max_wait_s: float = 900
    attempts: int = 8
    backoff_s: float = 1.0
    backoff_cap_s: float = 60.0

    def interval_s(self, method: str) -> float:
        """Seconds between two requests of a method."""
        is_history = method in ("conversations.history", "conversations.replies")
        return 60 / (self.history_per_minute if is_history else self.list_per_minute)


@dataclass
class Clock:
    """Time and chance, so that tests need neither."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


@dataclass
class SlackApi:
    transport: Transport
    pace: Pace
    clock: Clock
    counts: dict[str, int] = field(default_factory=dict)
    _last: dict[str, float] = field(default_factory=dict)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One successful answer. Raises PartialError, AuthError, ChannelRefused or InvalidCursor."""
        sent = {name: str(value) for name, value in params.items() if value not in (None, "")}
        waited, failures = 0.0, 0
        while True:
            self._keep_pace(method)
            try:
                answer = self.transport(method, sent)
            except (OSError, http.client.HTTPException) as error:
                trouble = f"network: {type(error).__name__}"
            else:
                wait = _told_to_wait(answer)
                if wait is not None:
                    waited = self._wait_as_told(method, wait, waited)
                    continue
                trouble = _trouble(answer)
                if not trouble:
                    assert_ok(method, answer)
                    return answer.body or {}
            failures += 1
            self._count("retries")
            if failures >= self.pace.attempts:
                code = "PAGINATION" if trouble.startswith("body") else "IO"
                raise PartialError(f"{method} failed {failures} times, last {trouble}", code=code, hint="run again later")
            self.clock.sleep(self._backoff(failures))

    def pages(self, method: str, cursor: str = "", **params: Any) -> Iterator[tuple[dict[str, Any], str]]:
        """(page, cursor of the next page or ""). A cursor that comes twice, or is missing, is an error."""
        seen = {cursor} if cursor else set()
        while True:
            page = self.call(method, cursor=cursor, limit=self.pace.page_size, **params)
            cursor = next_cursor(page, method, seen)
            yield page, cursor
            if not cursor:
                return

    def _keep_pace(self, method: str) -> None:
        wait = self._last.get(method, -math.inf) + self.pace.interval_s(method) - self.clock.now()
        if wait > 0:
            self.clock.sleep(wait)
        self._last[method] = self.clock.now()
        self._count("requests")

    def _wait_as_told(self, method: str, wait: float, waited: float) -> float:
        """Sleeps; returns the sum of this request's waits. Above `max_wait_s` it gives up and says when to resume."""
        self._count("rate_limited")
        if waited + wait > self.pace.max_wait_s:
            resume = datetime.fromtimestamp(self.clock.now() + wait, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            raise PartialError(
                f"{method}: told to wait {wait:.0f} s, limit {self.pace.max_wait_s:.0f} s",
                code="RATELIMIT",
                hint=f"resume at {resume}: run the same command",
            )
        self.clock.sleep(wait + self.clock.jitter())
        return waited + max(wait, 1.0)

    def _backoff(self, failures: int) -> float:
        longest = min(self.pace.backoff_cap_s, self.pace.backoff_s * 2.0 ** (failures - 1))
        return longest * (0.5 + self.clock.jitter())

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1


def next_cursor(page: dict[str, Any], method: str, seen: set[str]) -> str:
    meta = page.get("response_metadata")
    cursor = meta.get("next_cursor") if isinstance(meta, dict) else None
    if not isinstance(cursor, str) or not cursor:
        if page.get("has_more"):
            raise PartialError(f"{method}: more pages are said to follow, but no cursor", code="PAGINATION")
        return ""
    if cursor in seen:
        raise PartialError(f"{method}: the same cursor came twice", code="PAGINATION")
    seen.add(cursor)
    return cursor


def _told_to_wait(answer: Answer) -> float | None:
    """Seconds, if this is a rate limit: status 429, or 200 with `ratelimited`. Without a number, 30."""
    limited = answer.status == 429 or _error(answer) in ("ratelimited", "rate_limited")
    if not limited:
        return None
    try:
        wait = float(answer.headers.get("retry-after", DEFAULT_WAIT_S))
    except ValueError:
        wait = DEFAULT_WAIT_S
    return wait if math.isfinite(wait) and wait >= 0 else DEFAULT_WAIT_S


def _trouble(answer: Answer) -> str:
    """What makes another attempt worth it, or ""."""
    if answer.status >= 500:
        return f"status {answer.status}"
    if answer.body is None:
        return f"body that is not JSON, status {answer.status}"
    if answer.body.get("ok") is not True and _error(answer) in TRY_AGAIN:
        return f"error {_error(answer)}"
    if answer.body.get("ok") is True and answer.status != 200:
        return f"status {answer.status}"
    return ""


def _error(answer: Answer) -> str:
    error = (answer.body or {}).get("error")
    return error if isinstance(error, str) and ERROR_NAME.fullmatch(error) else "unknown"


def assert_ok(method: str, answer: Answer) -> None:
    """Raises what an `ok: false` means."""
    body = answer.body or {}
    if body.get("ok") is True:
        return
    error = _error(answer)
    needed = body.get("needed")
    scope = needed if isinstance(needed, str) and ERROR_NAME.fullmatch(needed) else ""
    if error in NO_ENTRY:
        raise AuthError(f"{method}: {error}", hint="check the token and the app's installation")
    if error in NO_CHANNEL:
        raise ChannelRefused(error, scope)
    if error == "invalid_cursor":
        raise InvalidCursor(method)
    raise PartialError(f"{method}: {error}", hint="run again; if it stays, look the error up in Slack's method page")


def sdk_transport(token: str, *, base_url: str = "https://slack.com/api/", timeout_s: int = 30) -> Transport:
    """Over slack_sdk's client, with its retry handlers and its log of bodies switched off."""
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackApiError, SlackClientError

    logger = logging.Logger("dataforge.slack_sdk", logging.CRITICAL + 1)  # it would log bodies that do not parse
    client = WebClient(token=token, base_url=base_url, timeout=timeout_s, retry_handlers=[], logger=logger)

    def send(method: str, params: dict[str, str]) -> Answer:
        try:
            response: Any = client.api_call(method, http_verb="GET", params=params)
        except SlackApiError as error:
            response = error.response
        except (SlackClientError, AttributeError, ValueError):  # what it raises for bodies of another form
            return Answer(200, {}, None)
        body = response.data if isinstance(response.data, dict) else None
        name = (body or {}).get("error")
        if body is not None and not body.get("ok") and not (isinstance(name, str) and ERROR_NAME.fullmatch(name)):
            body = None  # slack_sdk puts an unparsable body into `error`
        return Answer(response.status_code, {k.lower(): _first(v) for k, v in response.headers.items()}, body)

    return send


def _first(value: Any) -> str:
    return str(value[0] if isinstance(value, list) and value else value)
