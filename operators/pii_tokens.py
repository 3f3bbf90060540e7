"""Validators of secrets: which part of a match is one, if any. Placeholders, names in code and prose are none."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

_PLACEHOLDER = re.compile(
    rb"(?i)^[%<\[]|\\[*(]|[$%]?\{\w|\$\(|^\$[A-Za-z_]|%\w*%$|\*{3}|x{4}|\.{3}|^(?:your|my|some|the|enter|insert|change|example|dummy|test|placeholder|redacted)[_-]"
    rb"|[_-](?:here|goes|example|placeholder)\b|^(?:os\.|process\.|env|self\.|this\.|config|settings)"
)
_CODE = re.compile(  # f(…), a[0], self.token, some_name, (x, \\n, ~/path: code, not a value
    rb"^(?:[A-Za-z_][\w.]*(?:\(|\[|\.[A-Za-z_])|_[a-z0-9]+$|[a-z]+[a-z0-9]*(?:_[a-z0-9]+)+$|[(:#\\~/\[{])"
)


Part = tuple[int, int] | None  # the valid part of a match: first byte and the one after the last
_QUOTES = b"\"'`*"


def opaque(value: bytes) -> Part:
    """A token that looks random and has nothing of a placeholder. `"sk-your-openai-api-key-goes-here"` -> None."""
    return (0, len(value.rstrip(b"."))) if _random(value) and not _PLACEHOLDER.search(value) else None


def _random(value: bytes) -> bool:
    """Letters with digits among them, or upper and lower case in a mix that names in code do not have."""
    digits, letters = _digits(value), _letters(value)
    if letters >= 2 and digits >= 2:
        return True
    byte = np.frombuffer(value, np.uint8)
    upper = (byte >= 65) & (byte <= 90)
    changes = int(np.count_nonzero(upper[1:] != upper[:-1]))
    return len(value) >= 8 and changes >= (0.15 if digits else 0.45) * len(value)


def mixed(value: bytes) -> Part:
    """Has a digit and a letter beyond its prefix: names in code are sometimes as long as a token."""
    return (0, len(value)) if _digits(value[4:]) and _letters(value[4:]) else None


def _digits(value: bytes) -> int:
    return len(value) - len(value.translate(None, b"0123456789"))


def _letters(value: bytes) -> int:
    return len(value) - len(value.translate(None, _ASCII_LETTERS))


def _marks(value: bytes) -> bool:
    """Has a character that words, paths and numbers do not have."""
    return bool(value.translate(None, _PLAIN))


_ASCII_LETTERS = bytes([*range(65, 91), *range(97, 123)])
_PLAIN = _ASCII_LETTERS + b"0123456789_.,:/()-" + bytes(range(128, 256))
_WEAK = frozenset((b"password", b"pass", b"passwd", b"pwd", b"secret", b"pw", b"user", b"username", b"token", b"port"))


def credentials(url: bytes) -> Part:
    """A URL with a password in it that is no placeholder; punctuation after it is left out."""
    url = url.rstrip(b".,;:!?*_")
    password = url.split(b"://", 1)[1].partition(b"@")[0].partition(b":")[2]
    if b"@" not in url or password.lower() in _WEAK or re.search(rb"[${}<>]|\*{3}|x{4}", password):
        return None
    return 0, len(url)


_ENDS = re.compile(rb"[&;,|](?:\s|[A-Za-z_][\w.-]{0,40}=)|\\n")


def password(value: bytes) -> Part:
    """What stands after `password=`: quoted, or up to a chat or query terminator.

    Needs two of digits, letters, marks, or letters in odd case: a word alone is a name or prose.
    """
    if value[:1] in _QUOTES:
        return _quoted(value)
    bare = _bare(value)
    if len(bare) < 4 or _PLACEHOLDER.search(bare) or _CODE.match(bare):
        return None
    kinds = bool(_digits(bare)) + bool(_letters(bare)) + _marks(bare.rstrip(b"!?"))
    return (0, len(bare)) if kinds >= 2 or _odd_case(bare) else None


def said(value: bytes) -> Part:
    """What stands after `the password is`: a digit among other characters, or a mark inside."""
    if value[:1] in _QUOTES:
        return _quoted(value)
    bare = _bare(value)
    if _PLACEHOLDER.search(bare) or _CODE.match(bare) or len(bare) < 4:
        return None
    inside = _letters(bare) and _marks(bare[1:-1])
    return (0, len(bare)) if inside or (_digits(bare) and (_letters(bare) or _marks(bare))) else None


def _bare(value: bytes) -> bytes:
    cut = _ENDS.search(value)
    return (value[: cut.start()] if cut else value).rstrip(b".,;:)]}>*")


def _odd_case(value: bytes) -> bool:
    """`DOPiaxqYQ`, but not `word`, `Word`, `WORD`, `camelCase`."""
    return len(value) >= 6 and value.isalpha() and not _CASED.match(value)


_CASED = re.compile(rb"^(?:[A-Z]?[a-z]+(?:[A-Z][a-z]+)?|[A-Z]+)$")


def _quoted(value: bytes) -> Part:
    inner = value.strip(_QUOTES)
    if len(inner) < 4 or b" " in inner or _PLACEHOLDER.search(inner):
        return None
    start = value.index(inner)
    return (start, start + len(inner)) if _digits(inner) or _marks(inner) or _odd_case(inner) else None


def opaque_value(value: bytes) -> Part:
    """What stands after `api_key=`: eight or more characters that look random."""
    quoted = value[:1] in _QUOTES
    bare = value.strip(_QUOTES) if quoted else value.rstrip(b".,;:-_")
    if len(bare) < 8 or _PLACEHOLDER.search(bare) or (not quoted and _CODE.match(bare)):
        return None
    start = value.index(bare)
    return (start, start + len(bare)) if _random(bare) or _digits(bare) >= 12 else None


TOKENS: dict[str, Callable[[bytes], Part]] = {
    "opaque": opaque,
    "mixed": mixed,
    "credentials": credentials,
    "password": password,
    "said": said,
    "opaque_value": opaque_value,
}
