"""Validators of numbers: cards, bank accounts, social security, telephone. Which part of a run of digits is one.

A match is a whole run of digits and separators, so that a piece of a longer number is never taken for one; a run that
is none as a whole is tried again without a short group at its end or start (`4111 1111 1111 1111 123`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dataforge.operators.pii_tokens import Part

_NOT_DIGITS = bytes(sorted(set(range(256)) - set(b"0123456789")))


def digits_of(value: bytes) -> bytes:
    return value.translate(None, _NOT_DIGITS)


def trimmed(value: bytes, accept: Callable[[bytes], bool], longest: int = 3) -> Part:
    """The whole run, or the run without one or two groups of up to `longest` digits at its end, or at its start."""
    if len(value) > 60:  # no number is that long: a table, a list
        return None
    if value[:1] == b"(" and b")" not in value:  # the number stands in brackets as a whole
        part = trimmed(value[1:], accept, longest)
        return part and (part[0] + 1, part[1] + 1)
    if accept(value):
        return 0, len(value)
    ends = [m.start() for m in re.finditer(rb"[ /-]{1,3}\(?\d{1,4}\)?(?=$|[ /-])", value)]
    for end in reversed(ends[-2:]):
        if len(digits_of(value[end:])) <= 2 * longest and accept(value[:end]):
            return 0, end
    for gap in list(re.finditer(rb"[ /-]{1,3}(?=[\d(])", value))[:2]:
        if len(digits_of(value[: gap.start()])) <= 2 * longest and accept(value[gap.end() :]):
            return gap.end(), len(value)
    return None


def luhn(digits: bytes) -> bool:
    """ISO/IEC 7812-1 annex B. Every second digit from the right counts double, its digits summed."""
    odd = sum(digits[-1::-2]) - 48 * len(digits[-1::-2])
    return (odd + sum(_DOUBLED[d] for d in digits[-2::-2])) % 10 == 0


_DOUBLED = {48 + d: d * 2 - 9 * (d > 4) for d in range(10)}

# Issuer prefixes with the lengths they use (ISO/IEC 7812 as published by the networks).
_CARDS = tuple(
    (re.compile(prefix), frozenset(lengths))
    for prefix, lengths in (
        (rb"4", (13, 16, 19)),  # Visa
        (rb"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),  # Mastercard
        (rb"3[47]", (15,)),  # American Express
        (rb"6011|64[4-9]|65|62", (16, 17, 18, 19)),  # Discover, UnionPay
        (rb"35", (16, 17, 18, 19)),  # JCB (3528 to 3589, and what is made up as JCB)
        (rb"1800|2131", (15,)),  # JCB, old
        (rb"30[0-5]|3095|3[689]", (14, 15, 16, 17, 18, 19)),  # Diners Club
        (rb"220[0-4]|9792|81|82|508", (16,)),  # Mir, Troy, RuPay
    )
)
_GROUPS = re.compile(rb"\d{12,19}|(\d{4})([ -])\d{4}\2\d{4}\2\d{1,4}(?:\2\d{1,3})?|\d{4}([ -])\d{6}\3\d{4,5}")


def _is_card(value: bytes) -> bool:
    digits = digits_of(value)
    if not 12 <= len(digits) <= 19:
        return False
    known = any(len(digits) in lengths and prefix.match(digits) for prefix, lengths in _CARDS)
    return known and luhn(digits) and len(set(digits)) > 1 and bool(_GROUPS.fullmatch(value))


def card(value: bytes) -> Part:
    return trimmed(value, _is_card, 4)


def common_card(value: bytes) -> Part:
    """As `card`, but with the lengths and prefixes of four networks only: 16 digits, 15 of American Express."""
    digits = digits_of(value)
    return (0, len(value)) if _COMMON.fullmatch(digits) and _is_card(value) else None


_COMMON = re.compile(rb"(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6011|65\d\d)\d{12}|3[47]\d{13}")


def any_card(value: bytes) -> Part:
    """12 to 19 digits of Maestro and small networks, whose prefixes other numbers have too: only near a word for it."""
    ok = len(value) <= 19 and value.isdigit() and value[:1] in b"01234569" and luhn(value) and len(set(value)) > 1
    return (0, len(value)) if ok else None


# Length of an IBAN by country (SWIFT IBAN registry, release 99, and countries that use the form unregistered).
_LENGTHS = (
    "AD24 AE23 AL28 AO25 AT20 AZ28 BA20 BE16 BF28 BG22 BH22 BI27 BJ28 BR29 BY28 CF27 CG27 CH21 CI28 CM27 "
    "CR22 CV25 CY28 CZ24 DE22 DJ27 DK18 DO28 DZ26 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GA27 GB22 GE22 GI23 "
    "GL18 GQ27 GR27 GT28 GW25 HN28 HR21 HU28 IE22 IL23 IQ23 IR26 IS26 IT27 JO30 KM27 KW30 KZ20 LB28 LC32 "
    "LI21 LT20 LU20 LV21 LY25 MA28 MC27 MD24 ME22 MG27 MK19 ML28 MN20 MR27 MT31 MU30 MZ25 NE28 NI28 NL18 "
    "NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SN28 SO23 ST25 "
    "SV28 TD27 TG28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30 "
)
_IBAN = {entry[:2].encode(): int(entry[2:]) for entry in _LENGTHS.split()}
_SPACES = re.compile(rb"[ -]")


def iban(value: bytes) -> Part:
    """Country, length and remainder 1 modulo 97 (ISO 13616); what follows the last character is cut off."""
    length = _IBAN.get(value[:2].upper(), 99)
    compact = _SPACES.sub(b"", value[: length + 16])[:length].upper()
    if len(compact) < length:
        return None
    number = int("".join(str(int(chr(c), 36)) for c in compact[4:] + compact[:4]))
    return (0, _end_of(value, length)) if number % 97 == 1 else None


def _end_of(value: bytes, characters: int) -> int:
    """Where the n-th character that is no space or hyphen ends."""
    places = [i for i, c in enumerate(value) if c not in b" -"]
    return places[characters - 1] + 1


def ssn(value: bytes) -> Part:
    """United States: area not 000, 666, 9xx; group not 00; serial not 0000; not the numbers famous from adverts."""
    digits = digits_of(value)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    bad = area in (b"000", b"666") or area[:1] == b"9" or group == b"00" or serial == b"0000"
    return None if bad or digits in (b"078051120", b"219099999") or len(set(digits)) == 1 else (0, len(value))


# Country calling codes (ITU E.164 list of assigned codes).
_CALLING = re.compile(
    rb"1|7|20|21[1-368]|2[2-6]\d|27|29[0-9]|3[0-469]|35\d|37\d|38[0-35-79]|4[013-9]|42[013]|5[1-8]|50\d|59\d|6[0-6]|67[02-9]"
    rb"|68\d|69[0-2]|8[1246]|800|808|85[02356]|87\d|88[0-368]|9[0-58]|96\d|97[0-79]|99[2-68]"
)
_EXTENSION = re.compile(rb"(?i)[ ,;]{0,3}(?:x|ext\.?|extension|#)[ .:]{0,2}\d{1,6}$")
_NEVER = re.compile(
    rb"\d{4,5}([-./ ])(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?!\d)"  # dates: 2003-02-01
    rb"|(?:19|20)\d\d([-./ ])\d{1,2}\2\d{1,2}(?!\d)|\d{1,2}([-./ ])\d{1,2}\3(?:1[5-9]|20)\d\d(?!\d)"
    rb"|(?:1[0-9]|20)\d\d ?[-/ ] ?(?:1[0-9]|20)\d\d$"  # 1914-1918
    rb"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[ -]?\d{2,6})?$"  # 20231115 103000
    rb"|\d{1,3}(?:\.\d{1,3}){3}$|192\.168\.|\d{5}-\d{4}$"  # IP addresses, ZIP+4
    rb"|\d{1,3}(?: \d{3})* 000$|\+?\d+\.\d+$|\d{1,3}(?:\.\d{3})+$"  # amounts
    rb"|.*(?:\b00\b.*\b00\b|0{5}|\..*/|/.*\.|[./-]\d$|(?<![\d+])\d[ ./-]\d[ ./-]\d(?!\d))"  # tables, lists
)


def _number_of(value: bytes) -> bytes:
    """Without its extension; empty if it is a date, an address, an amount, or a list of single digits."""
    value = _EXTENSION.sub(b"", value) if not value[-7:].isdigit() else value
    return b"" if _NEVER.match(value) or value.count(b"(") != value.count(b")") else value


def phone_international(value: bytes) -> Part:
    """`+`, 00 or 011, an assigned country code and 7 to 15 digits in all (E.164); 9 where they are written in one."""

    if not value.startswith((b"+", b"(+", b"00", b"011", b"(00")):
        return None

    def accept(run: bytes) -> bool:
        number = _number_of(run)
        digits = digits_of(number)
        if b"+" not in number[:2]:
            code = 3 if number.startswith((b"011 ", b"011-", b"011.")) else 2 if number.startswith(b"00") else 99
            digits = digits[code:]
        least = 7 if _GAP.search(number) else 9
        real = _CALLING.match(digits) is not None and len(set(digits)) > 2 and not _MEMORY_RANGE.match(number)
        return least <= len(digits) <= 15 and real

    return trimmed(value, accept)


def phone_with_plus(value: bytes) -> Part:
    """As `phone_international`, but only written with `+` and ten digits or more."""
    if not value.startswith((b"+", b"(+")) or len(digits_of(value)) < 10:
        return None
    return phone_international(value)


_GAP = re.compile(rb"\d[^\d]")
_MEMORY_RANGE = re.compile(rb"00\d{5,}-\d{6,}$")

# As people write them: an area in brackets, a trunk 0, or groups that only telephone numbers have.
_NATIONAL = re.compile(
    rb"(?:1[ .-]?)?(?:\([2-9]\d\d\)[ .-]{0,2}|[2-9]\d\d(?P<s>[.-]))\d{3}(?(s)(?P=s)|[ .-])\d{4}"  # North America
    rb"|\(0?\d{1,5}\)[ /-]{0,2}\d{2,8}(?:[ .-]\d{2,5}){0,3}"  # (03) 5307 4123, (11) 91234-5678, (37) 788-063
    rb"|0\d{1,5}(?P<t>[ ./-]| [/-] )\d{2,5}(?:[ .-]\d{2,5}){1,4}"  # 020 7946 0958
    rb"|0\d{2,5}[ /-](?:\d{7,8}|(?<=\d{5}.)\d{5,7})"  # 0393 1144137
    rb"|0 \d{3}(?: \d\d){3}|[01]-\d{3}(?:-\d{2,4}){2}"  # 0 801 23 45 67, 1-300-12-3456
    rb"|[1-9]\d[ -]\d{5}-\d{4}|1[3-9]\d[ -]\d{4}[ -]\d{4}|[6-9]\d{4}[ -]\d{5}"  # Brazil, China, India
    rb"|[679]\d\d(?: \d\d){3}"  # Spain
)


def phone_national(value: bytes) -> Part:
    """A form that telephone numbers have and other numbers seldom do; 8 to 12 digits."""

    def accept(run: bytes) -> bool:
        number = _number_of(run)
        digits = digits_of(number)
        return 8 <= len(digits) <= 12 and len(set(digits)) > 2 and _NATIONAL.fullmatch(number) is not None

    return trimmed(value, accept)


_THOUSANDS = re.compile(rb"\d{1,3}(?:[ .]\d{3})+$")
_GROUPED = re.compile(
    rb"(?!\d{3}.\d{3}.\d\d$)\d{2,5}(?P<s>[ .-])\d{2,5}(?:(?P=s)\d{2,5}){1,4}|\d{2,5} \d{3}-\d{2,4}(?:-\d{2,4})?"
)


def phone_grouped(value: bytes) -> Part:
    """Three to six groups with one separator and 8 to 12 digits, that are no date and not grouped by thousands."""
    number = _number_of(value)
    if len(re.findall(rb"\d\d(?=[ .-]|$)", number)) - len(re.findall(rb"\d[05](?=[ .-]|$)", number)) < 2:
        return None  # 10 20 30 40: a scale
    digits = digits_of(number)
    ok = 8 <= len(digits) <= 12 and len(set(digits)) > 2 and _GROUPED.fullmatch(number)
    amount = _THOUSANDS.match(number) and (len(number) != 11 or number.endswith(b"00"))  # `699 956 915` is none
    return (0, len(value)) if ok and not amount else None


def phone_unspaced(value: bytes) -> Part:
    """Trunk 0 and nine or ten more digits."""
    return (0, len(value)) if re.fullmatch(rb"0[1-9]\d{8,9}", value) and value not in _COUNTED else None


_COUNTED = frozenset((b"0123456789", b"1234567890", b"123456789", b"12345678", b"1234567"))


def phone_digits(value: bytes) -> Part:
    """Any 7 to 13 digits: only near a word for telephone."""

    def accept(run: bytes) -> bool:
        number = _number_of(run)
        digits = digits_of(number)
        return 7 <= len(digits) <= 13 and len(set(digits)) > 2 and digits not in _COUNTED

    return trimmed(value, accept)


def _in_brackets(validate: Callable[[bytes], Part]) -> Callable[[bytes], Part]:
    """The run began with the bracket that the number stands in: `(22 48 51 22)`."""

    def inner(value: bytes) -> Part:
        skip = int(value[:1] == b"(" and b")" not in value)
        part = validate(value[skip:])
        return part and (part[0] + skip, part[1] + skip)

    return inner


NUMBERS: dict[str, Callable[[bytes], Part]] = {
    "card": card,
    "common_card": common_card,
    "any_card": any_card,
    "iban": iban,
    "ssn": ssn,
    "phone_with_plus": phone_with_plus,
    "phone_international": phone_international,
    "phone_national": phone_national,
    "phone_grouped": _in_brackets(phone_grouped),
    "phone_unspaced": _in_brackets(phone_unspaced),
    "phone_digits": phone_digits,
}
