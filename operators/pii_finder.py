"""Finds candidates by rules in the folded bytes of a batch, and scores them by what stands near.

Rules with one pattern are one Finder: a candidate is looked at once, the first rule that accepts it names it. Verdicts
on a value with what stands beside it are remembered for a while, so that text which repeats itself (tables, logs,
attacks) costs a look-up per candidate.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from dataforge.operators.pii_network import NETWORK
from dataforge.operators.pii_numbers import NUMBERS
from dataforge.operators.pii_phones import PHONES
from dataforge.operators.pii_rules import Rule, any_word, matcher, searcher
from dataforge.operators.pii_tokens import TOKENS, Part

VALIDATORS = {**TOKENS, **NUMBERS, **PHONES, **NETWORK}
LIFT = 0.35  # what a word near by adds to the score, or takes away
LEAST_SCORE = 0.5
BEFORE, AFTER = 60, 30  # bytes looked at for words that speak for a candidate
AGAINST = 25  # bytes before it looked at for words that speak against it: what the number is called
BESIDE_BEFORE, BESIDE_AFTER = 6, 12  # bytes looked at for what makes it a piece of something longer
REMEMBERED = 8192
LONGEST_REMEMBERED = 256
LONGEST_AGAIN = 100  # bytes of a match of which a part counts, that are looked at again behind that part
_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_ROW_END = 0xFF
Parts = tuple[tuple[int, int], ...]  # of a value: first byte, the one after the last


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
        self.match = matcher(first.pattern)
        self.trigger = first.trigger or first.pattern
        self.alone = first.alone
        self.word = frozenset.intersection(*(_word(rule) for rule in rules))
        self.judges = tuple(_Judge(rule) for rule in rules)
        self.blocked = frozenset.intersection(*(judge.blocked for judge in self.judges))
        far = not all(judge.plain for judge in self.judges)
        self.before, self.after = (BEFORE, AFTER) if far else (1, 1)
        self.parts = functools.lru_cache(REMEMBERED)(self._parts)
        self.verdict = functools.lru_cache(REMEMBERED)(self._verdict)

    def find(self, data: bytes) -> Iterator[Found]:
        word = self.word if self.alone else frozenset()
        match, blocked = self.match, self.blocked
        candidate = match(data, 0)
        while candidate is not None:  # a few per thousand words of prose
            begin, start, end, at = candidate
            beside = data[begin - 1] if begin else _ROW_END
            if beside not in blocked and not (beside in word and data[begin] in _WORD):
                last = 0
                for found in self._judged(data, begin, start, end):
                    yield found
                    last = found.end
                if last and at - begin <= LONGEST_AGAIN:
                    at = last  # a number that is cut short: another may follow
            candidate = match(data, at if at > begin else begin + 1)

    def _judged(self, data: bytes, begin: int, start: int, end: int) -> Sequence[Found]:
        value = data[start:end]
        remembered = end - start <= LONGEST_REMEMBERED
        parts = self.parts(value) if remembered else self._parts(value)
        if not parts:
            return ()
        left = data[begin - self.before if begin > self.before else 0 : begin]
        if _ROW_END in left:
            left = left[left.rindex(_ROW_END) + 1 :]
        right = data[end : end + self.after]
        if _ROW_END in right:
            right = right[: right.index(_ROW_END)]
        first = data[begin]
        verdict = self.verdict(left, first, value, right) if remembered else _decide(parts, left, first, value, right)
        return [Found(start + one[0], start + one[1], one[2], one[3], one[4]) for one in verdict] if verdict else ()

    def _parts(self, value: bytes) -> tuple[tuple[_Judge, Parts], ...]:
        """Which rules accept the value, by itself, and what of it."""
        return tuple((judge, parts) for judge in self.judges if (parts := judge.accepts(value)))

    def _verdict(self, left: bytes, first: int, value: bytes, right: bytes) -> tuple[Found, ...]:
        """Places are relative to the value. `left`: before the match, which starts with the byte `first`."""
        return _decide(self.parts(value), left, first, value, right)


def _decide(
    parts: tuple[tuple[_Judge, Parts], ...], left: bytes, first: int, value: bytes, right: bytes
) -> tuple[Found, ...]:
    for judge, accepted in parts:
        found = judge.verdict(left, first, value, right, accepted)
        if found:
            return found
    return ()


def finders(rules: Iterable[Rule]) -> list[Finder]:
    """One Finder per pattern, rules in their order."""
    together: dict[tuple[str, bool], list[Rule]] = {}
    for rule in rules:
        together.setdefault((rule.pattern, rule.alone), []).append(rule)
    return [Finder(group) for group in together.values()]


class _Judge:
    """One rule's verdict on a candidate: what parts of it, and how surely."""

    def __init__(self, rule: Rule) -> None:
        self.kind, self.name, self.base = rule.kind, rule.name, rule.score
        self.alone, self.word = rule.alone, _word(rule)
        self.accepts = _validator(rule.validator) if rule.validator else _whole
        self.context = _near(any_word(rule.context))
        self.against = _near(any_word(rule.against))
        self.not_before = _near(f"(?:{rule.not_before})$" if rule.not_before else "")
        self.not_after = _near(f"^(?:{rule.not_after})" if rule.not_after else "")
        self.blocked = _blocked(rule.not_before)
        self.plain = not (self.context or self.against or self.not_before or self.not_after)

    def verdict(self, left: bytes, first: int, value: bytes, right: bytes, parts: Parts) -> tuple[Found, ...]:
        """The parts that count, seen with what stands before the match and after the value."""
        if left:
            if left[-1] in self.blocked or (self.alone and left[-1] in self.word and first in _WORD):
                return ()
            if self.not_before and self.not_before(left[-BESIDE_BEFORE:]):
                return ()
        found = []
        for start, end in parts:
            after = (value[end : end + AFTER] + right)[:AFTER] if end < len(value) else right
            score = self._score(left, value[end - 1], after)
            if score >= LEAST_SCORE:
                found.append(Found(start, end, self.kind, self.name, score))
        return tuple(found)

    def _score(self, left: bytes, last: int, right: bytes) -> float:
        """0 for a piece of a longer word, number or token. `last`: the candidate's last byte."""
        if right and right[0] in self.word and last in _WORD:
            return 0.0
        if self.plain:
            return self.base
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


def _whole(value: bytes) -> Parts:
    return ((0, len(value)),)


@functools.cache
def _validator(name: str) -> Callable[[bytes], Parts]:
    validate = VALIDATORS[name]

    def parts(value: bytes) -> Parts:
        part: Part | Parts = validate(value)
        if part is None or part == ():
            return ()
        return (part,) if isinstance(part[0], int) else part  # type: ignore[return-value]

    return parts


@functools.cache
def _near(pattern: str) -> Callable[[bytes], bool] | None:
    """Whether the pattern is somewhere in a few bytes; None for no pattern. Rules with one pattern share its memory."""
    return functools.lru_cache(REMEMBERED)(searcher(pattern)) if pattern else None


@functools.cache
def _blocked(not_before: str) -> frozenset[int]:
    """The bytes that alone decide: whatever stands before them, the pattern matches. Most candidates end here."""
    if not not_before or "\\b" in not_before or "^" in not_before.replace("[^", ""):
        return frozenset()
    ends = searcher(f"(?:{not_before})$")
    return frozenset(byte for byte in range(_ROW_END) if ends(bytes((byte,))))
