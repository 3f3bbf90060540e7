"""Words near by, looked for beside many candidates, or for many rules, at once.

Most numbers are nothing unless a word near by says what they are, and a table or a log has ten thousands of them. What
stands before and behind each is laid side by side in one string, a line each, so that they cost one pass of RE2 instead
of two calls for each. A pattern may match across lines: what is named here is only worth a closer look.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import re
from collections.abc import Callable, Iterator, Sequence

from dataforge.operators.pii_phones import BARE
from dataforge.operators.pii_rules import Rule, any_of, any_word, matcher, searcher

BEFORE, AFTER = 60, 30  # bytes looked at for words that speak for a candidate
_REMEMBERED = 8192
ROW_END, _ROW_BYTE = 0xFF, b"\xff"
_AT_ONCE = 4096  # candidates: about 400 kB
_LINES = bytes(range(ROW_END)) + b"\n"  # the end of a row ends what is looked at
Place = tuple[int, int]  # first byte of a candidate, the one after the last


def sides(data: bytes, begin: int, end: int, before: int = BEFORE, after: int = AFTER) -> tuple[bytes, bytes]:
    """What stands before and behind a candidate in its row."""
    left, right = data[begin - before if begin > before else 0 : begin], data[end : end + after]
    if ROW_END in left:
        left = left[left.rindex(_ROW_BYTE) + 1 :]
    return left, right[: right.index(_ROW_BYTE)] if ROW_END in right else right


@functools.cache
def near_by(pattern: str) -> Callable[[bytes], bool] | None:
    """Whether the pattern is somewhere in a few bytes; None for no pattern. Rules with one pattern share its memory."""
    return functools.lru_cache(_REMEMBERED)(searcher(pattern)) if pattern else None


class WordsNear:
    """Which of many candidates may have one of the words near."""

    def __init__(self, words: Sequence[str]) -> None:
        self._match = matcher(_by_line(words))

    def among(self, data: bytes, places: Sequence[Place]) -> Iterator[Place]:
        for first in range(0, len(places), _AT_ONCE):
            part = places[first : first + _AT_ONCE]
            for number in self._numbers([_sides(data, place) for place in part]):
                yield part[number]

    def _numbers(self, sides: Sequence[bytes]) -> Iterator[int]:
        begins = list(itertools.accumulate(map(len, sides), initial=0))
        text = b"".join(sides).translate(_LINES)
        at = 0
        while 0 <= (begin := self._match(text, at, len(text))[0][0]) < len(text):
            number = bisect.bisect_right(begins, begin) - 1
            yield number
            at = begins[number + 1]


def _sides(data: bytes, place: Place) -> bytes:
    begin, end = place
    return b"%b\n%b\n" % (data[begin - BEFORE if begin > BEFORE else 0 : begin], data[end : end + AFTER])


def bare_digits(rules: Sequence[Rule], least: float) -> Callable[[bytes], object] | None:
    """Digits with nothing between them that a rule may accept without a word near by; None where that is not known."""
    alone = [BARE.get(rule.validator) for rule in rules if rule.score >= least]
    if None in alone:
        return None
    return re.compile("|".join(filter(None, alone)).encode() or rb"(?!)").fullmatch


def words_of(rules: Sequence[Sequence[str]]) -> Callable[[bytes, bytes], list[int]]:
    """A function of what stands before and behind a candidate: which rules may have one of their words there."""
    together = any_of([_by_line(words) for words in rules])
    return lambda left, right: sorted(together.Match(b"%b\n%b" % (left, right)) or ())


def _by_line(words: Sequence[str]) -> str:
    """`^` and `$`: right beside the candidate."""
    return "(?m)" + any_word(words)
