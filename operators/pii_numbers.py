"""Validators of numbers: cards, bank accounts, social security. Which part of a run of digits is one.

A match is a whole run of digits and separators, so that a piece of a longer number is never taken for one; a run that
is none as a whole is tried again without a short group at its end or start (`4111 1111 1111 1111 123`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from dataforge.operators.pii_tokens import Part

_NOT_DIGITS = bytes(sorted(set(range(256)) - set(b"0123456789")))


def digits_of(value: bytes) -> bytes:
    return value.translate(None, _NOT_DIGITS)


_ZEROS = bytes(48 if 48 <= c <= 57 else c for c in range(256))
FORMS = 1024  # that are remembered
LONGEST_FORM = 60  # bytes of a run in which one number is looked for: longer ones are tables, lists


def form_of(run: bytes) -> bytes:
    """A run with 0 for each digit. A table has few forms: what depends on nothing else is decided once for each."""
    return run.translate(_ZEROS)


def parts_of(value: bytes, longest: int, least: int, most: int) -> Iterator[tuple[int, int]]:
    """The whole run, then the run without one or two groups of up to `longest` digits at its end, or at its start: those
    of `least` digits or more. None of a run that has too many for one of up to `most`. Asks for nothing but the form.
    """
    spare = len(digits_of(value)) - least  # digits that may be cut off
    if spare < 0 or spare > most - least + 2 * longest or len(value) > LONGEST_FORM:
        return
    skip = int(value[:1] == b"(" and value.count(b"(") == value.count(b")") + 1)  # it stands in brackets as a whole
    value = value[skip:]
    yield skip, skip + len(value)
    spare = min(spare, 2 * longest)
    if spare == 0 or (b" " not in value and b"-" not in value and b"/" not in value):
        return
    ends = [m.start() for m in _LAST_GROUPS.finditer(value)]
    for end in reversed(ends[-2:]):
        if len(digits_of(value[end:])) <= spare:
            yield skip, skip + end
    for gap in islice(_GAPS.finditer(value), 2):
        if len(digits_of(value[: gap.start()])) <= spare:
            yield skip + gap.end(), skip + len(value)


_LAST_GROUPS = re.compile(rb"[ /-]{1,3}\(?\d{1,4}\)?(?=$|[ /-])")
_GAPS = re.compile(rb"[ /-]{1,3}(?=[\d(])")


def luhn(digits: bytes) -> bool:
    """ISO/IEC 7812-1 annex B. Every second digit from the right counts double, its digits summed."""
    doubled = digits[-2::-2]
    return (sum(digits[-1::-2]) + sum(doubled.translate(_DOUBLED)) - 48 * len(digits)) % 10 == 0


_DOUBLED = bytes(48 + (c - 48) * 2 - 9 * (c > 52) if 48 <= c <= 57 else c for c in range(256))

# Issuer prefixes with the lengths they use (ISO/IEC 7812 as published by the networks).
_CARDS = tuple(
    (prefix, frozenset(lengths))
    for prefix, lengths in (
        ("4", (13, 16, 19)),  # Visa
        ("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),  # Mastercard
        ("3[47]", (15,)),  # American Express
        ("6011|64[4-9]|65|62", (16, 17, 18, 19)),  # Discover, UnionPay
        ("35", (16, 17, 18, 19)),  # JCB (3528 to 3589, and what is made up as JCB)
        ("1800|2131", (15,)),  # JCB, old
        ("30[0-5]|3095|3[689]", (14, 15, 16, 17, 18, 19)),  # Diners Club
        ("220[0-4]|9792|81|82|508", (16,)),  # Mir, Troy, RuPay
    )
)
_PREFIXES = {  # length -> the prefixes of that length
    length: re.compile("|".join(prefix for prefix, lengths in _CARDS if length in lengths).encode())
    for length in (13, 14, 15, 16, 17, 18, 19)
}
_GROUPS = re.compile(rb"\d{12,19}|(\d{4})([ -])\d{4}\2\d{4}\2\d{1,4}(?:\2\d{1,3})?|\d{4}([ -])\d{6}\3\d{4,5}")


_HELD = re.compile(  # what every way to write a card holds somewhere
    rb"\d{12}|\d{4} \d{4} \d{4} \d|\d{4}-\d{4}-\d{4}-\d|\d{4} \d{6} \d{4}|\d{4}-\d{6}-\d{4}"
)


def may_hold_card(run: bytes) -> bool:
    """Asked once for all rules of cards: most runs of digits are nothing to any of them."""
    return _HELD.search(run) is not None


def _is_card(value: bytes) -> bool:
    return _GROUPS.fullmatch(value) is not None and _is_number(digits_of(value))


def _is_number(digits: bytes) -> bool:
    known = _PREFIXES.get(len(digits))
    return bool(known and known.match(digits) and luhn(digits) and len(set(digits)) > 1)


def card(value: bytes) -> Part:
    places = _card_places(form_of(value)) if len(value) <= LONGEST_FORM else ()
    return next((place for place in places if _is_number(digits_of(value[place[0] : place[1]]))), None)


@functools.lru_cache(FORMS)
def _card_places(form: bytes) -> tuple[tuple[int, int], ...]:
    return tuple(place for place in parts_of(form, 4, 13, 19) if _GROUPS.fullmatch(form, *place))


def cards_in_row(run: bytes) -> tuple[tuple[int, int], ...]:
    """Cards of the large networks side by side; written in groups only if they make up half of the run: rows of tables
    are in groups, too.
    """
    places = _common_cards(run) if len(run) > LONGEST_FORM or _has_card(form_of(run)) else ()
    if not places:
        return ()
    if 2 * sum(end - start for start, end in places) < len(run) and not any(run[slice(*at)].isdigit() for at in places):
        return ()
    found = max(_apart(places), _apart(places[::-1])[::-1], key=lambda row: _fit(row, len(run)))  # the first of equals
    most = 2 * sum(end - start for start, end in found) >= len(run)
    return tuple(place for place in found if most or run[slice(*place)].isdigit())


def _common_cards(run: bytes) -> list[tuple[int, int]]:
    """Where a card may stand, by place; they may overlap, since Luhn's sum is right for every tenth number."""
    found = []
    match = _IN_ROW.search(run)
    while match:
        digits = digits_of(match[0])
        if luhn(digits) and len(set(digits)) > 1 and _COMMON.fullmatch(digits):
            found.append(match.span())
        match = _IN_ROW.search(run, match.start() + 1)
    return found


def _apart(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those that overlap none that was taken before."""
    kept: list[tuple[int, int]] = []
    for start, end in places:
        if not kept or end <= kept[-1][0] or start >= kept[-1][1]:
            kept.append((start, end))
    return kept


def _fit(places: Sequence[tuple[int, int]], size: int) -> tuple[int, int]:
    """More cards are better, then those at the ends of the run: what is between would be a piece of something."""
    return len(places), (places[0][0] == 0) + (places[-1][1] == size)


_IN_ROW = re.compile(  # in one, 4-4-4-4 or 4-6-5
    rb"(?<!\d)(?:[2456]\d{3}(?:\d{12}|(?: \d{4}){3}|(?:-\d{4}){3})|3[47]\d\d(?:\d{11}| \d{6} \d{5}|-\d{6}-\d{5}))(?!\d)"
)


@functools.lru_cache(FORMS)
def _has_card(form: bytes) -> bool:
    return _CARD_FORM.search(form) is not None


_CARD_FORM = re.compile(
    rb"0{4}(?:0{12}|(?: 0{4}){3}|(?:-0{4}){3}|0{11}| 0{6} 0{5}|-0{6}-0{5})"  # of `_IN_ROW`, and of longer runs
)


def common_card(value: bytes) -> Part:
    """As `card`, but with the lengths and prefixes of four networks only: 16 digits, 15 of American Express."""
    return (0, len(value)) if _is_card(value) and _COMMON.fullmatch(digits_of(value)) else None


_COMMON = re.compile(rb"(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6011|65\d\d)\d{12}|3[47]\d{13}")


def small_card(value: bytes) -> Part:
    """12 digits of Maestro, with the prefixes that its numbers are usually given."""
    ok = len(value) == 12 and _MAESTRO.match(value) and luhn(value) and len(set(value)) > 2
    return (0, len(value)) if ok else None


_MAESTRO = re.compile(rb"(?:5018|5020|5038|6304|6759|676[1-3]|6390)\d{8}$")


_FIRST = frozenset(bytes((digit,)) for digit in b"01234569")


def any_card(value: bytes) -> Part:
    """12 to 19 digits of Maestro and small networks, whose prefixes other numbers have too: only near a word for it."""
    if not _GROUPS.fullmatch(value) or value[:1] not in _FIRST:
        return None
    digits = digits_of(value)
    return (0, len(value)) if len(digits) <= 19 and luhn(digits) and len(set(digits)) > 1 else None


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


NUMBERS: dict[str, Callable[[bytes], Part | tuple[tuple[int, int], ...]]] = {
    "card": card,
    "cards_in_row": cards_in_row,
    "common_card": common_card,
    "any_card": any_card,
    "small_card": small_card,
    "iban": iban,
}
