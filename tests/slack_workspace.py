"""A seeded workspace that writes Slack exports of any size, in all shapes a reader meets. Everybody in it is invented.

`Workspace(seed, messages)` is a plan; `days()` streams (entry name, list of messages) in order, so a million messages
never stand in memory. `write_zip` and `write_folder` write the same entries. Planted canaries are listed in `CANARIES`:
none may come out anywhere.
"""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FIRST = "Zelda Quillon Bramble Yorick Odalys Wendeline Thaddea Ignazio Perpetua Caspian Ottoline Leocadia"
_LAST = "Vantongeren Okwuosa Brzezicki Haldorsen Quispe Tarasenko Ferrabosco Mwangura Lindqvist Abernethy"
_CHANNELS = "general help-desk deploys data-platform random design backend frontend security onboarding"
FIRST, LAST, CHANNELS = _FIRST.split(), _LAST.split(), _CHANNELS.split()
TEAM, FOREIGN_TEAM = "T0HOME001", "T0ELSE002"
START_S = 1_700_000_000
CANARIES = [
    "xoxe-1111111111-2222222222-abcdefabcdef",
    "xoxb-123456789012-123456789012-abcdefABCDEFabcdefABCDEF",
    "canary.person@example-mail.test",
    "Canarina Vogelsang",
    "AKIAIOSFODNN7CANARY1",
]
TOPICS = {
    "deploy": (
        "the deploy fails with exit code 137",
        "raise the memory limit in deploy.yaml to 2 GiB and run it again",
    ),
    "vpn": ("the VPN drops every few minutes", "switch the profile to TCP, UDP is blocked in the guest network"),
    "index": ("the nightly query takes an hour", "add an index on created_at, the planner does a full scan today"),
    "token": (
        "my login expires after ten minutes",
        "your laptop's clock is off, turn on network time and log in again",
    ),
    "cache": ("users see the old logo after a release", "purge the CDN cache for /static, the headers say one day"),
    "tests": ("the tests pass here and fail in CI", "CI sorts files by another locale, set LC_ALL=C in the job"),
    "disk": ("the runner is out of disk space", "docker system prune -af frees about forty gigabytes there"),
    "lint": ("ruff complains about line length", "set line-length to 120 in pyproject.toml, that is our rule"),
    "schema": ("the import drops the column zip_code", "it is typed as integer in schema.sql, make it text"),
    "alerts": ("who gets the alerts at night", "the on-call rota is in the runbook, this week it is the backend team"),
}
QUESTIONS = (
    "Does anyone know why {q}?",
    "{q}, what can I do?",
    "How do I fix this: {q}?",
    "Please help, {q}.",
    "Could somebody look at this? {q}",
    "Hi all, {q}. Any ideas?",
)
ANSWERS = ("Easy: {a}.", "{a}", "We had that last week: {a}.", "Try this: {a}.", "As far as I know {a}.")
STATUS = (
    "looking into it",
    "On it, give me five minutes",
    "let me ask the team",
    "will check and get back to you",
    "ich schaue mir das gleich an",
    "je regarde ça tout de suite",
    "lo miro y te digo",
    "hm, never seen that before",
)
THANKS = ("thanks!", "Thank you, that worked", "perfect, thx :pray:", "danke!")
CHATTER = (
    "lunch at noon?",
    "the new chairs are here :tada:",
    "nice work everyone",
    "stand-up in five minutes",
    "I will be out on Friday",
    "reminder: time sheets",
    "good morning :wave:",
    "see you tomorrow",
)
EVENTS = ("channel_join", "channel_leave", "channel_topic", "channel_purpose", "pinned_item", "bot_add", "reminder_add")


@dataclass
class Workspace:
    """`old` writes 2015-style messages (text only, `replies` on roots), else 2025-style (blocks, client ids)."""

    seed: int = 0
    messages: int = 1000
    people: int = 40
    channels: int = 6
    old: bool = False
    canaries: bool = True
    hostile_rows: bool = False  # rows that must be quarantined
    _rng: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(f"{self.seed}/{self.messages}")

    def users(self) -> list[dict[str, Any]]:
        rng = random.Random(f"users/{self.seed}")
        found = [self._user(i, rng) for i in range(self.people)]
        found.append({"id": "U0BOT0001", "name": "buildbot", "is_bot": True, "team_id": TEAM, "profile": {}})
        found.append(
            {
                "id": "U0STRANGE",
                "name": "guest",
                "team_id": FOREIGN_TEAM,
                "is_stranger": True,
                "profile": {"real_name": "Guesty Outsider"},
            }
        )
        if self.canaries:
            profile = {
                "real_name": "Canarina Vogelsang",
                "email": "canary.person@example-mail.test",
                "display_name": "canarina.v",
            }
            found.append({"id": "U0CANARY1", "name": "canarina.v", "team_id": TEAM, "profile": profile})
        return found

    def _user(self, i: int, rng: random.Random) -> dict[str, Any]:
        first, last = FIRST[i % len(FIRST)], LAST[(i // len(FIRST) + i) % len(LAST)] + ("" if i < 120 else str(i))
        profile = {"real_name": f"{first} {last}", "display_name": f"{first.lower()}.{i}", "email": f"p{i}@corp.test"}
        return {
            "id": f"U{i:08d}",
            "name": f"{first.lower()}.{i}",
            "team_id": TEAM,
            "is_bot": False,
            "deleted": rng.random() < 0.05,
            "profile": profile,
        }

    def channel_list(self) -> list[dict[str, Any]]:
        names = [CHANNELS[i] if i < len(CHANNELS) else f"team-{i}" for i in range(self.channels)]
        return [{"id": f"C{i:08d}", "name": name, "created": START_S, "members": []} for i, name in enumerate(names)]

    def index(self) -> dict[str, Any]:
        """Entry name → content of the files at the root."""
        return {
            "users.json": self.users(),
            "channels.json": self.channel_list(),
            "groups.json": [{"id": "G00000001", "name": "secret-plans", "is_private": True}],
            "dms.json": [{"id": "D00000001", "members": ["U00000000", "U00000001"]}],
            "mpims.json": [{"id": "G00000002", "name": "mpdm-zelda--quillon-1", "is_mpim": True}],
            "integration_logs.json": [{"user_name": "Canarina Vogelsang"}],
        }

    def days(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """(entry, messages) day by day and channel by channel; exactly `messages` of them in public channels."""
        left, day = self.messages, 0
        carried: dict[str, list[dict[str, Any]]] = {}
        while left > 0:
            for channel in self.channel_list():
                rows = carried.pop(channel["id"], [])
                target = min(left, self._rng.randint(60, 140))
                while len(rows) < target:
                    rows += self._episode(channel, day)
                rows, over = rows[:target], rows[target:]
                if over:
                    carried[channel["id"]] = over
                left -= len(rows)
                rows.sort(key=lambda m: str(m.get("ts")))
                yield f"{channel['name']}/{self._date(day)}.json", rows
                if left <= 0:
                    return
            if day == 0:
                yield from self._private(day)
            day += 1

    def _date(self, day: int) -> str:
        import datetime

        return (datetime.date(2023, 11, 14) + datetime.timedelta(days=day)).isoformat()

    def _private(self, day: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        for folder in ("secret-plans", "D00000001", "mpdm-zelda--quillon-1"):
            yield f"{folder}/{self._date(day)}.json", [self._message(day * 86400 + 5, "U00000000", "top secret words")]

    def _episode(self, channel: dict[str, Any], day: int) -> list[dict[str, Any]]:
        """One thing that happens in a channel: a thread, open talk, chatter, a bot's alert, an event, an oddity."""
        at = day * 86_400 + self._rng.randint(0, 80_000)
        kind = self._rng.random()
        if kind < 0.45:
            return self._thread(at, channel)
        if kind < 0.63:
            return self._talk(at)
        if kind < 0.7:  # two at once, in no order
            return [*self._talk(at), *self._talk(at + self._rng.randint(5, 200))]
        if kind < 0.82:
            return [self._message(at, self._person(), self._rng.choice(CHATTER))]
        if kind < 0.9:
            return [self._alert(at)]
        return [self._odd(at, channel)]

    def _person(self) -> str:
        return f"U{self._rng.randrange(self.people):08d}"

    def _ts(self, at: int) -> str:
        return f"{START_S + at}.{self._rng.randrange(1_000_000):06d}"

    def _message(self, at: int, user: str, text: str, **more: Any) -> dict[str, Any]:
        row: dict[str, Any] = {"type": "message", "user": user, "text": text, "ts": self._ts(at), **more}
        if not self.old:
            row |= {"team": TEAM, "client_msg_id": f"{self._rng.getrandbits(128):032x}", "blocks": _blocks(text)}
            row["user_profile"] = {"real_name": "Canarina Vogelsang", "team": TEAM, "name": "canarina.v"}
        return row

    def _question(self) -> tuple[str, str]:
        question, answer = TOPICS[self._rng.choice(sorted(TOPICS))]
        number = self._rng.randrange(10_000)
        asked = self._rng.choice(QUESTIONS).format(q=f"{question} (ticket {number})")
        return asked, self._rng.choice(ANSWERS).format(a=answer)

    def _thread(self, at: int, channel: dict[str, Any]) -> list[dict[str, Any]]:
        asker, helper, other = self._person(), self._person(), self._person()
        asked, answer = self._question()
        root = self._message(at, asker, asked)
        root["thread_ts"] = root["ts"]
        replies = [(helper, f"<@{asker}> {answer}" if self._rng.random() < 0.3 else answer)]
        if self._rng.random() < 0.3:
            replies.insert(0, (helper, "Which version do you have?"))
            replies.insert(1, (asker, f"version 3.{self._rng.randrange(20)}"))
        if self._rng.random() < 0.15:
            replies.insert(0, (self._rng.choice((helper, other)), self._rng.choice(STATUS)))
        if self._rng.random() < 0.05:
            replies = [(helper, self._rng.choice(STATUS))]
        if self._rng.random() < 0.2:
            replies.append(
                (other, self._rng.choice(("+1", "see DM", "https://wiki.corp.test/page?t=xoxe-1-2", "same here")))
            )
        if self._rng.random() < 0.5:
            replies.append((asker, self._rng.choice(THANKS)))
        rows = [root]
        for user, text in replies:
            at += self._rng.randint(20, 300) if self._rng.random() < 0.7 else self._rng.randint(300, 9000)
            reply = self._message(at, user, text, thread_ts=root["ts"], parent_user_id=asker)
            if self._rng.random() < 0.04:
                reply |= {"subtype": "thread_broadcast", "root": {**root}}
            if text.endswith(answer) and self._rng.random() < 0.4:
                reply["reactions"] = [
                    {"name": self._rng.choice(("white_check_mark", "+1", "pray")), "users": [asker], "count": 1}
                ]
            rows.append(reply)
        if self.old:
            root["replies"] = [{"user": r["user"], "ts": r["ts"]} for r in rows[1:]]
        root |= {"reply_count": len(rows) - 1, "latest_reply": rows[-1]["ts"]}
        return rows

    def _talk(self, at: int) -> list[dict[str, Any]]:
        asker, helper = self._person(), self._person()
        asked, answer = self._question()
        mention = f"<@{asker}> " if self._rng.random() < 0.6 else ""
        rows = [
            self._message(at, asker, asked),
            self._message(at + self._rng.randint(30, 300), helper, mention + answer),
        ]
        if self._rng.random() < 0.5:
            rows.append(self._message(at + 400, asker, self._rng.choice(THANKS)))
        return rows

    def _alert(self, at: int) -> dict[str, Any]:
        attachment = {
            "fallback": "Build failed",
            "title": "Build 77",
            "title_link": "https://ci.corp.test/77",
            "text": "*red*",
        }
        row = {"type": "message", "subtype": "bot_message", "bot_id": "B00000001", "text": "", "ts": self._ts(at)}
        return row | {"attachments": [attachment], "username": "buildbot"}

    def _odd(self, at: int, channel: dict[str, Any]) -> dict[str, Any]:
        """Everything else slack.md names, one at a time."""
        user = self._person()
        shapes = [
            lambda: self._message(at, user, f"<@{user}> has joined the channel", subtype=self._rng.choice(EVENTS)),
            lambda: {
                "type": "message",
                "subtype": "tombstone",
                "text": "This message was deleted.",
                "user": "USLACKBOT",
                "ts": self._ts(at),
            },
            lambda: self._message(at, user, "edited words", edited={"user": user, "ts": self._ts(at + 60)}),
            lambda: self._file(at, user),
            lambda: self._message(at, user, "waves", subtype="me_message"),
            lambda: self._message(at, "U0STRANGE", "hello from the other company", user_team=FOREIGN_TEAM),
            lambda: self._message(at, "USLACKBOT", "I searched for that", subtype="slackbot_response"),
            lambda: self._message(at, "UUNKNOWN1", "I left long ago"),
            lambda: self._message(
                at,
                user,
                "look: <https://x.test/a?b=1|the page>",
                attachments=[{"from_url": "https://x.test", "text": "preview"}],
            ),
            lambda: self._message(at, user, "run `make &amp;&amp; make test` or ```a &lt; b\n  *c*```"),
            lambda: self._comment(at, user),
        ]
        if self.canaries:
            shapes += [lambda text=text: self._message(at, user, text) for text in _canary_texts()]
        if self.hostile_rows:
            shapes += [
                lambda: {"type": "message", "text": "no ts here", "user": user},
                lambda: self._message(at, user, "what", subtype="brand_new_subtype"),
                lambda: {"type": "message", "text": 5, "user": user, "ts": self._ts(at)},
            ]
        return self._rng.choice(shapes)()

    def _file(self, at: int, user: str) -> dict[str, Any]:
        url = f"https://files.slack.test/x.png?t={CANARIES[0]}"
        file = {"id": "F1", "name": "Canarina Vogelsang.png", "title": CANARIES[2], "url_private": url, "user": user}
        if self.old:
            text = f"<@{user}> uploaded a file: <{url}|x>"
            return {
                "type": "message",
                "subtype": "file_share",
                "user": user,
                "text": text,
                "file": file,
                "ts": self._ts(at),
                "bot_id": None,
            }
        return self._message(at, user, self._rng.choice(("", "here is the screenshot")), files=[file], upload=True)

    def _comment(self, at: int, user: str) -> dict[str, Any]:
        comment = {"id": "Fc1", "user": user, "comment": "this picture shows the error", "timestamp": START_S + at}
        row = {"type": "message", "subtype": "file_comment", "text": f"<@{user}> commented on …", "comment": comment}
        return row | {"file": {"id": "F1"}, "ts": self._ts(at)}

    def entries(self) -> Iterator[tuple[str, bytes]]:
        for name, value in self.index().items():
            yield name, json.dumps(value).encode()
        for name, rows in self.days():
            yield name, json.dumps(rows, ensure_ascii=False).encode()

    def write_zip(self, path: Path, prefix: str = "") -> Path:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, data in self.entries():
                archive.writestr(prefix + name, data)
        return path

    def write_folder(self, path: Path) -> Path:
        for name, data in self.entries():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return path


def _canary_texts() -> list[str]:
    return [
        f"my token is {CANARIES[1]} ok",
        f"file at <https://files.slack.test/a?t={CANARIES[0]}|here> please",
        "write to <mailto:canary.person@example-mail.test|canary.person@example-mail.test> today",
        "ask Canarina Vogelsang about it, or @canarina.v in the thread",
        f"```export KEY={CANARIES[4]}\nowner=Canarina Vogelsang```",
        "Canarina said that canarina's laptop is broken",
    ]


def _blocks(text: str) -> list[dict[str, Any]]:
    """rich_text of simple texts; what has markup is left to `text`."""
    if not text or any(mark in text for mark in "<`*&:"):
        return []
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return [{"type": "rich_text", "block_id": "b1", "elements": [section]}]
