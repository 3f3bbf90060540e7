"""Channels of a workspace: which folder is which channel, of which kind, and under what name it may appear.

Channels appear under a pseudonym: their names tell of customers, projects and people. Public ones keep their name where
that is asked for (`named`), all others never; neither do hidden names typed in a text. Kinds that are not switched on
are never opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from dataforge.operators.slack_channel_names import ChannelNames
from dataforge.operators.slack_users import letters

INDEX_FILES = {"channels.json": "public", "groups.json": "private", "dms.json": "dm", "mpims.json": "group_dm"}
KINDS = tuple(INDEX_FILES.values())


@dataclass(frozen=True)
class Channel:
    folder: str  # as in the export; the id for direct messages
    id: str  # Slack's id, or the folder where no index names it
    kind: str  # one of KINDS
    shown: str  # pseudonym; with `named` the name of a public channel
    key: str  # id if public and listed, else pseudonym: what row keys begin with
    is_listed: bool  # False for a folder without an entry in any index file

    @property
    def place(self) -> str:
        """What errors and quarantine say for its folder: the name where it is kept, else the id of a public channel."""
        return self.shown if self.shown == self.folder else self.key


@dataclass(frozen=True)
class Channels:
    by_folder: dict[str, Channel]
    by_id: dict[str, Channel]
    opted_out: frozenset[str]
    _names: ChannelNames = field(default_factory=ChannelNames, repr=False, compare=False)

    def is_opted_out(self, channel: Channel) -> bool:
        return bool({channel.id, channel.folder, channel.shown, channel.key} & self.opted_out)

    def mention(self, channel_id: str) -> str:
        """What `<#C1>` shows, without `#`: the name of a channel that keeps it, else just "channel"."""
        channel = self.by_id.get(channel_id)
        return channel.shown if channel is not None and self._keeps_name(channel) else "channel"

    def hide_names(self, text: str) -> str:
        """Names of hidden channels typed as plain text become `#channel`, as a reference to them does."""
        return self._names.hide(text)

    def hiding(self, past: Iterable[str]) -> Channels:
        """With the names to hide: of all channels that do not keep theirs, read or not, and earlier ones."""
        kept = {channel.folder for channel in self.by_folder.values() if self._keeps_name(channel)}
        return replace(self, _names=ChannelNames({*self.by_folder, *past} - kept, kept))

    def _keeps_name(self, channel: Channel) -> bool:
        return channel.shown == channel.folder and not self.is_opted_out(channel)


def channel_of(entry: dict[str, Any], kind: str, key: bytes, *, is_listed: bool = True, named: bool = False) -> Channel:
    """From an entry of an index file or of `conversations.list`, whose flags outweigh the file it stands in."""
    kind = "dm" if entry.get("is_im") else "group_dm" if entry.get("is_mpim") else kind
    kind = "private" if kind == "public" and (entry.get("is_private") or entry.get("is_group")) else kind
    channel_id = str(entry["id"])
    name = entry.get("name")
    folder = name if kind != "dm" and isinstance(name, str) and name else channel_id
    hidden = "channel_" + letters(key, channel_id)
    public = kind == "public"
    shown = folder if public and named else hidden
    return Channel(folder, channel_id, kind, shown, channel_id if public and is_listed else hidden, is_listed)


def unlisted(folder: str, key: bytes, named: bool = False) -> Channel:
    """A folder that no index file names. What looks like direct messages or a private channel is taken as such."""
    kind = "public"
    if re.fullmatch(r"D[A-Z0-9]{7,}", folder):
        kind = "dm"
    elif folder.startswith("mpdm-"):
        kind = "group_dm"
    elif re.fullmatch(r"G[A-Z0-9]{7,}", folder):
        kind = "private"
    return channel_of({"id": folder, "name": folder}, kind, key, is_listed=False, named=named)


def channels_of(
    listed: Iterable[tuple[str, Any]],
    folders: Iterable[str],
    *,
    key: bytes,
    opted_out: Iterable[str] = (),
    named: bool = False,
) -> Channels:
    """`listed`: (kind, entry) of all index files; `folders`: those that hold day files."""
    by_folder: dict[str, Channel] = {}
    past: list[str] = []
    for kind, entry in listed:
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            past += _other_names(entry)
            channel = channel_of(entry, kind, key, named=named)
            by_folder.setdefault(channel.folder, channel)
    for folder in folders:
        if folder not in by_folder:
            by_folder[folder] = unlisted(folder, key, named)
    by_id = {channel.id: channel for channel in by_folder.values()}
    return Channels(by_folder, by_id, frozenset(opted_out)).hiding(past)


def _other_names(entry: dict[str, Any]) -> list[str]:
    earlier = entry.get("previous_names")
    found = [entry.get("name"), *(earlier if isinstance(earlier, list) else [])]
    return [name for name in found if isinstance(name, str)]
