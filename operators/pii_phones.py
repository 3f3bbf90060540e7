"""Validators of telephone numbers: which part of a run of digits, separators and brackets is one, if any.

A run is looked at as a whole, then without a short group at its end or start (`030 1234567 2`). What every form of a
number is refused for (dates, amounts, addresses, tables) is decided once for a run, whichever rule asks.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dataforge.operators.pii_numbers import FORMS, LONGEST_FORM, cards_in_row, digits_of, form_of, parts_of
from dataforge.operators.pii_tokens import Part

# Country calling codes (ITU E.164 list of assigned codes).
_CALLING = re.compile(
    rb"1|7|20|21[1-368]|2[2-6]\d|27|29[0-9]|3[0-469]|35\d|37\d|38[0-35-79]|4[013-9]|42[013]|5[1-8]|50\d|59\d|6[0-6]|67[02-9]"
    rb"|68\d|69[0-2]|8[1246]|800|808|85[02356]|87\d|88[0-368]|9[0-58]|96\d|97[0-79]|99[2-68]"
)
_EXTENSION = re.compile(rb"(?i)[ ,;]{0,3}(?:x|ext\.?|extension|#)[ .:]{0,2}\d{1,6}$")
_NEVER = re.compile(
    rb"\d{4,5}([-./ ])(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?!\d)"  # dates: 2003-02-01
    rb"|(?:19|20)\d\d([-./ ])\d{1,2}\2\d{1,2}(?!\d)|\d{1,2}([-./ ])\d{1,2}\3(?:1[5-9]|20)\d\d(?!\d)"
    rb"|(?:0[1-9]|[12]\d|3[01])([./-])(?:0[1-9]|1[0-2])\4\d{4}$"
    rb"|(?:1[0-9]|20)\d\d ?[-/ ] ?(?:1[0-9]|20)\d\d$"  # 1914-1918
    rb"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[ -]?\d{2,6})?$"  # 20231115 103000
    rb"|(?!1(?:\.\d{3}){2}\.\d{4}$)[1-9]\d{0,2}(?:\.\d{1,4}){3}$"  # versions
    rb"|\d{1,3}(?:\.\d{1,3}){3}$|192\.168\.|\d{5}-\d{4}$"  # IP addresses, ZIP+4
    rb"|\d{1,3}(?: \d{3})* 000$|\+?\d+\.\d+$|\d{1,3}(?:\.\d{3})+$"  # amounts
)
_SINGLE, _SINGLES = re.compile(rb"[ ./-]\d[ ./-]"), re.compile(rb"(?<![\d+])\d[ ./-]\d[ ./-]\d(?!\d)")
_ZEROS = re.compile(rb"\b00\b.*\b00\b")

Place = tuple[int, int]
Places = tuple[Place, ...]


class _Number(NamedTuple):
    """A part of a run that may be a number: its place, its bytes without the extension, its digits."""

    place: Place
    text: bytes
    digits: bytes


@functools.lru_cache(256)  # several rules ask in turn
def _numbers(run: bytes) -> tuple[_Number, ...]:
    """What is left of a run, whole and trimmed, without what is a date, an address, an amount or a list of digits."""
    places = _places(form_of(run)) if len(run) <= LONGEST_FORM else ()
    return tuple([number for place, size in places if (number := _of_size(run, place, size))])


@functools.lru_cache(FORMS)
def _places(form: bytes) -> tuple[tuple[Place, int], ...]:
    """Parts of a run that are written like a number, with their bytes without the extension."""
    places = parts_of(form, longest=3, least=7, most=21)  # 15 and an extension
    return tuple((place, size) for place in places if (size := _written(form[slice(*place)])))


def _number(run: bytes, place: Place) -> _Number | None:
    size = _written(form_of(run[slice(*place)]))
    return _of_size(run, place, size) if size else None


def _of_size(run: bytes, place: Place, size: int) -> _Number | None:
    text = run[place[0] : place[0] + size]
    digits = digits_of(text)
    zeros = b"00" in text and (b"00000" in text or (text.count(b"00") > 1 and _ZEROS.search(text)))
    if zeros or len(set(digits)) < 3 or _NEVER.match(text):
        return None
    return _Number(place, text, digits)


@functools.lru_cache(FORMS)
def _written(form: bytes) -> int:
    """Bytes of a number without its extension, 0 for what has too many or too few digits, odd brackets, or is a list."""
    if form.count(b"(") != form.count(b")"):
        return 0
    text = _EXTENSION.sub(b"", form) if form.translate(None, _PLAIN) else form
    return len(text) if 7 <= len(digits_of(text)) <= 18 and not _is_list(text) else 0


def _is_list(form: bytes) -> bool:
    """Rows of tables and lists of digits: `1.5/2.5`, `1 2 3`, `12-3`."""
    if (b"." in form and b"/" in form) or (form[-2] in _SIGNS and form.endswith(b"0")):
        return True
    return _SINGLE.search(form) is not None and _SINGLES.search(form) is not None


_PLAIN, _SIGNS = b"0 .()/+-", frozenset(b"./-")


def _first(accept: Callable[[_Number], bool]) -> Callable[[bytes], Part | Places]:
    """A validator: the first part of a run that is accepted, else the numbers of which it is a row."""

    @functools.wraps(accept)
    def validate(run: bytes) -> Part | Places:
        for number in _numbers(run):
            if accept(number):
                return number.place
        rows = _rows(run)
        return _in_rows(run, rows, accept) if rows else None

    return validate


def may_hold_phone(run: bytes) -> bool:
    """Whether there is anything in a run that a rule could accept: asked once, for most runs are nothing to any."""
    return bool(_numbers(run) or _rows(run))


class _Rows(NamedTuple):
    """What a run may be made of: pieces written alike, two numbers, a number beside a card."""

    alike: tuple[int, int]
    pairs: tuple[tuple[_Number, _Number], ...]
    beside: tuple[_Number, ...]


@functools.lru_cache(256)  # several rules ask in turn
def _rows(run: bytes) -> _Rows | None:
    if len(run) < _SHORTEST_ROW:
        return None
    form = form_of(run)
    alike, cuts = _repeated(form) if len(run) <= LONGEST_FORM else (_alike(form), ())
    beside = _beside(run)
    pairs = tuple([(first, second) for a, b in cuts if (first := _number(run, a)) and (second := _number(run, b))])
    return _Rows(alike, pairs, beside) if alike[0] or pairs or beside else None


def _in_rows(run: bytes, rows: _Rows, accept: Callable[[_Number], bool]) -> Places:
    """Numbers that are written alike; or two that are written differently and accepted both; or one beside a card:
    `+1 415 555 2671 4111 1111 1111 1111`.
    """
    if rows.alike[0] and (places := _alike_row(run, rows.alike, accept)):
        return places
    for first, second in rows.pairs:
        if accept(first) and accept(second):
            return first.place, second.place
    return tuple([number.place for number in rows.beside if accept(number)])


def _alike_row(run: bytes, alike: tuple[int, int], accept: Callable[[_Number], bool]) -> Places:
    """Numbers side by side, written alike (`020 7946 0958 020 7946 0959`), of which more than half are accepted."""
    period, size = alike
    if not any(map(accept, (*_whole(run, (0, size)), *_whole(run, (len(run) - size, len(run)))))):
        return ()  # a table
    places = tuple((at, at + size) for at in range(0, len(run), period))
    accepted = sum(any(map(accept, _whole(run, place))) for place in places)
    return places if 2 * accepted > len(places) else ()


@functools.lru_cache(FORMS)
def _repeated(form: bytes) -> tuple[tuple[int, int], tuple[tuple[Place, Place], ...]]:
    """`_alike`; where that is nothing, ways to cut a run in two that may be numbers both."""
    alike = _alike(form)
    return alike, () if alike[0] else tuple(_cuts(form))


def _cuts(form: bytes) -> Iterator[tuple[Place, Place]]:
    size = len(form)
    for gap in _BETWEEN.finditer(form) if size <= 2 * _LONGEST else ():
        end, start = gap.span()
        if 8 <= end <= _LONGEST and 8 <= size - start <= _LONGEST and _written(form[:end]) and _written(form[start:]):
            yield (0, end), (start, size)


def _beside(run: bytes) -> tuple[_Number, ...]:
    cards = cards_in_row(run) if len(run) <= 2 * _LONGEST else ()
    if len(cards) != 1:
        return ()
    start, end = cards[0]
    before, after = (0, len(run[:start].rstrip(b" /"))), (len(run) - len(run[end:].lstrip(b" /")), len(run))
    place = before if end == len(run) else after if start == 0 else (0, 0)
    number = _number(run, place) if place[1] - place[0] >= 8 else None
    return (number,) if number else ()


def _whole(run: bytes, place: tuple[int, int]) -> tuple[_Number, ...]:
    return _as_a_whole(run[slice(*place)])


@functools.lru_cache(256)
def _as_a_whole(run: bytes) -> tuple[_Number, ...]:
    number = _number(run, (0, len(run)))
    return (number,) if number else ()


def _alike(form: bytes) -> tuple[int, int]:
    """How far apart the pieces begin, and their size, in a run that repeats one writing with one to three spaces or a slash
    between; zeros for any other.
    """
    size = len(form)
    period = form.find(form[:6], 9)  # a piece has six characters or more: where none begins like the first, none does
    while 0 < period < min(_LONGEST + 3, size):
        gap = -size % period
        if 1 <= gap <= 3 and form[period:] == form[:-period] and _BETWEEN.fullmatch(form[period - gap : period]):
            return period, period - gap
        period = form.find(form[:6], period + 1)
    return 0, 0


_BETWEEN = re.compile(rb" {1,3}| ?/ ?")
_SHORTEST_ROW, _LONGEST = 17, 24  # bytes of two numbers, of one


@_first
def phone_international(number: _Number) -> bool:
    """`+`, 00 or 011, an assigned country code and 7 to 15 digits in all (E.164); 9 where they are written in one."""
    _, text, digits = number
    if b"+" not in text[:2]:
        if not text.startswith((b"00", b"011", b"(00")):
            return False
        code = 3 if text.startswith((b"011 ", b"011-", b"011.")) else 2 if text.startswith(b"00") else 99
        digits = digits[code:]
    least = 7 if _GAP.search(text) else 9
    real = _CALLING.match(digits) is not None and len(set(digits)) > 2 and not _MEMORY_RANGE.match(text)
    return least <= len(digits) <= 15 and real


def phone_with_plus(value: bytes) -> Part | Places:
    """As `phone_international`, but only written with `+` and ten digits or more."""
    if not value.startswith((b"+", b"(+")) or len(digits_of(value)) < 10:
        return None
    return phone_international(value)


def phone_in_groups(value: bytes) -> Part | Places:
    """As `phone_with_plus`, but with two gaps or more: hardly anything else is written like that."""
    return phone_with_plus(value) if len(_GAP.findall(value)) > 2 else None


_GAP = re.compile(rb"\d[^\d]")
_MEMORY_RANGE = re.compile(rb"00\d{5,}-\d{6,}$")

# As people write them: an area in brackets, a trunk 0, or groups that only telephone numbers have.
_NATIONAL = re.compile(
    rb"(?:1[ .-]?)?(?:\([1-9]\d\d\)[ .-]{0,2}|[2-9]\d\d(?P<s>[.-]))\d{3}(?(s)(?P=s)|[ .-])\d{4}"  # North America
    rb"|\(0?\d{1,5}\)[ ./-]{0,2}\d{2,9}(?:[ ./-]\d{2,5}){0,3}"  # (03) 5307 4123, (11) 91234-5678, (37) 788-063
    rb"|0\d{1,5}(?P<t>[ ./-]| [/-] |/ )\d{2,5}(?:[ .-]\d{2,5}){1,4}"  # 020 7946 0958
    rb"|0\d{2,5}[ /-](?:\d{7,8}|(?<=\d{5}.)\d{5,7})|0\d{2,3}[ -]\d{6}|0[1-9] \d{7,9}"  # 0393 1144137, 0322 756569
    rb"|0\d{2,5}/\d{4,8}|(?:06[ -]\d{1,2}/|\(06 \d{1,2}\) )\d{3}[ -]\d{3,4}|\d\d/\d{3}[ -]\d{4}"  # 06-51/727 4601
    rb"|0 \d{3}(?: \d\d){3}|[01]-\d{3}(?:-\d{2,4}){2}"  # 0 801 23 45 67, 1-300-12-3456
    rb"|8(?:[ -]?\(\d{3,4}\)[ -]?|[ -]\d{3,4}[ -])\d{2,3}(?:[ -]?\d\d[ -]?\d\d)"  # Russia: 8 (912) 158-48-62
    rb"|[1-9]\d[ -](?:9?\d{4}|\d{5})-\d{4}|1[3-9]\d[ -]\d{4}[ -]\d{4}|[6-9]\d{4}[ -]\d{5}"  # Brazil, China, India
    rb"|[679]\d\d(?: \d\d){3}"  # Spain
)


@_first
def phone_national(number: _Number) -> bool:
    """A form that telephone numbers have and other numbers seldom do; 8 to 12 digits, 13 with an area of 5 or 6."""
    _, text, digits = number
    if not 8 <= len(digits) <= 13 or not _NATIONAL.fullmatch(text) or _SIX_PAIRS.fullmatch(text):
        return False
    return len(digits) <= 12 or _LONG_AREA.match(text) is not None


_LONG_AREA = re.compile(rb"\(?0\d{4,5}\D")
_THOUSANDS = re.compile(rb"\d{1,3}(?:[ .]\d{3})+$")
_GROUPED = re.compile(
    rb"(?!\d{3}.\d{3}.\d\d$)\d{2,5}(?P<s>[ .-])\d{2,5}(?:(?P=s)\d{2,5}){1,4}|\d{2,5} \d{3}-\d{2,4}(?:-\d{2,4})?"
)


def phone_grouped(run: bytes) -> Part:
    """Three to six groups with one separator and 8 to 12 digits, that are no date and not grouped by thousands."""
    place, text, digits = next(iter(_numbers(run)), _NOTHING)
    if place[1] != len(run) or not 8 <= len(digits) <= 12 or not _GROUPED.fullmatch(text):
        return None
    if not _AMERICAN.fullmatch(text) and len(_PAIRS.findall(text)) - len(_ROUND.findall(text)) < 2:
        return None  # 10 20 30 40: a scale
    if _WITH_YEAR.search(text) or _SIX_PAIRS.fullmatch(text):
        return None
    amount = _THOUSANDS.match(text) and (len(text) != 11 or text.endswith(b"00"))  # `699 956 915` is none
    return None if amount else place


_WITH_YEAR = re.compile(rb"(?:^|\.)(?:19|20)\d\d(?:\.|$)")  # 24.2024.115: a version
_SIX_PAIRS = re.compile(rb"\d\d(?:[ .-]\d\d){5}")  # of a draw, a row of measurements: no country writes numbers so
_AMERICAN = re.compile(rb"[2-9]\d\d[ .-]\d{3}[ .-]\d{4}")
_PAIRS, _ROUND = re.compile(rb"\d\d(?=[ .-]|$)"), re.compile(rb"\d[05](?=[ .-]|$)")
_NOTHING = _Number((0, 0), b"", b"")


@_first
def phone_unspaced(number: _Number) -> bool:
    """Trunk 0 and nine or ten more digits."""
    _, text, digits = number
    return len(text) == len(digits) and _UNSPACED.fullmatch(text) is not None and text not in _COUNTED


_UNSPACED = re.compile(rb"0[1-9]\d{8,9}")
_COUNTED = frozenset((b"0123456789", b"1234567890", b"123456789", b"12345678", b"1234567"))


@_first
def phone_digits(number: _Number) -> bool:
    """Any 7 to 13 digits: only near a word for telephone."""
    return 7 <= len(number.digits) <= 13 and number.digits not in _COUNTED


PHONES: dict[str, Callable[[bytes], Part | Places]] = {
    "phone_in_groups": phone_in_groups,
    "phone_with_plus": phone_with_plus,
    "phone_international": phone_international,
    "phone_national": phone_national,
    "phone_grouped": phone_grouped,
    "phone_unspaced": phone_unspaced,
    "phone_digits": phone_digits,
}
BARE = {  # validator -> which digits with nothing before or between them it may accept, as a pattern, "" for none
    **dict.fromkeys(("phone_in_groups", "phone_with_plus", "phone_national", "phone_grouped"), ""),
    "phone_international": r"00[1-9]\d{6,15}",
    "phone_unspaced": _UNSPACED.pattern.decode(),
}
