"""Slack's two ways of writing, mrkdwn strings and rich_text blocks, as clean text: the same text from both.

Mentions become pseudonyms, links their label and domain, short codes emoji, quotes and lists Markdown. Code stays byte
for byte (only the three entities of mrkdwn are decoded). One pass, linear time; what is not closed is literal text.
Personal names in running text and secrets are not found here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

URLS = ("domain", "label", "url", "both")
TOKEN = re.compile(r"```.*?```|`[^`\n]+`|<[^<>\n]*>", re.S)
REFERENCE = re.compile(r"<([^<>\n]*)>")
SHORT_CODE = re.compile(r":([a-z0-9_+'-]{1,100}):(?::skin-tone-[2-6]:)?")
ENTITY = re.compile(r"&(amp|lt|gt);")
ENTITIES = {"amp": "&", "lt": "<", "gt": ">"}
BULLET = re.compile(r"^([ \t]*)[•◦▪▫‣]\ufe0e? +", re.M)
EMPHASIS = tuple(
    (re.compile(rf"(?<![\w{m}]){m}(?=[^\s{m}])([^{m}\n]*[^\s{m}]){m}(?![\w{m}])"), mark)
    for m, mark in ((r"\*", "**"), ("_", "_"), ("~", "~~"))
)
INVISIBLE = dict.fromkeys(map(ord, "\0\u200b\u2060\ufeff\u00ad"))  # NUL is our place-holder; the others split words
SECRET_QUERY = re.compile(
    r"(?i)^(t|sig|key|auth|x-amz-.*|.*(token|secret|signature|password|apikey|api_key|credential).*)$"
)
HOLE = "\0"


@dataclass(frozen=True)
class Style:
    """How text is written. `user` and `channel` turn an id into what the reader sees, without `@` or `#`."""

    user: Callable[[str], str]
    channel: Callable[[str], str]
    urls: str = "domain"
    markdown: bool = False  # keep bold, italic and strike as Markdown
    unknown: Callable[[str], None] = lambda kind: None  # told of every element type that is not known


@functools.cache
def emoji_table() -> dict[str, str]:
    """Short code → Unicode, from the pinned `emoji` package: GitHub's aliases first, then CLDR names."""
    from emoji import EMOJI_DATA

    names: dict[str, str] = {}
    for key in ("en", "alias"):
        for char, entry in EMOJI_DATA.items():
            listed = entry.get(key) or []
            for name in [listed] if isinstance(listed, str) else listed:
                names[name.strip(":").lower()] = char
    return names


def mrkdwn_to_text(text: str, style: Style) -> str:
    """`"*Hi* <@U1>, see <https://x.org/a|docs> :+1:"` -> `"Hi @user_ab…, see docs (x.org) 👍"`"""
    text = text.translate(INVISIBLE)
    held: list[str] = []
    plain: list[str] = []
    end = 0
    for token in TOKEN.finditer(text):
        plain.append(text[end : token.start()])
        end = token.end()
        if token[0].startswith("```"):
            while text[end : end + 1] == " ":
                end += 1
            _hold_fence(_code(token[0][3:-3], style), plain, held, text[end : end + 1])
        else:
            plain.append(HOLE)
            held.append(_code(token[0], style) if token[0][0] == "`" else _angle(token[0][1:-1], style))
    plain.append(text[end:])
    return _finish("".join(plain), held, style, is_escaped=True)


def _code(text: str, style: Style) -> str:
    """Code as it was typed. A typed `<` is always `&lt;`, so what stands in `<…>` was put there by Slack itself."""
    return decode_entities(REFERENCE.sub(lambda m: _angle_in_code(m[1], style), text) if "<" in text else text)


def _angle_in_code(inner: str, style: Style) -> str:
    target, _, label = inner.partition("|")
    if target.startswith(("@", "#", "!")):
        return _angle(inner, style).replace("&", "&amp;")
    return label or strip_url_secrets(target) if ":" in target else f"<{inner}>"


def _hold_fence(code: str, plain: list[str], held: list[str], following: str) -> None:
    before = plain[-1] = plain[-1].rstrip(" ")
    lead = "" if (not held and not before.strip()) or before.endswith("\n") else "\n"
    plain.append(lead + HOLE + ("" if following in ("", "\n") else "\n"))
    held.append(fence(code))


def fence(code: str) -> str:
    """A fenced block whose fence is longer than any in the code. One newline at each end belongs to the fence."""
    code = code[1:] if code.startswith("\n") else code
    code = code[:-1] if code.endswith("\n") else code
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}\n{code}\n{marks}"


def decode_entities(text: str) -> str:
    """Once, and only the three that Slack writes: `"&amp;lt;"` -> `"&lt;"`."""
    return ENTITY.sub(lambda m: ENTITIES[m[1]], text) if "&" in text else text


def _finish(text: str, held: list[str], style: Style, *, is_escaped: bool) -> str:
    """Emphasis, emoji and entities outside the held pieces; then the pieces go back into their places."""
    if is_escaped:
        for pattern, mark in EMPHASIS:
            text = pattern.sub(rf"{mark}\1{mark}" if style.markdown else r"\1", text)
        text = BULLET.sub(r"\1- ", text)
    if ":" in text:
        text = SHORT_CODE.sub(lambda m: emoji_table().get(m[1], f":{m[1]}:"), text)
    if is_escaped:
        text = decode_entities(text)
    if not held:
        return text.strip()
    pieces = text.split(HOLE)
    return "".join(a + b for a, b in zip(pieces, [*held, ""], strict=True)).strip()


def _angle(inner: str, style: Style) -> str:
    """What stands between `<` and `>`."""
    target, _, label = inner.partition("|")
    if target.startswith("@"):
        return "@" + style.user(target[1:])
    if target.startswith("#"):
        return "#" + style.channel(target[1:])
    if target.startswith("!"):
        return _special(target[1:], label)
    if target.startswith(("mailto:", "tel:")):
        return decode_entities(label or target.partition(":")[2])
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", target):
        return link(decode_entities(target), decode_entities(label), style.urls)
    return decode_entities(f"<{inner}>")


def _special(target: str, label: str) -> str:
    kind = target.split("^")[0]
    if kind == "date":
        return decode_entities(label)
    if kind in ("here", "channel", "everyone"):
        return f"@{kind}"
    return "@group" if kind == "subteam" else decode_entities(label)


def link(url: str, label: str, urls: str) -> str:
    """`("https://u:p@x.org/a?token=1", "docs", "both")` -> `"docs (https://x.org/a)"`; secrets never stay in a URL."""
    domain = domain_of(url)
    shown = strip_url_secrets(url) if urls in ("url", "both") else domain
    if not label or label == url or label in url or "://" in label:
        return shown if urls != "label" or not label else domain or label
    if urls == "label" or not shown:
        return label
    return shown if urls == "url" else f"{label} ({shown})"


def domain_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def strip_url_secrets(url: str) -> str:
    """The URL without user, password, fragment that holds a key, and query fields that carry tokens."""
    try:
        parts = urlsplit(url)
        fields = parse_qsl(parts.query, keep_blank_values=True)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return ""
    kept = [(name, value) for name, value in fields if not SECRET_QUERY.match(name) and "xox" not in value]
    query = parts.query if len(kept) == len(fields) else urlencode(kept)
    fragment = "" if "=" in parts.fragment else parts.fragment
    return parts._replace(netloc=host, query=query, fragment=fragment).geturl()


def has_rich_text(blocks: Any) -> bool:
    return isinstance(blocks, list) and any(isinstance(b, dict) and b.get("type") == "rich_text" for b in blocks)


def blocks_to_text(blocks: list[Any], style: Style) -> str:
    """rich_text blocks, and of any other block whatever text it has."""
    lines = _Lines(style)
    for block in blocks:
        if isinstance(block, dict):
            lines.block(block)
    return lines.text()


class _Lines:
    """Grows the text of blocks. Elements of a paragraph follow each other; a fence, list or quote begins a line."""

    def __init__(self, style: Style) -> None:
        self.style, self.plain, self.held = style, [""], []

    def text(self) -> str:
        return _finish("".join(self.plain), self.held, self.style, is_escaped=False)

    def hold(self, piece: str) -> None:
        self.plain.append(HOLE)
        self.held.append(piece)

    def new_line(self) -> None:
        last = next((p for p in reversed(self.plain) if p), "\n")
        if not last.endswith("\n"):
            self.plain.append("\n")

    def block(self, block: dict[str, Any]) -> None:
        if block.get("type") == "rich_text":
            for element in _dicts(block.get("elements")):
                self.section(element)
            return
        self.style.unknown(str(block.get("type")))
        for text in _texts_of(block):
            self.new_line()
            self.hold(mrkdwn_to_text(text, self.style))

    def section(self, section: dict[str, Any]) -> None:
        kind = section.get("type")
        elements = _dicts(section.get("elements"))
        self.new_line()
        if kind == "rich_text_preformatted":
            self.hold(fence("".join(str(e.get("text") or e.get("url") or "") for e in elements)))
        elif kind == "rich_text_list":
            self.list(section, elements)
        elif kind == "rich_text_quote":
            self.quote(elements)
        else:
            if kind != "rich_text_section":
                self.style.unknown(str(kind))
            for element in elements:
                self.element(element)

    def list(self, section: dict[str, Any], items: list[dict[str, Any]]) -> None:
        indent = "    " * _small(section.get("indent"))
        for number, item in enumerate(items, 1 + _small(section.get("offset"))):
            self.new_line()
            self.plain.append(indent + (f"{number}. " if section.get("style") == "ordered" else "- "))
            for element in _dicts(item.get("elements")):
                self.element(element)

    def quote(self, elements: list[dict[str, Any]]) -> None:
        inner = _Lines(self.style)
        for element in elements:
            inner.element(element)
        self.hold("\n".join("> " + line for line in inner.text().split("\n")))

    def element(self, element: dict[str, Any]) -> None:
        kind, style = element.get("type"), element.get("style")
        style = style if isinstance(style, dict) else {}
        text = str(element.get("text") or "")
        if kind == "text" and style.get("code"):
            self.hold(f"`{text}`")
        elif kind == "text":
            text = text.translate(INVISIBLE)
            self.plain.append(_marked(text, style) if self.style.markdown else text)
        elif kind == "emoji":
            self.hold(_emoji(element))
        else:
            self.hold(self.reference(str(kind), element, text))

    def reference(self, kind: str, element: dict[str, Any], text: str) -> str:
        if kind == "user":
            return "@" + self.style.user(str(element.get("user_id")))
        if kind == "channel":
            return "#" + self.style.channel(str(element.get("channel_id")))
        if kind == "broadcast":
            return f"@{element.get('range') or 'channel'}"
        if kind == "usergroup":
            return "@group"
        if kind == "link":
            url = str(element.get("url") or "")
            if url.startswith(("mailto:", "tel:")):
                return text or url.partition(":")[2]
            return link(url, text, self.style.urls)
        if kind == "date":
            return str(element.get("fallback") or "")
        if kind == "color":
            return str(element.get("value") or "")
        self.style.unknown(kind)
        return text


def _marked(text: str, style: dict[str, Any]) -> str:
    for name, mark in (("strike", "~~"), ("italic", "_"), ("bold", "**")):
        text = f"{mark}{text}{mark}" if style.get(name) and text.strip() else text
    return text


def _emoji(element: dict[str, Any]) -> str:
    name = str(element.get("name") or "").split("::")[0]
    known = emoji_table().get(name)
    if known is None and isinstance(element.get("unicode"), str):
        try:
            return "".join(chr(int(code, 16)) for code in element["unicode"].split("-") if not code.startswith("1f3f"))
        except (ValueError, OverflowError):
            pass
    return known or f":{name}:"


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _small(value: Any) -> int:
    return min(max(value, 0), 20) if isinstance(value, int) else 0


def _texts_of(block: dict[str, Any]) -> list[str]:
    """The text of a section, header or context block: `text` itself, or the texts of `fields` and `elements`."""
    items = [block, *_dicts(block.get("fields")), *_dicts(block.get("elements"))]
    texts = [item.get("text") for item in items]
    texts = [text.get("text") if isinstance(text, dict) else text for text in texts]
    return [text for text in texts if isinstance(text, str) and text]


def attachments_to_text(attachments: list[Any], style: Style) -> str:
    """Of each attachment that is not a link preview: pretext, title, text and fields, else the fallback."""
    parts: list[str] = []
    for item in _dicts(attachments):
        if item.get("from_url") or item.get("is_msg_unfurl"):
            continue
        fields = _dicts(item.get("fields"))
        texts = [item.get("pretext"), item.get("title"), item.get("text")]
        texts += [f"{f.get('title') or ''}: {f.get('value') or ''}".strip(": ") for f in fields]
        texts = [t for t in texts if isinstance(t, str) and t.strip()] or [item.get("fallback")]
        parts += [mrkdwn_to_text(t, style) for t in texts if isinstance(t, str)]
    return "\n".join(part for part in parts if part)
