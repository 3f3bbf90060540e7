"""Finds candidates by rules in the folded bytes of a batch, and scores them by what stands near.

Rules with one pattern are one Finder: a candidate is looked at once, the first rule that accepts it names it. Verdicts
on a value and on what stands beside it are remembered for a while, so that text which repeats itself (tables, logs,
attacks) costs a look-up per candidate.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from dataforge.operators.pii_network import NETWORK
from dataforge.operators.pii_numbers import NUMBERS
from dataforge.operators.pii_rules import Rule, any_word, compile_bytes
from dataforge.operators.pii_tokens import TOKENS, Part

VALIDATORS = {**TOKENS, **NUMBERS, **NETWORK}
LIFT = 0.35  # what a word near by adds to the score, or takes away
LEAST_SCORE = 0.5
BEFORE, AFTER = 60, 30  # bytes looked at for words that speak for a candidate
AGAINST = 25  # bytes before it looked at for words that speak against it: what the number is called
BESIDE_BEFORE, BESIDE_AFTER = 6, 12  # bytes looked at for what makes it a piece of something longer
REMEMBERED = 8192
_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")


class Found(NamedTuple):
    """A candidate that counts: bytes of `Folded.data`, end exclusive."""

    start: int
    end: int
    kind: str
    rule: str
    score: float


class Finder:
    """Rules that share a pattern, compiled; the first that accepts a candidate with score enough wins."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        first = rules[0]
        self.name = "+".join(rule.name for rule in rules)
        self.pattern = compile_bytes(first.pattern)
        self.groups = self.pattern.groups
        self.trigger = first.trigger or first.pattern
        self.alone = first.alone
        self.word = frozenset.intersection(*(_word(rule) for rule in rules))
        self.judges = tuple(_Judge(rule) for rule in rules)

    def find(self, data: bytes) -> Iterator[Found]:
        for match in self.pattern.finditer(data):  # candidates only: a few per thousand words of prose
            begin, stop = match.span()
            if self.alone and begin and data[begin - 1] in self.word and data[begin] in _WORD:
                continue
            start, end = (begin, stop) if self.groups == 0 else _group(match, self.groups)
            value = data[start:end]
            for judge in self.judges:
                part = judge.accepts(value)
                if part is not None:
                    score = judge.score(data, begin, start + part[0], start + part[1])
                    if score >= LEAST_SCORE:
                        yield Found(start + part[0], start + part[1], judge.kind, judge.name, score)
                        break


def finders(rules: Iterable[Rule]) -> list[Finder]:
    """One Finder per pattern, rules in their order."""
    together: dict[tuple[str, bool], list[Rule]] = {}
    for rule in rules:
        together.setdefault((rule.pattern, rule.alone), []).append(rule)
    return [Finder(group) for group in together.values()]


class _Judge:
    """One rule's verdict on a candidate: what part of it, and how surely."""

    def __init__(self, rule: Rule) -> None:
        self.kind, self.name, self.base = rule.kind, rule.name, rule.score
        self.alone, self.word = rule.alone, _word(rule)
        self.accepts = _remembered_validator(rule.validator) if rule.validator else _whole
        self.context = _near(any_word(rule.context))
        self.against = _near(any_word(rule.against))
        self.not_before = _near(f"(?:{rule.not_before})$" if rule.not_before else "")
        self.not_after = _near(f"^(?:{rule.not_after})" if rule.not_after else "")
        self.plain = not (self.context or self.against or self.not_before or self.not_after)

    def score(self, data: bytes, begin: int, start: int, end: int) -> float:
        """0 for a piece of a longer word, number or token. `begin`: of the match, `start`: of the span in it."""
        if end < len(data) and data[end] in self.word and data[end - 1] in _WORD:
            return 0.0
        if self.alone and begin and data[begin - 1] in self.word and data[begin] in _WORD:
            return 0.0  # another rule with this pattern let it pass
        if self.plain:
            return self.base
        left, right = _left(data, begin, BEFORE), _right(data, end, AFTER)
        if self.not_before and self.not_before(left[-BESIDE_BEFORE:]):
            return 0.0
        if self.not_after and self.not_after(right[:BESIDE_AFTER]):
            return 0.0
        score = self.base
        if self.against and self.against(left[-AGAINST:]):
            score -= LIFT
        if score < LEAST_SCORE and self.context and (self.context(left) or self.context(right)):
            score += LIFT  # looked for only where it decides: half of the time goes there
        return min(round(score, 3), 1.0)


def _word(rule: Rule) -> frozenset[int]:
    """The bytes that make what they stand beside a piece of a longer word."""
    return _WORD - frozenset(rule.glued.encode())


def _whole(value: bytes) -> Part:
    return 0, len(value)


@functools.cache
def _remembered_validator(name: str) -> Callable[[bytes], Part]:
    return functools.lru_cache(REMEMBERED)(VALIDATORS[name])


@functools.cache
def _near(pattern: str) -> Callable[[bytes], bool] | None:
    """Whether the pattern is somewhere in a few bytes; None for no pattern. Rules with one pattern share its memory."""
    if not pattern:
        return None
    search = compile_bytes(pattern).search
    return functools.lru_cache(REMEMBERED)(lambda beside: search(beside) is not None)


def _group(match: Any, groups: int) -> tuple[int, int]:
    """The first group that took part, else the whole match."""
    for number in range(1, groups + 1):
        if match.start(number) >= 0:
            return match.span(number)  # type: ignore[no-any-return]
    return match.span()  # type: ignore[no-any-return]


def _left(data: bytes, start: int, size: int) -> bytes:
    """Up to `size` bytes before a place, of the same row."""
    piece = data[start - size if start > size else 0 : start]
    return piece if b"\xff" not in piece else piece[piece.rindex(b"\xff") + 1 :]


def _right(data: bytes, end: int, size: int) -> bytes:
    piece = data[end : end + size]
    return piece if b"\xff" not in piece else piece[: piece.index(b"\xff")]
