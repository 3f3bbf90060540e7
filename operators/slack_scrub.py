"""A message of the Web API → what of it may lie on disk: known fields only, secrets and URL tokens gone.

Names and e-mails in the text stay until the page is read (as they stay in an export), so a pull folder is as private as
an export is. Files, profiles and unknown fields are not kept at all. What is left renders to the same text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from dataforge.operators.slack_message import SLACK_TOKEN
from dataforge.operators.slack_text import REFERENCE, strip_url_secrets

PLAIN_FIELDS = (
    "type", "subtype", "user", "bot_id", "app_id", "ts", "thread_ts", "parent_user_id", "reply_count", "latest_reply",
    "user_team", "source_team", "is_stranger", "team",
)  # fmt: skip
ATTACHMENT_TEXTS = ("pretext", "title", "text", "fallback")
SURROGATE = re.compile("[\ud800-\udfff]")
Mask = Callable[[str], str]


def scrubbed(message: Any, mask: Mask, hidden: Callable[[str], bool] = lambda user: False) -> Any:
    """The part of a message that is kept; what is no object stays as it is. `hidden` people's words go altogether."""
    if not isinstance(message, dict):
        return message
    kept = {name: message[name] for name in PLAIN_FIELDS if name in message}
    user = message.get("user")
    if isinstance(user, str) and hidden(user):
        return kept | {"text": ""}
    if "text" in message:
        kept["text"] = _mrkdwn(message["text"], mask)
    if isinstance(message.get("edited"), dict):
        kept["edited"] = {"ts": message["edited"].get("ts")}
    if isinstance(message.get("blocks"), list):
        kept["blocks"] = _block(message["blocks"], mask)
    if isinstance(message.get("attachments"), list):
        kept["attachments"] = [_attachment(item, mask) for item in message["attachments"] if isinstance(item, dict)]
    if isinstance(message.get("reactions"), list):
        kept["reactions"] = message["reactions"]
    _files(message, kept, mask)
    if isinstance(message.get("message"), dict):  # message_changed
        kept["message"] = scrubbed(message["message"], mask, hidden)
    profile = message.get("user_profile")
    if isinstance(profile, dict):
        kept["user_profile"] = {name: profile[name] for name in ("team", "is_stranger") if name in profile}
    return kept


def _files(message: dict[str, Any], kept: dict[str, Any], mask: Mask) -> None:
    """How many there are, and a person's own words about them."""
    if isinstance(message.get("files"), list):
        kept["files"] = [{} for _ in message["files"]]
    file = message.get("file")
    if isinstance(file, dict):
        comment = file.get("initial_comment")
        kept["file"] = {"initial_comment": _comment(comment, mask)} if isinstance(comment, dict) else {}
    if isinstance(message.get("comment"), dict):
        kept["comment"] = _comment(message["comment"], mask)


def _comment(comment: dict[str, Any], mask: Mask) -> dict[str, Any]:
    return {"user": comment.get("user"), "comment": _mrkdwn(comment.get("comment"), mask)}


def _attachment(item: dict[str, Any], mask: Mask) -> dict[str, Any]:
    if item.get("from_url") or item.get("is_msg_unfurl"):
        return {"from_url": "-"}
    kept: dict[str, Any] = {name: _mrkdwn(item[name], mask) for name in ATTACHMENT_TEXTS if name in item}
    if isinstance(item.get("fields"), list):
        fields = [field for field in item["fields"] if isinstance(field, dict)]
        kept["fields"] = [{name: _mrkdwn(field.get(name), mask) for name in ("title", "value")} for field in fields]
    return kept


def _mrkdwn(value: Any, mask: Mask) -> Any:
    """Links lose their tokens first; a mask is written so that mrkdwn shows it as `<SECRET>`."""
    if not isinstance(value, str):
        return value
    text = REFERENCE.sub(_safe_link, SURROGATE.sub("\ufffd", value)) if "<http" in value else SURROGATE.sub("\ufffd", value)
    return SLACK_TOKEN.sub("&lt;SECRET&gt;", mask(text).replace("<SECRET>", "&lt;SECRET&gt;"))


def _safe_link(match: re.Match[str]) -> str:
    target, bar, label = match[1].partition("|")
    return f"<{strip_url_secrets(target)}{bar}{label}>" if target.startswith("http") else match[0]


def _block(value: Any, mask: Mask) -> Any:
    """Blocks keep their form; every string in them is masked, URLs lose their tokens."""
    if isinstance(value, list):
        return [_block(item, mask) for item in value]
    if isinstance(value, str):
        return _plain(value, mask)
    if not isinstance(value, dict):
        return value
    if value.get("type") == "mrkdwn":
        return {"type": "mrkdwn", "text": _mrkdwn(value.get("text"), mask)}
    kept = {name: _block(item, mask) for name, item in value.items() if name != "block_id"}
    if isinstance(value.get("url"), str):
        kept["url"] = _plain(strip_url_secrets(value["url"]), mask)
    return kept


def _plain(value: str, mask: Mask) -> str:
    return SLACK_TOKEN.sub("<SECRET>", mask(SURROGATE.sub("\ufffd", value)))
