"""Pulls what a token may see and the config allows into `{store}/pull/<source>/`, page by page, resumable anywhere.

A page is committed (written beside, fsynced, renamed), then the channel's `state.json` that counts it and holds the
next cursor. Killed between the two, the page is fetched again under the same name. A run reads a fixed window of each
channel, then the threads that grew; the next run goes back `lookback_days` to find edits, deletions and late replies.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from dataforge.errors import AuthError, PartialError, SecretError
from dataforge.operators.slack_api import ChannelRefused, Clock, InvalidCursor, Pace, SlackApi, Transport
from dataforge.operators.slack_channels import Channel, Channels, channels_of
from dataforge.operators.slack_pages import Folded, State, fold, load_state, micros, page_name, pages_of, save
from dataforge.operators.slack_scrub import scrubbed
from dataforge.operators.slack_source import EVERYTHING_PUBLIC, Who
from dataforge.operators.slack_users import People, people_of, read_key

LIST_TYPES = {"public": "public_channel", "private": "private_channel", "dm": "im", "group_dm": "mpim"}
DAY_US = 86_400 * 1_000_000


@dataclass(frozen=True)
class PullPlan:
    """`folder` is `{store}/pull/<source>`; `key` the reference of the pseudonym key, as in SlackExport."""

    folder: Path
    key: str
    who: Who = EVERYTHING_PUBLIC
    pace: Pace = field(default_factory=Pace)
    oldest: str = "0"  # ts before which nothing is asked for
    lookback_days: int = 30
    recheck_days: int = 7  # threads that were alive so recently are read again for edits of replies
    full: bool = False  # a sweep over everything, for replies to old threads


@dataclass
class PullReport:
    """Numbers for the run report; `refused` counts channels by Slack's error name."""

    channels: int = 0
    pages: int = 0
    messages: int = 0
    threads: int = 0
    threads_not_rechecked: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


def pull(plan: PullPlan, transport: Transport, clock: Clock | None = None) -> PullReport:
    """One run. Raises AuthError (exit 2) before anything was pulled, PartialError (exit 6) afterwards."""
    from dataforge.operators.secrets import mask_secrets

    clock = clock or Clock()
    api, report, key = SlackApi(transport, plan.pace, clock), PullReport(), read_key(plan.key)
    people, channels = _workspace(api, plan, key)
    try:
        for channel in sorted(channels.by_id.values(), key=lambda c: c.key):
            if plan.who.wants(channel, channels):
                _pull_one(api, plan, channel, people, mask_secrets, report)
    except AuthError as error:  # the token died in mid-run: what is committed stays
        raise PartialError(error.what, code="AUTH", hint=error.hint) from None
    finally:
        report.counts = dict(sorted(api.counts.items()))
    if report.refused:
        names = ", ".join(f"{name} ×{count}" for name, count in sorted(report.refused.items()))
        raise PartialError(
            f"channels that could not be read: {names}",
            code="AUTH",
            hint="invite the app, or add the scopes; run again",
        )
    return report


def read_token(reference: str) -> str:
    """The token behind `env:NAME` or `file:PATH`; anything else is refused without showing it."""
    if re.match(r"xox[a-z]", reference):
        raise SecretError("a token stands in the config", key="slack.token", hint="use env:NAME or file:PATH")
    return read_key(reference).decode("utf-8", "replace")


def _workspace(api: SlackApi, plan: PullPlan, key: bytes) -> tuple[People, Channels]:
    """First call, members and channels. Everything refused here is a usage error: nothing was pulled yet."""
    try:
        team = str(api.call("auth.test").get("team_id") or "")
        _same_team(plan.folder, team)
        users = [user for page, _ in api.pages("users.list") for user in page.get("members") or []]
        types = ",".join(LIST_TYPES[kind] for kind in sorted(plan.who.kinds()))
        pages = api.pages("conversations.list", types=types, exclude_archived="false")
        listed = [entry for page, _ in pages for entry in page.get("channels") or []]
    except ChannelRefused as error:
        raise AuthError(
            f"{error.name} {error.scope}".strip(), hint="add the scope to the app and install it again"
        ) from None
    users.sort(key=lambda user: str(user.get("id")) if isinstance(user, dict) else "")
    listed = list({str(e.get("id")): e for e in listed if isinstance(e, dict)}.values())
    save(plan.folder / "workspace.json", {"team": team})
    save(plan.folder / "users.json", [_member(user) for user in users if isinstance(user, dict)])
    save(plan.folder / "channels.json", [_entry(entry) for entry in listed])
    people = people_of(users, key=key, opted_out=plan.who.opt_out_users)
    found = [("public", entry) for entry in listed]
    return people, channels_of(found, [], key=key, opted_out=plan.who.opt_out_channels, named=plan.who.named)


def _same_team(folder: Path, team: str) -> None:
    known = folder / "workspace.json"
    if known.exists() and orjson.loads(known.read_bytes()).get("team") != team:
        raise AuthError("the token belongs to another workspace than the earlier pulls", hint="use another source name")


def _member(user: dict[str, Any]) -> dict[str, Any]:
    """What names and pseudonyms need, no more: no phone, no title, no picture."""
    found = user.get("profile")
    profile: dict[str, Any] = found if isinstance(found, dict) else {}
    wanted = ("real_name", "real_name_normalized", "display_name", "display_name_normalized", "first_name", "last_name")
    kept = {name: profile[name] for name in (*wanted, "email", "past_names") if name in profile}
    plain = ("id", "team_id", "name", "real_name", "is_bot", "is_stranger", "enterprise_user")
    return {name: user[name] for name in plain if name in user} | {"profile": kept}


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    plain = ("id", "name", "is_private", "is_group", "is_im", "is_mpim", "previous_names")
    return {name: entry[name] for name in plain if name in entry}


def _pull_one(
    api: SlackApi, plan: PullPlan, channel: Channel, people: People, mask: Callable[[str], str], report: PullReport
) -> None:
    run = _ChannelRun(api, plan, channel, people, mask, report, plan.folder / "channels" / channel.key)
    try:
        run.go()
    except ChannelRefused as error:
        name = f"{error.name} ({error.scope})" if error.scope else error.name
        report.refused[name] = report.refused.get(name, 0) + 1
        return
    report.channels += 1


@dataclass
class _ChannelRun:
    api: SlackApi
    plan: PullPlan
    channel: Channel
    people: People
    mask: Callable[[str], str]
    report: PullReport
    folder: Path
    state: State = field(init=False)

    def go(self) -> None:
        self.state = load_state(self.folder)
        if self.state.phase == "done":
            self._begin()
        if self.state.phase == "history":
            self._history()
        folded = fold(pages_of(self.folder, self.state))
        self._threads(folded)
        self._end(folded)

    def _begin(self) -> None:
        state = self.state
        back = max(micros(state.watermark) - self.plan.lookback_days * DAY_US, 0) if state.watermark else 0
        oldest = 0 if self.plan.full else max(back, micros(self.plan.oldest))
        now = int(self.api.clock.now() * 1_000_000)
        state.run, state.phase, state.cursor, state.thread = state.run + 1, "history", "", ""
        state.oldest, state.latest = _ts(max(oldest, micros(self.plan.oldest))), _ts(now)
        state.top = state.latest
        save(self.folder / "state.json", asdict(state))

    def _history(self) -> None:
        state, tops = self.state, set[str]()
        while state.phase == "history":
            window = {"channel": self.channel.id, "oldest": state.oldest, "latest": state.top, "inclusive": "true"}
            try:
                for page, cursor in self.api.pages("conversations.history", state.cursor, **window):
                    self._commit("history", page, cursor, phase="history" if cursor else "threads")
            except InvalidCursor:
                if state.top in tops:
                    raise PartialError("cursors expire before they can be used", code="PAGINATION") from None
                tops.add(state.top)
                state.cursor, state.top = "", self._lowest() or state.top

    def _lowest(self) -> str:
        """The oldest ts that this run has committed: the window goes on below it, the one message twice is no harm."""
        folded = fold(pages_of(self.folder, self.state))
        own = [ts for ts, place in folded.places.items() if place.run == self.state.run]
        return min(own, key=micros, default="")

    def _threads(self, folded: Folded) -> None:
        for root in self._grown(folded):
            if self.state.thread != root:
                self.state.thread, self.state.cursor = root, ""
            try:
                self._replies(root)
            except InvalidCursor:
                self.state.cursor = ""
                self._replies(root)
            self.report.threads += 1

    def _grown(self, folded: Folded) -> list[str]:
        """Roots of this run's window whose replies are not those of the last complete reading, oldest first."""
        state = self.state
        recent = micros(state.latest) - self.plan.recheck_days * DAY_US
        wanted = []
        for ts, place in folded.places.items():
            if place.run != state.run or place.thread_ts or not place.replies[0]:
                continue
            run, replies = folded.fetched.get(ts, (0, (0, "")))
            if run != state.run and (replies != place.replies or micros(place.replies[1]) >= recent):
                wanted.append(ts)
        return sorted(wanted, key=micros)

    def _replies(self, root: str) -> None:
        window = {"channel": self.channel.id, "ts": root, "latest": self.state.latest, "inclusive": "true"}
        try:
            for page, cursor in self.api.pages("conversations.replies", self.state.cursor, **window):
                self._commit("replies", page, cursor, thread=root)
        except ChannelRefused as error:
            if error.name != "thread_not_found":
                raise
            self._commit("replies", {}, "", thread=root)

    def _commit(self, kind: str, page: dict[str, Any], cursor: str, *, phase: str = "", thread: str = "") -> None:
        """The page first, then the state that counts it and knows how to go on."""
        state, found = self.state, page.get("messages")
        messages = [scrubbed(m, self.mask, self.people.is_opted_out) for m in found] if isinstance(found, list) else []
        content = {"kind": kind, "run": state.run, "thread_ts": thread, "complete": not cursor, "messages": messages}
        save(self.folder / page_name(state.pages + 1), content)
        state.pages, state.cursor, state.phase = state.pages + 1, cursor, phase or state.phase
        save(self.folder / "state.json", asdict(state))
        self.report.pages += 1
        self.report.messages += len(messages)

    def _end(self, folded: Folded) -> None:
        state = self.state
        end = {"kind": "end", "run": state.run, "oldest": state.oldest, "latest": state.latest}
        save(self.folder / page_name(state.pages + 1), end)
        state.pages, state.phase, state.cursor, state.thread = state.pages + 1, "done", "", ""
        state.watermark = max(state.watermark, folded.newest, key=micros)
        save(self.folder / "state.json", asdict(state))
        oldest = micros(state.oldest)
        old = [ts for ts, place in folded.places.items() if place.replies[0] and micros(ts) < oldest]
        self.report.threads_not_rechecked += len(old)


def _ts(value_us: int) -> str:
    return f"{value_us // 1_000_000}.{value_us % 1_000_000:06d}"
