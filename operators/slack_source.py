"""What a Slack export and a pull through the Web API have in common: whose messages are read, and by which rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa

from dataforge.operator import Source
from dataforge.operators.slack_channels import Channel, Channels
from dataforge.operators.slack_message import MessageReader, MessageRules
from dataforge.operators.slack_users import People, key_fingerprint, letters
from dataforge.schemas.message import MESSAGE


@dataclass(frozen=True)
class Who:
    """Which channels are read, who is left out, whether channels keep their names. Ids in the lists may be ids,
    pseudonyms or (channels) names.
    """

    private: bool = False
    dms: bool = False
    group_dms: bool = False
    channels: tuple[str, ...] = ()  # only these, by name or id; empty: all that are switched on
    named: bool = False  # public channels appear by name
    opt_out_users: tuple[str, ...] = field(default=(), metadata={"identity": False})  # enters the digest as HMAC
    opt_out_channels: tuple[str, ...] = field(default=(), metadata={"identity": False})

    def kinds(self) -> frozenset[str]:
        switched = {"private": self.private, "dm": self.dms, "group_dm": self.group_dms}
        return frozenset({"public", *(kind for kind, on in switched.items() if on)})

    def wants(self, channel: Channel, channels: Channels) -> bool:
        named = not self.channels or bool({channel.id, channel.folder, channel.shown} & set(self.channels))
        return channel.kind in self.kinds() and named and not channels.is_opted_out(channel)

    def fingerprint(self, key: bytes) -> str:
        """Of the key and the opt-out lists, without giving any of them away."""
        lists = "\n".join([*sorted(self.opt_out_users), "", *sorted(self.opt_out_channels)])
        return f"{key_fingerprint(key)}\0{letters(key, lists)}"


EVERYTHING_PUBLIC, PLAIN_RULES = Who(), MessageRules()


@dataclass(frozen=True)
class SlackSource(Source):
    """`key` is `env:NAME` or `file:PATH` of the pseudonym key."""

    VERSION: ClassVar[int] = 12

    name: str
    path: str = field(metadata={"identity": False})
    key: str = field(metadata={"identity": False})
    who: Who = EVERYTHING_PUBLIC
    rules: MessageRules = PLAIN_RULES

    def gives(self) -> pa.Schema:
        return MESSAGE

    def people(self) -> People:
        return self.known()[0]

    def known(self) -> tuple[People, Channels]:
        """Members and channels, as the lists of the workspace name them."""
        raise NotImplementedError

    def private(self) -> Callable[[str], str]:
        """Hides in any text what no message shows: secrets, names and ids of members, names of channels."""
        return self._reader(*self.known()).private

    def _reader(self, people: People, channels: Channels) -> MessageReader:
        from dataforge.operators.secrets import mask_secrets

        return MessageReader(self.name, people, channels, self.rules, mask_secrets)
