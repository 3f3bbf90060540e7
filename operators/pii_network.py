"""Validators of addresses: e-mail, IP, MAC, personal URLs, wallets. Which part of a match is one, if any."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable

from dataforge.operators.pii_tokens import Part

_SUFFIXES = (
    b"png jpg jpeg gif svg webp ico pdf js ts css html htm json yaml yml xml md txt log gz zip py go rs java"
    b" service socket target timer mount slice scope device path swap automount"
)
_NO_TLD = frozenset(_SUFFIXES.split())  # of files and of systemd units: `icon@2x.png`, `getty@tty1.service`
_SERVICE = (b"@openssh.com", b"@libssh.org", b"@lysator.liu.se")  # names of algorithms
_SCALED = re.compile(rb"[1-9]x\.[a-z]{2}$")  # `icon@2x.de.png`
_SENTENCE = re.compile(rb"^(.+@[^A-Z]+\.[a-z]{2,})\.[A-Z][a-z]+$")  # `a@example.com.Then`


def email(value: bytes) -> Part:
    """Local part up to 64, 254 in all, a top-level domain that is no file suffix; not `git@host` of a clone URL."""
    sentence = _SENTENCE.match(value)
    value = sentence[1] if sentence else value
    local, _, domain = value.rpartition(b"@")
    start = len(local) - len(local.lstrip(b".-_'+%"))
    local = local[start:]
    if not local or len(local) > 64 or len(local) + len(domain) > 253 or local.endswith(b".") or b".." in local:
        return None
    if (
        domain.rpartition(b".")[2].lower() in _NO_TLD
        or _SCALED.match(domain)
        or local == b"git"
        or value.lower().endswith(_SERVICE)
    ):
        return None
    return start, len(value)


# Not public: IANA special-purpose registries (RFC 6890 and updates), frozen here because `is_global` changed between
# Python releases. The ranges for documentation (RFC 3849, 5737, 9637) are nobody's either.
_PRIVATE_6 = tuple(
    (int(net.network_address), 128 - net.prefixlen)
    for net in map(
        ipaddress.IPv6Network,
        ("::/127", "64:ff9b:1::/48", "100::/64", "fc00::/7", "fe80::/10", "ff00::/8", "2001:db8::/32", "3fff::/20"),
    )
)
_PRIVATE_4: dict[int, Callable[[int, int], bool]] = {  # first octet -> whether the second and third are of such a range
    0: lambda b, c: True,
    10: lambda b, c: True,
    100: lambda b, c: 64 <= b < 128,
    127: lambda b, c: True,
    169: lambda b, c: b == 254,
    172: lambda b, c: 16 <= b < 32,
    192: lambda b, c: b == 168 or (b == 0 and c in (0, 2)),
    198: lambda b, c: b in (18, 19) or (b == 51 and c == 100),
    203: lambda b, c: b == 0 and c == 113,
}


def is_public(address: bytes) -> bool:
    """Of a valid IPv4 or IPv6 address; an IPv4-mapped one counts as its IPv4 address."""
    if b":" not in address:
        first, second, third, _ = map(int, address.split(b"."))
        return first < 224 and not (first in _PRIVATE_4 and _PRIVATE_4[first](second, third))
    parsed = ipaddress.IPv6Address(address.partition(b"%")[0].decode())
    if parsed.ipv4_mapped is not None:
        return is_public(str(parsed.ipv4_mapped).encode())
    return all(int(parsed) >> bits != base >> bits for base, bits in _PRIVATE_6)


def _octets(value: bytes) -> list[int] | None:
    if value.count(b".") != 3 or re.search(rb"(?:^|\.)0\d", value):
        return None  # a run is taken whole: object identifiers and long versions have more than four numbers
    octets = list(map(int, value.split(b".")))
    return octets if max(octets) <= 255 else None


def ipv4_any(value: bytes) -> Part:
    """Four octets of which one is 32 or more: smaller ones look like a version."""
    octets = _octets(value)
    return (0, len(value)) if octets and max(octets) >= 32 else None


def ipv4_low_any(value: bytes) -> Part:
    octets = _octets(value)
    return (0, len(value)) if octets and 0 < max(octets) < 32 else None


def ipv6_any(value: bytes) -> Part:
    """What `ipaddress` reads; `ab::cd` without a digit is code, `12::30` a time."""
    value = value[:-1] if value.endswith(b":") and not value.endswith(b"::") else value
    try:
        ipaddress.IPv6Address(value.partition(b"%")[0].decode())
    except ValueError:
        return None
    digits = sum(48 <= c <= 57 for c in value)
    long = value.count(b":") >= 3 or (digits >= 3 and _WIDE.search(value))
    return (0, len(value)) if digits and long else None


_WIDE = re.compile(rb"[0-9A-Fa-f]{3}")


def _public(any_address: Callable[[bytes], Part]) -> Callable[[bytes], Part]:
    def validate(value: bytes) -> Part:
        part = any_address(value)
        return part if part and is_public(value[: part[1]]) else None

    return validate


_DOCUMENTATION = re.compile(rb"(?i)(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d|2001:0?db8:|3fff:0?[0-9a-f]{0,3}:")


def ipv4_documentation(value: bytes) -> Part:
    """Of a range for documentation: where a login or a client is spoken of, it stands for somebody's address."""
    return ipv4_any(value) if _DOCUMENTATION.match(value) else None


def ipv6_documentation(value: bytes) -> Part:
    return ipv6_any(value) if _DOCUMENTATION.match(value) else None


def mac(value: bytes) -> Part:
    """As `any_mac`, but not two times of a day: `10:20:30:11:21:31`."""
    return None if _TIMES.fullmatch(value) else any_mac(value)


_TIMES = re.compile(rb"(?:(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d:?){2}")


def any_mac(value: bytes) -> Part:
    """Six pairs with one separator, or three groups of four; not all alike, and hyphens only with a letter."""
    pairs = re.split(rb"[:.-]", value)
    mixed = re.search(rb"[A-Fa-f]", value) is not None
    one = len(set(value.translate(None, b"0123456789abcdefABCDEF"))) == 1
    return (0, len(value)) if one and len(set(pairs)) > 1 and (mixed or b":" in value) else None


_ACCESS = (
    r"[\w.-]*(?:token|signature|api_?key|secret|password|passwd|pwd|session(?:_?id)?|invite|ticket)"
    r"|sig|key|sid|auth|code|hash|otp|e?-?mail|user(?:name|_?id)?|phone"
)
_SECRET_PARAMETER = re.compile(rf"(?i)[?&#;](?:t=[^&#\s]{{12,}}|(?:{_ACCESS})=[^&#\s]{{4,}})".encode())
_PERSONAL_PAGE = re.compile(  # of people on known sites, or by the form of the path
    rb"(?i)^\w+://(?:[\w-]+\.)*(?:linkedin\.com/(?:in|pub)/|t\.me/|reddit\.com/u(?:ser)?/|zoom\.us/(?:j|my)/"
    rb"|(?:facebook|instagram|tiktok|twitter|x|vk|threads)\.(?:com|net)/@?(?:profile\.php\?id=)?"
    rb"|meet\.google\.com/|calendly\.com/|(?:paypal\.me|venmo\.com|cash\.app)/)[\w.$-]{3,}/?(?:[?#]|$)"
    rb"|^\w+://[^/]+(?:/[^/]+)?/(?:~|@|(?:users?|people|profiles?|members?|homes?)/)[\w.%@-]{2,}"
    rb"|^file:///+(?:home|users|c:/users|c:/documents and settings)/"
    rb"(?!(?:user|username|me|you|name|example|root|public|shared)(?:/|$))[\w.-]{2,}"
)


def personal_url(value: bytes) -> Part:
    """A URL that gives access or names a person: token parameters, profile pages, home folders."""
    value = value.rstrip(b".,;:!?*_)]}'")
    return (0, len(value)) if _SECRET_PARAMETER.search(value) or _PERSONAL_PAGE.search(value) else None


_BASE58 = {c: i for i, c in enumerate(b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_BECH32 = {c: i for i, c in enumerate(b"qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)  # BIP-173


def base58check(value: bytes) -> Part:
    """25 bytes of which the last four are the start of the double SHA-256 of the rest."""
    number = 0
    for char in value:
        number = number * 58 + _BASE58[char]
    if number.bit_length() > 200:
        return None
    raw = number.to_bytes(25, "big")
    if len(set(raw[1:21])) == 1:  # nobody's: it was made to burn coins
        return None
    check = hashlib.sha256(hashlib.sha256(raw[:21]).digest()).digest()[:4]
    return (0, len(value)) if check == raw[21:] else None


def bech32(value: bytes) -> Part:
    """BIP-173 and BIP-350: the polynomial over prefix and data leaves 1 or 0x2bc830a3."""
    prefix, _, data = value.lower().rpartition(b"1")
    if value not in (value.lower(), value.upper()) or len(data) < 6 or any(c not in _BECH32 for c in data):
        return None
    if len(set(data[1:-6])) == 1:
        return None
    state = 1
    for part in [c >> 5 for c in prefix] + [0] + [c & 31 for c in prefix] + [_BECH32[c] for c in data]:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ part
        for bit, constant in enumerate(_GENERATOR):
            state ^= constant if top >> bit & 1 else 0
    return (0, len(value)) if state in (1, 0x2BC830A3) else None


def ethereum(value: bytes) -> Part:
    """Not zero, nor another address that is nearly all one digit: nobody has their keys."""
    return (0, len(value)) if len(set(value[2:34])) > 2 else None


_SPOKEN = re.compile(rb"(?i)([a-z'-]+)\s(?:at|\xc3\xa4t)\s")
_NO_LOCAL_PART = frozenset(
    b"it us them me him her you we they this that these one some all more most much look looked looking read reading meet"
    b" met buy bought buying order ordered shop shopping sold sell sells sale find found see seen watch watched available"
    b" online visit visited sign signed register registered here now is was are be been book booked stay stayed work works"
    b" worked working live lives person people page site website search searched listed published posted store start"
    b" started jobs job tickets news out up again also only just back check checked get got go learn price prices".split()
)


def spelled_email(value: bytes) -> Part:
    """Not `look at noon dot com`: a word of the language before `at`, then the spoken name of a site."""
    spoken = _SPOKEN.match(value)
    return None if spoken and spoken[1].lower() in _NO_LOCAL_PART else (0, len(value))


NETWORK: dict[str, Callable[[bytes], Part]] = {
    "email": email,
    "ipv4": _public(ipv4_any),
    "ipv4_any": ipv4_any,
    "ipv4_low": _public(ipv4_low_any),
    "ipv4_low_any": ipv4_low_any,
    "ipv6": _public(ipv6_any),
    "ipv6_any": ipv6_any,
    "ipv4_documentation": ipv4_documentation,
    "ipv4_documentation_any": ipv4_documentation,
    "ipv6_documentation": ipv6_documentation,
    "ipv6_documentation_any": ipv6_documentation,
    "mac": mac,
    "any_mac": any_mac,
    "ethereum": ethereum,
    "spelled_email": spelled_email,
    "personal_url": personal_url,
    "base58check": base58check,
    "bech32": bech32,
}
