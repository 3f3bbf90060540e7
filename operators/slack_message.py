"""One message as Slack wrote it → one row of MESSAGE, one dropped row with a reason, or one quarantined row.

Privacy happens here, before anything can be written: people get pseudonyms, names and e-mails of members leave the
text, secrets are masked, opted-out and foreign people's messages end. Day files and pages of the Web API both come
through here, so that a pull and an export of the same workspace give the same rows.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import xxhash

from dataforge.errors import escape
from dataforge.operator import Rows
from dataforge.operators.files_rows import RowFault
from dataforge.operators.slack_blocks import attachments_to_text, blocks_to_text, has_rich_text
from dataforge.operators.slack_channel_names import LABEL
from dataforge.operators.slack_channels import Channel, Channels
from dataforge.operators.slack_decode import messages_of
from dataforge.operators.slack_fields import Batch, Left, edited_ts, micros, reply_count, string_of, ts_of
from dataforge.operators.slack_folding import composed
from dataforge.operators.slack_subtypes import (
    DISPUTED,
    DROPPED_BY_SUBTYPE,
    KEPT,
    RESOLVED_BY_ANYONE,
    RESOLVED_BY_ASKER,
)
from dataforge.operators.slack_text import Style, emoji_table, mrkdwn_to_text
from dataforge.operators.slack_users import People, letters

MADE_BY_SLACK = re.compile(r"<@[UW][A-Z0-9]+(?:\|[^>]*)?> (?:uploaded|shared|commented on|created|mentioned)\b")
SLACK_TOKEN = re.compile(r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{3,}")  # also the short ones of examples
IDENTIFIER = re.compile(r"[a-z_]{1,32}")  # what a type of Slack's looks like; other text may be anybody's words
BATCH_ROWS = 4096
RAW_BYTES = 4096
READ_BYTES = 64 * RAW_BYTES  # of a bad row, looked through for names
CUT_CHARS = 1024  # at the end of what was looked through: a name or a secret may be cut in two there
ESCAPES = re.compile(r'(?:\\u[0-9A-Fa-f]{4})+|\\["\\/bfnrt]')
PLAIN_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
JSON_LEVELS = 4


def unescaped(text: str) -> str:
    """JSON's escapes undone, those of JSON within JSON too: `J\\u00fcrgen` names a person as `Jürgen` does."""
    for _ in range(JSON_LEVELS):
        plain = ESCAPES.sub(_characters, text)
        if plain == text:
            break
        text = plain
    return text


def _characters(match: re.Match[str]) -> str:
    escaped = match[0]
    if escaped[1] != "u":
        return PLAIN_ESCAPES.get(escaped[1], escaped[1])
    units = bytes.fromhex("".join(escaped.split("\\u")))
    return units.decode("utf-16-be", "replace")


@dataclass(frozen=True)
class MessageRules:
    """What of a message is kept, and how its text is written."""

    bots: str = "drop"  # drop | keep
    external: str = "drop"  # drop | keep: people of other companies in shared channels
    urls: str = "domain"  # domain | label | url | both
    markdown: bool = False  # keep bold, italic and strike as Markdown
    max_row_bytes: int = 16 << 20


@dataclass
class MessageReader:
    """Turns lists of messages into Rows. Holds the workspace's people and channels; one reader serves many files."""

    source: str
    people: People
    channels: Channels
    rules: MessageRules
    mask_secrets: Callable[[str], str]
    _mentions: list[str] = field(default_factory=list)
    _notes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._style = Style(
            self._mention, self.channels.mention, self.rules.urls, self.rules.markdown, self._unknown_element
        )

    def rows(self, raw: bytes, channel: Channel, file: str) -> Iterator[Rows]:
        """All messages of one list. `file` is the name that may be shown."""
        batch = Batch(self.source, channel.key)
        for index, offset, message, piece in messages_of(raw, file, self.rules.max_row_bytes):
            # A loop over rows: cleaning one message costs some 20 to 40 µs of string work, the loop itself nothing.
            try:
                if isinstance(message, RowFault):
                    raise message
                fate = self.fate(message, channel)
            except RowFault as fault:
                shown = self._shown(piece if piece is not None else message)
                where = None if offset < 0 else offset
                batch.faults.append((file, index, where, fault.code, escape(fault.reason, 400), shown))
            else:
                (batch.left if isinstance(fate, Left) else batch.kept).append(fate)  # type: ignore[arg-type]
            if batch.size() >= BATCH_ROWS:
                yield batch.take(self._take_notes())
        if batch.size() or self._notes:
            yield batch.take(self._take_notes())

    def fate(self, message: dict[str, Any], channel: Channel) -> tuple[Any, ...] | Left:
        """The row (without id) in the order of MESSAGE, or why there is none. Raises RowFault."""
        subtype = string_of(message, "subtype")
        if subtype == "message_changed":
            inner = message.get("message")
            if not isinstance(inner, dict) or "ts" not in inner:
                raise RowFault("SCHEMA", "message_changed without the message it changes")
            return self.fate({**inner, "subtype": inner.get("subtype") or ""}, channel)
        ts = ts_of(message, "ts")
        if ts is None:
            raise RowFault("SCHEMA", "expected ts, found none")
        if subtype not in KEPT:
            if subtype not in DROPPED_BY_SUBTYPE:
                shown = f"subtype {subtype}" if IDENTIFIER.fullmatch(subtype) else "a subtype that"
                raise RowFault("SCHEMA", f"{shown} is not known")
            return Left(ts, DROPPED_BY_SUBTYPE[subtype], subtype)
        user, is_bot = self._author(message, subtype)
        reason = self._unwanted(message, user, is_bot)
        if reason:
            return Left(ts, reason, subtype or "message")
        return self._row(message, channel, ts, subtype, user, is_bot)

    def _author(self, message: dict[str, Any], subtype: str) -> tuple[str, bool]:
        """(user or bot id, whether it is a bot). `bot_id` alone proves nothing: uploads by people carry one."""
        user = string_of(message, "user")
        person = self.people.members.get(user)
        if person and not (person.is_bot or subtype or "bot_id" in message or "app_id" in message):
            return user, user == "USLACKBOT"  # as nearly all messages
        if subtype == "file_comment":
            comment = message.get("comment")
            user = (string_of(comment, "user") if isinstance(comment, dict) else "") or user
        bot = string_of(message, "bot_id") or string_of(message, "app_id")
        known = user in self.people.members if self.people.members else bool(user)
        is_bot = subtype == "bot_message" or self.people.is_bot(user) or (bool(bot) and not known)
        if not user and not is_bot:
            return "", False
        return (user or bot or "bot"), is_bot

    def _unwanted(self, message: dict[str, Any], user: str, is_bot: bool) -> str:
        people, parent = self.people, string_of(message, "parent_user_id")
        if is_bot:
            return "bot" if self.rules.bots == "drop" else ""
        if not user:
            return "no_user"
        if people.is_opted_out(user):
            return "opt_out"
        if parent and people.is_opted_out(parent):
            return "opt_out_thread"
        if self.rules.external == "drop":
            if self._is_external(message, user):
                return "external"
            if parent and people.is_external(parent):
                return "external_thread"
        return ""

    def _is_external(self, message: dict[str, Any], user: str) -> bool:
        if user in self.people.members:
            return self.people.is_external(user)
        profile = message.get("user_profile")
        profile = profile if isinstance(profile, dict) else {}
        if message.get("is_stranger") or profile.get("is_stranger"):
            return True
        teams = (message.get("user_team"), message.get("source_team"), profile.get("team"))
        return bool(self.people.team) and any(isinstance(t, str) and t and t != self.people.team for t in teams)

    def _row(
        self, message: dict[str, Any], channel: Channel, ts: str, subtype: str, user: str, is_bot: bool
    ) -> tuple[Any, ...] | Left:
        self._mentions.clear()
        text, text_source = self._text(message, subtype)
        text = self.private(text) if text else ""
        files = message.get("files")
        n_files = len(files) if isinstance(files, list) else int(isinstance(message.get("file"), dict))
        if not text:
            return Left(ts, "empty", subtype or ("files" if n_files else "message"))
        if not is_bot and self.people.unknown(user):
            self._notes["unknown_members"] = self._notes.get("unknown_members", 0) + 1
        shown = "bot_" + letters(self.people.key, user) if is_bot else self.people.pseudonym(user)
        thread_ts, replies, parent, parent_shown = self._thread(message, ts)
        is_broadcast = subtype in ("thread_broadcast", "reply_broadcast")
        edited, reactions = edited_ts(message), self._reactions(message, parent)
        version = f"{micros(edited):016x}{replies:08x}{xxhash.xxh3_64_hexdigest(text.encode())}"
        where = (f"{channel.key}/{ts}", text, channel.shown, channel.kind, ts, micros(ts))
        who = (shown, is_bot, subtype or None, thread_ts, parent_shown, replies, is_broadcast)
        what = (text_source, edited, n_files, *reactions, list(dict.fromkeys(self._mentions)), version)
        return (*where, *who, *what)

    def _thread(self, message: dict[str, Any], ts: str) -> tuple[str | None, int, str, str | None]:
        """(thread, replies of its root, who began it, the same as it is shown)."""
        thread_ts, parent = ts_of(message, "thread_ts"), string_of(message, "parent_user_id")
        is_root = thread_ts in (None, ts)
        shown = self.people.pseudonym(parent) if parent and not is_root else None
        return thread_ts, reply_count(message) if is_root else 0, parent, shown

    def _text(self, message: dict[str, Any], subtype: str) -> tuple[str, str]:
        """The person's own words and where they stood: blocks, else text, else attachments. Never two of them."""
        if subtype == "file_comment":
            return self._comment(message.get("comment")), "comment"
        text = string_of(message, "text")
        if subtype == "file_share" and MADE_BY_SLACK.match(text):
            file = message.get("file")
            return self._comment(file.get("initial_comment") if isinstance(file, dict) else None), "comment"
        blocks = message.get("blocks")
        if has_rich_text(blocks) and (clean := blocks_to_text(blocks, self._style)):  # type: ignore[arg-type]
            return clean, "blocks"
        if text:
            self._mentions.clear()
            if clean := mrkdwn_to_text(text, self._style):
                return clean, "text"
        if isinstance(blocks, list) and (clean := blocks_to_text(blocks, self._style)):
            return clean, "blocks"
        attachments = message.get("attachments")
        return (attachments_to_text(attachments, self._style) if isinstance(attachments, list) else ""), "attachments"

    def _comment(self, comment: Any) -> str:
        return mrkdwn_to_text(string_of(comment, "comment"), self._style) if isinstance(comment, dict) else ""

    def _reactions(self, message: dict[str, Any], asker: str) -> tuple[list[dict[str, Any]], bool, bool]:
        """Counts by short code, without people who opted out; who reacted is read and forgotten."""
        listed = message.get("reactions")
        if not listed:
            return [], False, False
        counts: dict[str, int] = {}
        resolved = disputed = False
        for item in listed if isinstance(listed, list) else []:
            if not isinstance(item, dict) or not isinstance(item.get("name"), str):
                continue
            name = item["name"].split("::")[0].lower()
            found = item.get("users")
            users = [user for user in found if isinstance(user, str)] if isinstance(found, list) else []
            gone = sum(self.people.is_opted_out(u) for u in users)
            claimed = item.get("count") if isinstance(item.get("count"), int) else 0
            count = min(max(claimed or 0, len(users)) - gone, 2**31 - 1)
            if count <= 0:
                continue
            resolved |= name in RESOLVED_BY_ANYONE or (name in RESOLVED_BY_ASKER and asker != "" and asker in users)
            disputed |= name in DISPUTED
            shown = name if name in emoji_table() else "custom"  # custom short codes are often people
            counts[shown] = counts.get(shown, 0) + count
        return [{"name": name, "count": counts[name]} for name in sorted(counts)], resolved, disputed

    def _mention(self, user: str) -> str:
        if not self.people.is_opted_out(user):
            self._mentions.append(self.people.pseudonym(user))
        return self.people.mention(user)

    def _unknown_element(self, kind: str) -> None:
        name = f"element_{kind}" if re.fullmatch(r"[a-z_]{1,40}", kind) else "element_other"
        self._notes[name] = self._notes.get(name, 0) + 1

    def private(self, text: str) -> str:
        """Without secrets first, then without the names of channels and members: a name may be part of a secret."""
        text = self.mask_secrets(text)
        text = self.channels.hide_names(SLACK_TOKEN.sub("<SECRET>", text) if "xox" in text else text)
        return self.people.hide_names(text)

    def _shown(self, row: Any) -> str:
        """Base64 of the first 4 KiB of a bad row, secrets and members' names gone, and names of channels."""
        import orjson

        raw = row if isinstance(row, bytes) else orjson.dumps(row)
        text = LABEL.sub(r"\1>", raw[:READ_BYTES].decode("utf-8", "replace"))
        plain = LABEL.sub(r"\1>", unescaped(text))
        hidden = self.private(plain)
        shown = hidden if hidden != composed(plain) else self.private(text)
        if len(raw) > READ_BYTES:
            shown = shown[:-CUT_CHARS]
        return base64.b64encode(shown.encode("utf-8", "replace")[:RAW_BYTES]).decode()

    def _take_notes(self) -> dict[str, int]:
        notes, self._notes = self._notes, {}
        return notes
