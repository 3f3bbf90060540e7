"""Check digits and dates of birth of national numbers that are digits alone.

Most check digits are a weighted sum; which weights and modulus a country uses is public (`configs/pii/national.yaml`
names where). Such a number alone is weak, one run of digits in ten or eleven passes: its rules want a word near by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dataforge.operators.pii_numbers import luhn

_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
Check = Callable[[bytes], bool]


def weighted(digits: bytes, weights: Sequence[int]) -> int:
    return sum([(digit - 48) * weight for digit, weight in zip(digits, weights, strict=False)])


def _sums_to(modulus: int, weights: Sequence[int], rest: int = 0) -> Check:
    """The sum over all digits, the check digit among them, leaves `rest`."""
    return lambda digits: len(digits) == len(weights) and weighted(digits, weights) % modulus == rest


def _last(modulus: int, weights: Sequence[int], then: Callable[[int], int] = lambda rest: rest % 10) -> Check:
    """The last digit follows from what the sum over those before it leaves."""

    def check(digits: bytes) -> bool:
        return len(digits) == len(weights) + 1 and then(weighted(digits, weights) % modulus) == digits[-1] - 48

    return check


def none_from_ten(rest: int) -> int:
    """`11 - rest`, 0 where that has two digits."""
    return 11 - rest if rest > 1 else 0


def _mod_11_10(digits: bytes) -> bool:
    """ISO 7064, Mod 11,10."""
    product = 10
    for digit in digits[:-1]:
        product = ((digit - 48 + product) % 10 or 10) * 2 % 11
    return (product + digits[-1] - 48) % 10 == 1


_D5 = tuple(  # the dihedral group of ten, in which Verhoeff's check digit is computed
    tuple((a + b) % 5 + 5 * (b >= 5) if a < 5 else (a - b) % 5 + 5 * (b < 5) for b in range(10)) for a in range(10)
)


def _permutations() -> tuple[tuple[int, ...], ...]:
    rows = [tuple(range(10)), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)]
    while len(rows) < 8:
        rows.append(tuple(rows[-1][digit] for digit in rows[1]))
    return tuple(rows)


_TURNED = _permutations()


def _verhoeff(digits: bytes) -> bool:
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = _D5[check][_TURNED[place % 8][digit - 48]]
    return check == 0


def is_day(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= _LONGEST_MONTH[month - 1]


def _date(place: int, order: str = "ymd", months: Sequence[int] = (0,), days: Sequence[int] = (0,)) -> Check:
    """Two digits each from `place` on are a date; `months` and `days`: what is added to them for century, sex, kind."""
    at_month, at_day = place + 2, place + (4 if order == "ymd" else 0)

    def check(digits: bytes) -> bool:
        month, day = int(digits[at_month : at_month + 2]), int(digits[at_day : at_day + 2])
        return any(is_day(month - more, day - later) for more in months for later in days)

    return check


def _all(*checks: Check, start: bytes = b"") -> Check:
    """Digits that begin with one of `start` and pass every check; never one digit over and over."""

    def check(digits: bytes) -> bool:
        if (start and digits[0] not in start) or digits == digits[:1] * len(digits):
            return False
        return all(check(digits) for check in checks)

    return check


def _german_tax(digits: bytes) -> bool:
    """One of the first ten digits stands there two or three times, the others once at most."""
    counts = sorted(digits.count(digit, 0, 10) for digit in set(digits[:10]))
    return counts[-1] in (2, 3) and (len(counts) == 1 or counts[-2] == 1) and _mod_11_10(digits)


def _czech(digits: bytes) -> bool:
    return int(digits) % 11 == 0 or (int(digits[:9]) % 11 == 10 and digits[9] == 48)


def _belgian(digits: bytes) -> bool:
    number, key = int(digits[:9]), int(digits[9:])
    return key in (97 - number % 97, 97 - (2_000_000_000 + number) % 97)


def _turkish(digits: bytes) -> bool:
    odd, even = sum(digits[0:9:2]) - 5 * 48, sum(digits[1:8:2]) - 4 * 48
    return (7 * odd - even) % 10 == digits[9] - 48 and (sum(digits[:10]) - 480) % 10 == digits[10] - 48


def _baltic(digits: bytes) -> bool:
    """Estonia, Lithuania: a second row of weights where the first leaves 10."""
    rest = weighted(digits[:10], (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if rest == 10:
        rest = weighted(digits[:10], (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return rest == digits[10] - 48


def _snils(digits: bytes) -> bool:
    return weighted(digits[:9], range(9, 0, -1)) % 101 % 100 == int(digits[9:])


def _swedish(digits: bytes) -> bool:
    return luhn(digits[-10:]) and _date(0, days=(0, 60))(digits[-10:])


_CPF = (_last(11, range(10, 1, -1), none_from_ten), _last(11, range(11, 1, -1), none_from_ten))
_INN = (_last(11, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)), _last(11, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)))
_NORWAY = (3, 7, 6, 1, 8, 9, 4, 5, 2, 1), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
_EAN = _sums_to(10, (1, 3) * 6 + (1,))
_IN_CENTURIES = (0, 20, 40, 60, 80)  # added to the month


def social_security(digits: bytes) -> bool:
    """United States: area not 000, 666, 9xx; group not 00; serial not 0000; not the numbers famous from adverts."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    bad = area in (b"000", b"666") or area[:1] == b"9" or group == b"00" or serial == b"0000"
    return not bad and digits not in (b"078051120", b"219099999") and len(set(digits)) > 1


def individual_taxpayer(digits: bytes) -> bool:
    """United States, ITIN: the groups that the IRS gives out."""
    group = int(digits[3:5])
    return 50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99


DIGITS: dict[int, dict[str, Check]] = {  # number of digits -> rules of countries
    9: {
        "ssn": _all(social_security),
        "us_itin_digits": _all(individual_taxpayer, start=b"9"),
        "nl_bsn": _all(_sums_to(11, (9, 8, 7, 6, 5, 4, 3, 2, -1))),
        "ca_sin": _all(luhn, start=b"12345679"),
        "au_tfn": _all(_sums_to(11, (1, 4, 3, 7, 5, 8, 6, 9, 10))),
        "il_id": _all(luhn),
        "pt_nif": _all(_last(11, range(9, 1, -1), none_from_ten), start=b"123"),
        "gr_afm": _all(_last(11, tuple(2**i for i in range(8, 0, -1)))),
        "hu_taj": _all(_last(10, (3, 7) * 4)),
    },
    10: {
        "uk_nhs": _all(_sums_to(11, range(10, 0, -1))),
        "at_svnr": _all(_sums_to(11, (3, 7, 9, -1, 5, 8, 4, 2, 1, 6)), start=b"123456789"),
        "bg_egn": _all(_date(0, months=(0, 20, 40)), _last(11, (2, 4, 8, 5, 10, 9, 7, 3, 6))),
        "cz_rc": _all(_date(0, months=(0, 20, 50, 70)), _czech),
        "dk_cpr": _all(_date(0, "dmy", days=(0, 60))),
        "au_medicare": _all(_sums_to(10, (1, 3, 7, 9, 1, 3, 7, 9, -1, 0)), start=b"23456"),
        "ua_tax": _all(_last(11, (-1, 5, 7, 9, 4, 6, 10, 5, 7))),
        "hu_tax": _all(_last(11, range(1, 10)), start=b"8"),
        "se_pnr": _all(_swedish),
    },
    11: {
        "de_tax": _all(_german_tax, start=b"123456789"),
        "pl_pesel": _all(_date(0, months=_IN_CENTURIES), _sums_to(10, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1))),
        "br_cpf": _all(lambda digits: _CPF[0](digits[:10]) and _CPF[1](digits)),
        "no_fnr": _all(
            _date(0, "dmy", months=(0, 40), days=(0, 40)),
            lambda digits: weighted(digits, _NORWAY[0]) % 11 == 0 == weighted(digits, _NORWAY[1]) % 11,
        ),
        "be_nn": _all(_date(0, months=(0, 20, 40)), _belgian),
        "tr_tc": _all(_turkish, start=b"123456789"),
        "hr_oib": _all(_mod_11_10),
        "au_abn": _all(_sums_to(89, (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19), 10), start=b"123456789"),
        "ee_lt_code": _all(_date(1), _baltic, start=b"12345678"),
        "lv_code": _all(_last(11, (10, 5, 8, 4, 2, 1, 6, 3, 7, 9), lambda rest: (rest + 1) % 11 % 10)),
        "ru_snils": _all(_snils),
        "gr_amka": _all(_date(0, "dmy"), luhn),
        "ar_cuit": _all(_last(11, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2), lambda rest: b"09987654321"[rest] - 48), start=b"23"),
    },
    12: {
        "in_aadhaar": _all(_verhoeff, start=b"23456789"),
        "jp_my_number": _all(_last(11, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2), none_from_ten)),
        "ru_inn": _all(lambda digits: _INN[0](digits[:11]) and _INN[1](digits)),
        "my_kad": _all(_date(0)),
        "se_pnr_long": _all(_swedish, start=b"12"),
    },
    13: {
        "za_id": _all(_date(0), luhn, lambda digits: digits[10] in b"01"),
        "ro_cnp": _all(_date(1), _last(11, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9), lambda rest: rest if rest < 10 else 1)),
        "jmbg": _all(
            _last(11, (7, 6, 5, 4, 3, 2) * 2, none_from_ten), lambda digits: is_day(int(digits[2:4]), int(digits[:2]))
        ),
        "th_pin": _all(_last(11, range(13, 1, -1), lambda rest: (11 - rest) % 10), start=b"12345678"),
        "kr_rrn": _all(_date(0), _last(11, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), lambda rest: (11 - rest) % 10)),
        "kr_rrn_new": _all(_date(0)),  # since October 2020 without a check digit
        "ch_ahv": _all(_EAN),
    },
    15: {
        "ae_id": _all(luhn),
    },
    16: {
        "id_nik": _all(_date(6, "dmy", days=(0, 40))),
    },
}
