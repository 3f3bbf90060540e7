"""Texts that are dense in what finders of personal data look for, by name: nothing but candidates, whole or in pieces."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable

HEX, DIGITS = "0123456789abcdef", "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

UNITS = {
    "a.": "a.", "1.1.": "1.1.", "ones": "1", "ats": "@", "dots": ".", "spaces": " ", "angles": "<", "quotes": '"',
    "newlines": "\n", "dashes": "-", "colons": "::", "letters": "A", "accents": "é", "marks": "a\u0301",
    "zero width": "a\u200bb", "full width": "１２３", "single digits": "1 ", "short groups": "12-", "commas": "1,",
    "a@": "a@", "a.a@": "a.a@", "addresses": "a@b.co ", "spelled addresses": "a (at) b [dot] ",
    "spoken addresses": "a at b dot c ", "nested urls": "http://a.b/?u=http://c.d/?u=",
    "urls with credentials": "https://u:p@h.com/?token=abc ", "ibans": "DE89 3704 0044 0532 0130 00 ",
    "ibans in one": "DE89370400440532013000", "phones": "+49 30 901820 ", "plus": "+1 ", "brackets": "(030) 12-",
    "words for phones": "tel 12 phone 345-678 ", "cards": "4111111111111111 ", "cards in groups": "4444 4444 4444 ",
    "social security": "123-45-6789 ", "pieces of it": "123-45-", "addresses of hosts": "1.2.3.4 ",
    "ipv6": "1:2:3:4:5:6:7:8 ", "mac": "00:11:22:33:44:55 ", "hex colons": "a:b:c:", "wallets": "bc1q", "hex": "0x",
    "passwords": "password=", "password values": "password=a ", "quoted passwords": 'password="', "keys": "api_key: 'x' ",
    "jwt": "eyJ", "dotted jwt": "eyJhbGci.", "aws": "AKIA", "slack": "xoxb-1-", "github": "ghp_", "openai": "sk-",
    "pem": "-----BEGIN PRIVATE KEY-----", "context words": "passport 1234567 birth 1.1.1990 ",
}  # fmt: skip


def drawn(alphabet: str, *, between: str = "", longest: int = 1) -> Callable[[int, random.Random], str]:
    """Words of up to `longest` characters of the alphabet."""

    def text(size: int, chance: random.Random) -> str:
        words, length = [], 0
        while length < size:
            words.append("".join(chance.choices(alphabet, k=chance.randint(1, longest))))
            length += len(words[-1]) + len(between)
        return between.join(words)

    return text


def pieces(*parts: str) -> Callable[[int, random.Random], str]:
    """The parts in random order: candidates of different rules side by side."""
    return lambda size, chance: "".join(chance.choices(parts, k=size // min(map(len, parts)) + 1))[: size + 1]


DRAWN = {
    "digits": drawn(DIGITS),
    "hex digits": drawn(HEX),
    "hashes": drawn(HEX, between=" ", longest=40),
    "pieces of phones": drawn(DIGITS, between=" ", longest=4),
    "pieces with dashes": drawn(DIGITS, between="-", longest=4),
    "runs of digits": drawn(DIGITS, between=" ", longest=19),
    "digits and dots": drawn(DIGITS + "."),
    "digits and signs": drawn(DIGITS + ".,:;-_/()+ "),
    "signs": drawn(".,:;-_@#/\\()[]{}<>\"'=+*"),
    "printable": drawn("".join(map(chr, range(32, 127)))),
    "like ibans": drawn("ABCDEFGHIJ0123456789", between=" ", longest=34),
    "like wallets": drawn(LETTERS + DIGITS, between=" ", longest=40),
    "mixed scripts": drawn("aб漢١२ก1.@-:", between=" ", longest=6),
    "log of mixtures": pieces(
        "tel=+14155552671;", "\n", "434 14 557 km", "(", "card 503867297114", "&", "4111 1111 1111 1111 ", "hf_f0S", "::",
    ),
    "json of mixtures": pieces(
        '{"phone": "', '", "a": [{"id": ', "+1", "2023", '"password": "', "%40", "020 7946 0958", "}, ", "1.2.3.4", "x@y.de"
    ),
    "digits of many scripts": drawn("１２３٠٤١٢३४५৪৫๔๕ -.+"),
    "rows of cards": pieces("4111 1111 1111 1111 ", "5500 0000 0000 0004 ", "3782 822463 10005 ", "1234 "),
    "rows of phones": pieces("020 7946 0958 ", "07700 900123 ", "415-555-2671/", "+1 415 555 2671 ", "12 "),
    "one long url": lambda size, chance: "http://x.org/" + drawn(LETTERS + DIGITS + "?&=/")(size, chance),
    "base64": lambda size, chance: base64.b64encode(chance.randbytes(size)).decode()[:size],
}


def hostile(name: str, size: int) -> str:
    """A text of about `size` characters, the same for equal arguments."""
    if name in UNITS:
        return UNITS[name] * (size // len(UNITS[name]))
    return DRAWN[name](size, random.Random(5))[:size]


NAMES = (*UNITS, *DRAWN)
