"""Keyed pseudonyms: HMAC-SHA256 of kind and value decides what stands in the place of a value.

E-mail addresses, telephone numbers, IP and MAC addresses keep their form, names their number of words; other kinds get
a short tag. Capitals, spaces and separators do not matter: `Anna@Example.com` and `anna@example.com` are one person.
Invented mail domains end in `.example`; invented telephone numbers keep country and form and may exist by chance.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


def pseudonym(kind: str, value: str, key: bytes) -> str:
    """What stands for `value`. A secret has none: `<SECRET>`."""
    return _FORMS.get(kind, _tag)(kind, value, key)


def _draws(kind: str, value: str, key: bytes) -> list[int]:
    """32 numbers of 0..255 that only the holder of the key can compute."""
    return list(hmac.new(key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest())


def _tag(kind: str, value: str, key: bytes) -> str:
    normal = re.sub(r"[\s-]", "", value).casefold()
    return f"<{kind}_{bytes(_draws(kind, normal, key)[:5]).hex()}>"


def _number(kind: str, value: str, key: bytes) -> str:
    """`123.456.789-09` and `12345678909` are one person."""
    return _tag(kind, re.sub(r"[\W_]", "", value), key)


def _secret(kind: str, value: str, key: bytes) -> str:
    return "<SECRET>"


def _word(draws: list[int]) -> str:
    """Six letters that can be spoken: 70^3 words."""
    pairs = zip(draws[0:6:2], draws[1:6:2], strict=True)
    return "".join(_CONSONANTS[a % len(_CONSONANTS)] + _VOWELS[b % len(_VOWELS)] for a, b in pairs)


def _email(kind: str, value: str, key: bytes) -> str:
    """`anna.berg@example.com` -> `dorima.keluto@pavine.example`: words, separators; a domain keeps its own name."""
    local, _, domain = value.casefold().rpartition("@")
    if not local:  # a spelled-out form, `anna (at) example (dot) com`: it reads as an address
        local, domain = _spelled(value)
    words = re.findall(r"[^._+-]+|[._+-]", local)
    draws = _draws(kind, f"{local}@{domain}", key)
    made = [word if word in "._+-" else _word(draws[i % 5 * 6 :]) for i, word in enumerate(words)]
    return f"{''.join(made)[:64]}@{_word(_draws('domain', domain, key))}.example"


def _spelled(value: str) -> tuple[str, str]:
    plain = re.sub(r"\s*[(\[{<]?\s*\b(?:dot|punkt)\b\s*[)\]}>]?\s*|_dot_", ".", value.casefold())
    parts = re.split(r"\s*[(\[{<]\s*(?:at|@)\s*[)\]}>]\s*|%40|&#64;|&#x40;|&commat;|\s+at\s+|_at_", plain, maxsplit=1)
    return (parts[0], parts[1]) if len(parts) == 2 else (plain, "")


def _phone(kind: str, value: str, key: bytes) -> str:
    """The digits after country or trunk code, drawn by the last nine: `+1 415 555 0132` and `(415) 555-0132` agree."""
    plain = re.sub(r"(?i)\s*(?:x|ext\.?|extension|#)[ .:]*\d+$", "", value)
    digits = [i for i, char in enumerate(value[: len(plain)]) if char.isdigit()]
    known = "".join(value[i] for i in digits)[-9:]
    draws, out = _draws(kind, known, key), list(value)
    for i, place in enumerate(reversed(digits[max(len(digits) - 9, 1) :])):
        out[place] = str(draws[i] % 10)
    for place, char in enumerate(value[len(plain) :], len(plain)):
        out[place] = str(draws[place % 20 + 10] % 10) if char.isdigit() else char
    return "".join(out)


def _ip(kind: str, value: str, key: bytes) -> str:
    """Of a private range: 10.0.0.0/8, fd00::/8."""
    draws = _draws(kind, value.casefold(), key)
    if ":" not in value:
        return f"10.{draws[0]}.{draws[1]}.{draws[2]}"
    return "fd" + bytes(draws[:1]).hex() + "".join(":" + bytes(draws[i : i + 2]).hex() for i in range(1, 15, 2))


def _mac(kind: str, value: str, key: bytes) -> str:
    """Locally administered, with the separators of the value."""
    hexes = "02" + bytes(_draws(kind, re.sub(r"[:.-]", "", value).casefold(), key)[:5]).hex()
    digits = iter(hexes)
    return "".join(char if char in ":.-" else next(digits) for char in value)


def _name(kind: str, value: str, key: bytes) -> str:
    """Word by word, so that `Anna` and `Anna Berg` stay the same person."""
    words = re.split(r"(\s+)", value)
    return "".join(w if not w.strip() else _word(_draws(kind, w.casefold(), key)).capitalize() for w in words)


_FORMS: dict[str, Callable[[str, str, bytes], str]] = {
    "SECRET": _secret,
    "EMAIL_ADDRESS": _email,
    "PHONE_NUMBER": _phone,
    "IP_ADDRESS": _ip,
    "MAC_ADDRESS": _mac,
    "NATIONAL_ID": _number,
    "PERSON": _name,
    "ORGANIZATION": _name,
    "LOCATION": _name,
}
