"""rich_text blocks and attachments as clean text: the same text that slack_text makes of the mrkdwn of a message.

What is not known keeps its text and is told to `style.unknown`; nothing of any form raises.
"""

from __future__ import annotations

from typing import Any

from dataforge.operators.slack_text import (
    HOLE,
    INVISIBLE,
    MARKUP,
    UNKNOWN_EMOJI,
    Style,
    emoji_table,
    fence,
    finish,
    link,
    mrkdwn_to_text,
)


def has_rich_text(blocks: Any) -> bool:
    return isinstance(blocks, list) and any(isinstance(b, dict) and b.get("type") == "rich_text" for b in blocks)


def blocks_to_text(blocks: list[Any], style: Style) -> str:
    """rich_text blocks, and of any other block whatever text it has."""
    plain = _plain(blocks)
    if plain and not MARKUP.search(plain):
        return plain.strip()
    lines = _Lines(style)
    for block in blocks:
        if isinstance(block, dict):
            lines.block(block)
    return lines.text()


class _Lines:
    """Grows the text of blocks. Elements of a paragraph follow each other; a fence, list or quote begins a line."""

    def __init__(self, style: Style) -> None:
        self.style, self.plain = style, [""]
        self.held: list[str] = []

    def text(self) -> str:
        return finish("".join(self.plain), self.held, self.style, is_escaped=False)

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
            self.items(section, elements)
        elif kind == "rich_text_quote":
            self.quote(elements)
        else:
            if kind != "rich_text_section":
                self.style.unknown(str(kind))
            for element in elements:
                self.element(element)

    def items(self, section: dict[str, Any], items: list[dict[str, Any]]) -> None:
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


def _plain(blocks: list[Any]) -> str:
    """The text of one section with one plain text in it, as most messages are; "" for anything else."""
    try:
        (block,) = blocks
        (section,) = block["elements"]
        (element,) = section["elements"]
        kinds = block["type"], section["type"], element["type"]
        text = "" if element.get("style") else element["text"]
    except (LookupError, TypeError, ValueError, AttributeError):
        return ""
    return text if type(text) is str and kinds == ("rich_text", "rich_text_section", "text") else ""


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
    return known or UNKNOWN_EMOJI


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
