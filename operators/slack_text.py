"""mrkdwn, the older of Slack's two ways of writing, as clean text; slack_blocks gives the same text from blocks.

Mentions become pseudonyms, links their label and domain, short codes emoji (custom ones `:emoji:`: their names tell of
people and customers), quotes and lists Markdown. Code stays byte
for byte (only the three entities of mrkdwn are decoded). One pass, linear time; what is not closed is literal text.
Personal names in running text and secrets are not found here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

TOKEN = re.compile(r"```.*?```|`[^`\n]+`|<[^<>\n]*>", re.S)
REFERENCE = re.compile(r"<([^<>\n]*)>")
SHORT_CODE = re.compile(r":([a-z0-9_+'-]{1,100}):(?::skin-tone-[2-6]:)?")
RUN_OF_CODES = re.compile(r"(?<![\w:/])(?::[a-z0-9_+'-]{1,100}:)+(?!\w)")  # not `12:30:45`, not `a::foo:`
UNKNOWN_EMOJI = ":emoji:"
ENTITY = re.compile(r"&(amp|lt|gt);")
ENTITIES = {"amp": "&", "lt": "<", "gt": ">"}
BULLET = re.compile(r"^([ \t]*)[•◦▪▫‣]\ufe0e? +", re.M)
EMPHASIS = tuple(
    (m[-1], re.compile(rf"(?<![\w{m}]){m}(?=[^\s{m}])([^{m}\n]*[^\s{m}]){m}(?![\w{m}])"), mark)
    for m, mark in ((r"\*", "**"), ("_", "_"), ("~", "~~"))
)
_INVISIBLE = "\0\u200b\u2060\ufeff\u00ad"  # NUL is our place-holder; the others split words
INVISIBLE = dict.fromkeys(map(ord, _INVISIBLE))
MARKUP = re.compile(rf"[<`*_~&•◦▪▫‣{_INVISIBLE}]|:[a-z0-9_+'-]+:")  # text without any of these is plain already
SECRET_QUERY = re.compile(r"(?i)^(t|sig|key|auth|x-amz-.*|.*(token|secret|signature|password|apikey|api_key|credential).*)$")
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


def emoji_of(name: str) -> str:
    """`"tada"` -> `"🎉"`; a custom one loses its name, and what has no letter is no emoji (`:30:`)."""
    return emoji_table().get(name) or (UNKNOWN_EMOJI if re.search("[a-z]", name) else f":{name}:")


def mrkdwn_to_text(text: str, style: Style) -> str:
    """`"*Hi* <@U1>, see <https://x.org/a|docs> :+1:"` -> `"Hi @user_ab…, see docs (x.org) 👍"`"""
    if not MARKUP.search(text):
        return text.strip()
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
    return finish("".join(plain), held, style, is_escaped=True)


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


def finish(text: str, held: list[str], style: Style, *, is_escaped: bool) -> str:
    """Emphasis, emoji and entities outside the held pieces; then the pieces go back into their places."""
    if is_escaped:
        for sign, pattern, mark in EMPHASIS:
            if sign in text:
                text = pattern.sub(rf"{mark}\1{mark}" if style.markdown else r"\1", text)
        text = BULLET.sub(r"\1- ", text)
    if ":" in text:
        text = RUN_OF_CODES.sub(lambda run: SHORT_CODE.sub(lambda m: emoji_of(m[1]), run[0]), text)
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
