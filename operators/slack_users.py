"""People of a workspace: who is who, who is a bot, who is not to appear, and one pseudonym each, everywhere.

A pseudonym is `user_` + the first 10 letters of base32(HMAC-SHA256(key, team id + user id)). The same person gets it as
author, mention, full name, handle and e-mail in running text. Names of people who opted out, and names that several
people share, become `<PERSON>`. The key is read from `env:NAME` or `file:PATH` and never leaves this module.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataforge.errors import ConfigError, SecretError
from dataforge.operators.slack_folding import replace_folded
from dataforge.operators.slack_names import PERSON, Names

# An id typed bare is one only if a member has it and no word looks like it; after `@` or in a link of Slack's any one is.
USER_ID = re.compile(r"(@|/(?:team|files)/)?(?<![A-Za-z0-9])([UW][A-Z0-9]+)(?![A-Za-z0-9])")
ID_LETTERS = 9  # of the shortest ids that Slack gives
ANY_CASE_ID = re.compile(r"(?<![A-Za-z0-9])[UWuw](?=[A-Za-z]*[0-9])[A-Za-z0-9]{8,}(?![A-Za-z0-9])")  # a word has no digit


@dataclass(frozen=True)
class Person:
    id: str
    team: str
    is_bot: bool
    is_external: bool


def read_key(reference: str) -> bytes:
    """The secret behind `env:NAME` or `file:PATH`. Literal keys are refused: they would end in manifests and logs."""
    kind, _, place = reference.partition(":")
    if kind == "env" and place:
        value = os.environ.get(place, "").encode()
    elif kind == "file" and place:
        try:
            value = Path(place).expanduser().read_bytes().strip()
        except OSError as error:
            raise SecretError(f"key file cannot be read: {error.strerror}", hint="create it, or use env:NAME") from None
    else:
        raise SecretError("a key must be given as env:NAME or file:PATH", hint="never write the key itself")
    if len(value) < 16:
        raise SecretError(f"key of {len(value)} bytes, at least 16 needed", hint="for instance: openssl rand -hex 32")
    return value


def letters(key: bytes, message: str) -> str:
    """Ten letters of base32(HMAC-SHA256(key, message)), lower case: 50 bits."""
    digest = hmac.new(key, message.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest)[:10].decode().lower()


def key_fingerprint(key: bytes) -> str:
    """What may stand for the key in an identity: says that it changed, not what it is."""
    return hmac.new(key, b"dataforge key fingerprint", hashlib.sha256).hexdigest()[:32]


@dataclass
class People:
    """Answers about user ids. Build it with `people_of`; `unknown` is True for ids that no member list names."""

    key: bytes = field(repr=False)
    team: str
    members: dict[str, Person]
    opted_out: frozenset[str]
    _names: Names = field(repr=False)
    _pseudonyms: dict[str, str] = field(default_factory=dict, repr=False)
    _taken: dict[str, str] = field(default_factory=dict, repr=False)

    def pseudonym(self, user: str) -> str:
        """`"U123"` -> `"user_k3f…"`; raises ConfigError when two people would share one."""
        known = self._pseudonyms.get(user)
        if known is None:
            person = self.members.get(user)
            known = "user_" + letters(self.key, (person.team if person else self.team) + user)
            if self._taken.setdefault(known, user) != user:
                raise ConfigError("two people would get one pseudonym", key="slack.key", hint="use another key")
            self._pseudonyms[user] = known
        return known

    def mention(self, user: str) -> str:
        """What a mention shows, without `@`."""
        return "user" if self.is_opted_out(user) else self.pseudonym(user)

    def unknown(self, user: str) -> bool:
        return user not in self.members and user != "USLACKBOT"

    def is_bot(self, user: str) -> bool:
        person = self.members.get(user)
        return user == "USLACKBOT" or bool(person and person.is_bot)

    def is_external(self, user: str) -> bool:
        person = self.members.get(user)
        return bool(person and person.is_external)

    def is_opted_out(self, user: str) -> bool:
        return bool(self.opted_out) and (user in self.opted_out or self.pseudonym(user) in self.opted_out)

    def hide_names(self, text: str) -> str:
        """Ids, full names, handles and e-mails of members in running text become pseudonyms; single names outside code."""
        text = replace_folded(USER_ID, self._id_hidden, text)
        text = replace_folded(ANY_CASE_ID, self._member_hidden, text)
        return self._names.hide(text)

    def _member_hidden(self, match: re.Match[str]) -> str:
        user = match[0].upper()
        return self.mention(user) if user in self.members else match[0]

    def _id_hidden(self, match: re.Match[str]) -> str:
        before, user = match[1] or "", match[2]
        is_long = len(user) >= ID_LETTERS
        is_one = (is_long or user in self.members) if before else (is_long and user in self.members)
        return before + self.mention(user) if is_one else match[0]


def people_of(users: Iterable[Any], *, key: bytes, team: str = "", opted_out: Iterable[str] = ()) -> People:
    """From the list of `users.json`, `org_users.json` or `users.list`. Entries without an id are passed over."""
    entries = [user for user in users if isinstance(user, dict) and isinstance(user.get("id"), str)]
    team = team or home_team(entries)
    members = {user["id"]: _person(user, team) for user in entries}
    names = Names({})
    people = People(key, team, members, frozenset(opted_out), names)
    for user in entries:
        hidden = PERSON if people.is_opted_out(user["id"]) else people.pseudonym(user["id"])
        names.learn(user, hidden)
    return people


def home_team(users: Iterable[dict[str, Any]]) -> str:
    """The team most members belong to; ties by name."""
    counts: dict[str, int] = {}
    for user in users:
        team = user.get("team_id")
        if isinstance(team, str) and not user.get("is_stranger"):
            counts[team] = counts.get(team, 0) + 1
    return min(counts, key=lambda team: (-counts[team], team), default="")


def _person(user: dict[str, Any], home: str) -> Person:
    team = user.get("team_id") if isinstance(user.get("team_id"), str) else home
    enterprise = user.get("enterprise_user")
    teams = enterprise.get("teams") if isinstance(enterprise, dict) else None
    at_home = team == home or (isinstance(teams, list) and home in teams)
    return Person(user["id"], team or "", bool(user.get("is_bot")), bool(user.get("is_stranger")) or not at_home)
