"""Validators of national identity, tax, health and social insurance numbers, passports and driving licences.

A number is valid as a whole or not at all. Those of digits alone are in pii_check_digits.py, those with letters here.
Which letters, weights and moduli a country uses is public; `configs/pii/national.yaml` names where.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence

from dataforge.operators.pii_check_digits import DIGITS, Check, is_day, none_from_ten, weighted
from dataforge.operators.pii_numbers import FORMS, LONGEST_FORM, digits_of, form_of
from dataforge.operators.pii_tokens import Part

_NOT_ALNUM = bytes(sorted(set(range(256)) - set(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")))


def _places(signs: str) -> dict[int, int]:
    """What each sign counts: its place."""
    return {ord(sign): place for place, sign in enumerate(signs)}


_BASE36 = _places("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_CURP = _places("0123456789ABCDEFGHIJKLMN\0OPQRSTUVWXYZ")  # the empty place is that of a letter beyond ASCII
_RFC = _places("0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ ")
_ITALIAN_ODD = dict(
    zip(
        _BASE36,
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21) * 2 + (2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)
_ITALIAN_EVEN = {sign: place if place < 10 else place - 10 for sign, place in _BASE36.items()}


def _italian(value: bytes) -> bool:
    total = sum([_ITALIAN_ODD[sign] for sign in value[0:15:2]]) + sum([_ITALIAN_EVEN[sign] for sign in value[1:15:2]])
    return total % 26 == value[15] - 65 and (1 <= int(value[9:11]) % 40 <= 31)


def _curp(value: bytes) -> bool:
    total = sum([_CURP[sign] * (18 - place) for place, sign in enumerate(value[:17])])
    return is_day(int(value[6:8]), int(value[8:10])) and -total % 10 == value[17] - 48


def _rfc(value: bytes) -> bool:
    """Of a person: four letters, date of birth, two signs, check digit."""
    total = sum([_RFC[sign] * (13 - place) for place, sign in enumerate(value[:12])])
    return is_day(int(value[6:8]), int(value[8:10])) and b"0123456789A"[-total % 11] == value[12]


def _spanish(value: bytes) -> bool:
    number = value[:8].translate(bytes.maketrans(b"XYZ", b"012"))
    return b"TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == value[8] and number != b"00000000"


def _finnish(value: bytes) -> bool:
    digits = value[:6] + value[-4:-1]
    return is_day(int(value[2:4]), int(value[:2])) and b"0123456789ABCDEFHJKLMNPRSTUVWXY"[int(digits) % 31] == value[-1]


def _french(value: bytes) -> bool:
    """Department 2A and 2B of Corsica count as 19 and 18."""
    number = int(value[:13].replace(b"2A", b"19").replace(b"2B", b"18"))
    return 97 - number % 97 == int(value[13:])


def _chinese(value: bytes) -> bool:
    """ISO 7064, Mod 11-2; province, year, date of birth."""
    rest = weighted(value[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11
    born = is_day(int(value[10:12]), int(value[12:14])) and value[6:8] in (b"18", b"19", b"20")
    return born and b"10X98765432"[rest] == value[17] and value[:1] in (b"1", b"2", b"3", b"4", b"5", b"6", b"8")


_SINGAPORE = {  # first letter -> what is added, the check letters
    ord("S"): (0, b"JZIHGFEDCBA"), ord("T"): (4, b"JZIHGFEDCBA"), ord("F"): (0, b"XWUTRQPNMLK"),
    ord("G"): (4, b"XWUTRQPNMLK"), ord("M"): (3, b"XWUTRQPNJLK"),
}  # fmt: skip


def _singapore(value: bytes) -> bool:
    more, letters = _SINGAPORE[value[0]]
    return letters[(weighted(value[1:8], (2, 7, 6, 5, 4, 3, 2)) + more) % 11] == value[8]


def _irish(value: bytes) -> bool:
    second = value[8] - 64 if len(value) == 9 and value[8:] != b"W" else 0
    return b"WABCDEFGHIJKLMNOPQRSTUV"[(weighted(value[:7], range(8, 1, -1)) + 9 * second) % 23] == value[7]


def _letter_and_digits(value: bytes) -> bytes:
    return b"%02d" % (value[0] - 64) + value[1:]


def _by_turns(digits: bytes, weights: Sequence[int]) -> int:
    """The digits of each product are added up, too."""
    return sum([sum(divmod((digit - 48) * weight, 10)) for digit, weight in zip(digits, weights, strict=False)])


def _german_health(value: bytes) -> bool:
    digits = _letter_and_digits(value)
    return _by_turns(digits[:10], (1, 2) * 5) % 10 == digits[10] - 48


def _german_pension(value: bytes) -> bool:
    digits = value[:8] + _letter_and_digits(value[8:])
    born = is_day(int(value[4:6]), int(value[2:4]))
    return born and _by_turns(digits[:12], (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)) % 10 == digits[12] - 48


_TAIWAN = _places("ABCDEFGHJKLMNPQRSTUVXYWZIO")  # counts from 10


def _taiwanese(value: bytes) -> bool:
    tens, ones = divmod(_TAIWAN[value[0]] + 10, 10)
    return (tens + 9 * ones + weighted(value[1:], (8, 7, 6, 5, 4, 3, 2, 1, 1))) % 10 == 0


def _hong_kong(value: bytes) -> bool:
    signs = [36] * (9 - len(value)) + [_BASE36[sign] for sign in value]
    return sum([sign * weight for sign, weight in zip(signs, range(9, 0, -1), strict=True)]) % 11 == 0


def _chilean(value: bytes) -> bool:
    rest = sum([(digit - 48) * (2 + place % 6) for place, digit in enumerate(reversed(value[:-1]))]) % 11
    return b"0K987654321"[rest] == value[-1]


def _cnpj(value: bytes) -> bool:
    """Letters count as in ASCII (Receita Federal, from 2026)."""
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    first, second = weighted(value[:12], weights[1:]) % 11, weighted(value[:13], weights) % 11
    return (none_from_ten(first), none_from_ten(second)) == (value[12] - 48, value[13] - 48) and len(set(value)) > 2


def _british_nino(value: bytes) -> bool:
    return value[:2] not in (b"BG", b"GB", b"NK", b"KN", b"TN", b"NT", b"ZZ")


LETTERED: dict[str, Check] = {  # of letters and digits, in capitals
    "it_cf": _italian,
    "mx_curp": _curp,
    "mx_rfc": _rfc,
    "es_nif": _spanish,
    "fi_hetu": _finnish,
    "fr_nir": _french,
    "cn_id": _chinese,
    "sg_nric": _singapore,
    "ie_pps": _irish,
    "de_health": _german_health,
    "de_pension": _german_pension,
    "tw_id": _taiwanese,
    "hk_id": _hong_kong,
    "cl_rut": _chilean,
    "br_cnpj": _cnpj,
    "uk_nino": _british_nino,
}


def _lettered(check: Check) -> Callable[[bytes], Part]:
    @functools.wraps(check)
    def validate(value: bytes) -> Part:
        return (0, len(value)) if check(value.translate(None, _NOT_ALNUM).upper()) else None

    return validate


_SHAPE = re.compile(rb"\d{9,16}|\d{1,9}(?:[ ./+-]\d{1,8}){1,4}")
_LENGTHS = frozenset(DIGITS)


def _numbers(run: bytes) -> dict[int, tuple[int, int]]:
    """Number of digits -> where in a run of digits and separators they are: it as a whole, or what stands before its
    first or behind its last space (`123456782 12-03-1985`).
    """
    return _places_in(form_of(run)) if len(run) <= LONGEST_FORM else {}


@functools.lru_cache(FORMS)
def _places_in(form: bytes) -> dict[int, tuple[int, int]]:
    size, start = len(form), int(form[:1] == b"(")
    places = [(start, size)]
    if b" " in form:
        places = [(form.rindex(b" ") + 1, size), (start, form.index(b" ")), *places]
    lengths = [(len(digits_of(form[begin:end])), (begin, end)) for begin, end in places]
    return {length: place for length, place in lengths if length in _LENGTHS and _SHAPE.fullmatch(form, *place)}


def may_hold_national(run: bytes) -> bool:
    return bool(_numbers(run))


def _of_length(length: int) -> Callable[[bytes], bool]:
    """Asked once for all rules of a length: most runs of digits have another."""
    return lambda run: length in _numbers(run)


def _digits(length: int, check: Check) -> Callable[[bytes], Part]:
    @functools.wraps(check)
    def validate(run: bytes) -> Part:
        place = _numbers(run).get(length)
        return place if place and check(digits_of(run[slice(*place)])) else None

    return validate


def document(value: bytes) -> Part:
    """What a word announces as the number of a document: five digits or more among its signs, and no date."""
    digits = digits_of(value)
    return (0, len(value)) if len(digits) >= 5 and len(set(digits)) > 1 and not _DATE.fullmatch(value) else None


_DATE = re.compile(rb"(?:19|20)\d\d-\d\d-\d\d|\d\d-\d\d-(?:19|20)\d\d")


NATIONAL: dict[str, Callable[[bytes], Part]] = {
    **{name: _digits(length, check) for length, checks in DIGITS.items() for name, check in checks.items()},
    **{name: _lettered(check) for name, check in LETTERED.items()},
    "document": document,
}
OF_LENGTH: dict[str, Callable[[bytes], bool]] = {
    name: may for length, checks in DIGITS.items() for may in (_of_length(length),) for name in checks
}
