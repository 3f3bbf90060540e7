"""Finds candidates by rules in the folded bytes of a batch, and scores them by what stands near.

Rules with one pattern are one Finder: a candidate is looked at once, the first rule that accepts it names it. Verdicts
on a value with what stands beside it are remembered for a while, so that text which repeats itself (tables, logs,
attacks) costs a look-up per candidate.
"""

from __future__ import annotations

import functools
import itertools
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from dataforge.operators.pii_national import NATIONAL, OF_LENGTH, may_hold_national
from dataforge.operators.pii_near import ROW_END, WordsNear, bare_digits, near_by, sides, words_of
from dataforge.operators.pii_network import NETWORK
from dataforge.operators.pii_numbers import NUMBERS, may_hold_card
from dataforge.operators.pii_phones import BARE, PHONES, may_hold_phone
from dataforge.operators.pii_rules import MEMORY, OWN_MEMORY, Rule, any_word, group, matcher, searcher
from dataforge.operators.pii_tokens import TOKENS, Part

VALIDATORS = {**TOKENS, **NUMBERS, **NATIONAL, **PHONES, **NETWORK}
BEFOREHAND = {  # validator -> what is asked once for all rules side by side that have it
    **OF_LENGTH,
    **dict.fromkeys(PHONES, may_hold_phone),
    **dict.fromkeys(("card", "common_card", "cards_in_row", "small_card", "any_card"), may_hold_card),
}
LIFT = 0.35  # what a word near by adds to the score, or takes away
LEAST_SCORE = 0.5
AGAINST = 25  # bytes before it looked at for words that speak against it: what the number is called
BESIDE_BEFORE, BESIDE_AFTER = 6, 12  # bytes looked at for what makes it a piece of something longer
REMEMBERED, LONGEST_REMEMBERED = 8192, 256
LONGEST_AGAIN = 100  # bytes of a match of which a part counts, that are looked at again behind that part
_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_COUNT = re.compile(r"\{\d")
Place = tuple[int, int]  # first byte, the one after the last
Parts = tuple[Place, ...]  # of a value
Option: TypeAlias = "tuple[_Judge, Parts]"  # a rule that accepts a value, and what of it
_Asked: TypeAlias = "tuple[Callable[[bytes], bool] | None, tuple[_Judge, ...]]"  # what is asked beforehand, who then


# A candidate that counts: first byte of `Folded.data`, the one after the last, kind, rule, score. A plain tuple: there
# may be a hundred thousand in a megabyte, and the collector of garbage goes on looking at those with named fields.
Found: TypeAlias = tuple[int, int, str, str, float]


class Finder:
    """Rules that share a pattern, compiled; the first that accepts a candidate with score enough wins."""

    def __init__(self, rules: Sequence[Rule], own: bool = False) -> None:
        """`own`: rules of a user, whose counts are searched apart from all other triggers and with less memory."""
        first = rules[0]
        self.name = "+".join(rule.name for rule in rules)
        self.match = matcher(first.pattern, first.head, OWN_MEMORY if own else MEMORY)
        trigger = first.trigger or first.pattern
        self.trigger = "" if own and _COUNT.search(trigger) else trigger
        self.word = frozenset.intersection(*(_word(rule) for rule in rules)) if first.alone else frozenset()
        self.judges = tuple(_Judge(rule) for rule in rules)
        together = tuple(dict.fromkeys(word for rule in rules for word in rule.context))
        self.near = near_by(any_word(together)) if len({rule.context for rule in rules}) > 2 else None
        self.bare = bare_digits(rules, LEAST_SCORE) if self.near else None
        self.words = WordsNear(together if self.bare else ())
        self.beforehand = tuple(_together(self.judges))
        self.for_digits = _those(self.beforehand, lambda judge: BARE.get(judge.validator) != "")
        self.unspoken = _those(self.for_digits, lambda judge: judge.base >= LEAST_SCORE)
        self.blocked = frozenset.intersection(*(judge.blocked for judge in self.judges))
        far = any(judge.not_before or judge.not_after for judge in self.judges)
        self.before, self.after = (BESIDE_BEFORE, BESIDE_AFTER) if far else (1, 1)
        self.parts = functools.lru_cache(REMEMBERED)(self._parts)
        self.options = functools.lru_cache(2 * REMEMBERED)(self._options)

    def find(self, data: bytes) -> list[Found]:
        """In one function: on a text that is nothing but candidates a call for each costs as much as the rest."""
        match, remembered, blocked, word, bare = self.match, self.options, self.blocked, self.word, self.bare
        before, after, size = self.before, self.after, len(data)
        found: list[Found] = []
        runs: list[Place] = []  # of digits alone: words near by are looked for beside all of them together
        spans = match(data, 0, size)
        while (begin := spans[0][0]) >= 0:  # a few per thousand words of prose
            at = spans[0][1]
            beside = data[begin - 1] if begin else ROW_END
            if beside in blocked or (beside in word and data[begin] in _WORD):
                pass
            elif bare is not None and data[begin:at].isdigit():
                runs.append((begin, at))
            else:
                start, end = (begin, at) if len(spans) == 1 else group(spans)
                low = begin - before if begin > before else 0
                options = remembered if end - start <= LONGEST_REMEMBERED else self._options
                open_rules = options(data[low : end + after], begin - low, start - low, end - low)
                last = 0
                if open_rules and open_rules[0][0].plain:
                    judge, parts = open_rules[0]
                    for first, last in parts:
                        found.append((start + first, start + last, judge.kind, judge.name, judge.base))
                    last += start
                elif open_rules and (new := _weighed(open_rules, data, begin, start, end, self.near)):
                    found += new
                    last = new[-1][1]
                if last and at - begin <= LONGEST_AGAIN:
                    at = last  # a number that is cut short: another may follow
            spans = match(data, at if at > begin else begin + 1, size)
        return found + self._of_digits(data, runs) if runs else found

    def _of_digits(self, data: bytes, runs: Sequence[Place]) -> list[Found]:
        """What counts of runs of digits alone: most are nothing without a word near by."""
        found: list[Found] = []
        named = frozenset(self.words.among(data, runs))
        for begin, end in runs:
            value, low = data[begin:end], max(begin - self.before, 0)
            if (begin, end) in named:
                options = self.options if end - begin <= LONGEST_REMEMBERED else self._options
                open_rules = options(data[low : end + self.after], begin - low, begin - low, end - low)
                found += _weighed(open_rules, data, begin, begin, end, self.near)
            elif self.bare and self.bare(value):
                left, right = sides(data, begin, end, self.before, self.after)
                open_rules = _open(_accepting(self.unspoken, value), left, value[0], value, right)
                found += _weighed(open_rules, data, begin, begin, end, _unheard)
        return found

    def _parts(self, value: bytes) -> tuple[Option, ...]:
        return _accepting(self.for_digits if value.isdigit() else self.beforehand, value)

    def _options(self, window: bytes, begin: int, start: int, end: int) -> tuple[Option, ...]:
        """The rules that accept the value `window[start:end]` of the match at `begin`, seen with what stands right
        beside it. Remembered apart from the words near by, which differ more.
        """
        value = window[start:end]
        accepted = self.parts(value) if len(value) <= LONGEST_REMEMBERED else self._parts(value)
        if not accepted:
            return ()
        left, right = sides(window, begin, end, begin, len(window))
        return _open(accepted, left, window[begin], value, right)


def _accepting(groups: Iterable[_Asked], value: bytes) -> tuple[Option, ...]:
    """Which rules accept the value, by itself, and what of it."""
    return tuple(
        [
            (judge, parts)
            for ask, judges in groups
            if judges and (ask is None or ask(value))
            for judge in judges
            if (parts := _whole(value) if judge.later else judge.accepts(value))
        ]
    )


def _those(groups: Iterable[_Asked], wanted: Callable[[_Judge], bool]) -> tuple[_Asked, ...]:
    return tuple((ask, tuple(filter(wanted, judges))) for ask, judges in groups)


def _weighed(
    options: tuple[Option, ...], data: bytes, begin: int, start: int, end: int, near: Callable[[bytes], object] | None
) -> list[Found]:
    """The parts that count, by the first rule for which the words near by speak. `near`: of all together, for one look."""
    left, right = sides(data, begin, end)
    spoken = near is None or bool(near(left) or near(right))
    for judge, parts in _validated(options, data[start:end], left, data[begin], right) if spoken else options:
        if judge.later and not spoken:
            continue
        found = []
        for first, last in parts:
            place = start + last
            if place == end:
                score = judge.score(left, right, spoken)
            else:
                score = judge.score(left, sides(data, begin, place)[1])
            if score >= LEAST_SCORE:
                found.append((start + first, place, judge.kind, judge.name, score))
        if found:
            return found
    return []


def _validated(options: tuple[Option, ...], value: bytes, left: bytes, first: int, right: bytes) -> Iterator[Option]:
    """The options with those that stand for several rules spelled out: rules of which a word is near, that accept."""
    beside = left[-BESIDE_BEFORE:], first, value, right[:BESIDE_AFTER]
    for judge, parts in options:
        for number in judge.words_of(left, right) if judge.alike else ():
            one = judge.alike[number]
            accepted = one.accepts(value) if one.may_hold(value) else ()
            if accepted and one.spoken(left, right) and (kept := one.open(*beside, accepted)):
                yield one, kept
        if not judge.alike:
            yield judge, parts


def _open(accepted: tuple[Option, ...], left: bytes, first: int, value: bytes, right: bytes) -> tuple[Option, ...]:
    """Those rules and parts of the value that what stands right beside them does not rule out, up to the first rule
    that no word near by can stop.
    """
    options = []
    for judge, parts in accepted:
        kept = parts if judge.later else judge.open(left, first, value, right, parts)
        if kept:
            options.append((judge, kept))
            if judge.sure:
                break
    return tuple(options)


def finders(rules: Iterable[Rule], own: bool = False) -> list[Finder]:
    """One Finder per pattern, rules in their order."""
    together: dict[tuple[str, bool], list[Rule]] = {}
    for rule in rules:
        together.setdefault((rule.pattern, rule.alone), []).append(rule)
    return [Finder(group, own) for group in together.values()]


def _together(judges: Sequence[_Judge]) -> Iterator[_Asked]:
    """What is asked beforehand, and who is asked then: one for all that are asked later and want the same beside it."""
    for _, side_by_side in itertools.groupby(judges, key=operator.attrgetter("beside")):
        alike = tuple(side_by_side)
        if alike[0].later:
            alike[0].alike, alike[0].words_of = alike, words_of([judge.words for judge in alike])
            yield may_hold_national, alike[:1]
        else:
            yield alike[0].beforehand, alike


class _Judge:
    """One rule's verdict on a candidate: what parts of it, and how surely."""

    def __init__(self, rule: Rule) -> None:
        self.kind, self.name, self.base = rule.kind, rule.name, min(round(rule.score, 3), 1.0)
        self.alone, self.word = rule.alone, _word(rule)
        self.validator = rule.validator
        self.accepts = _validator(rule.validator) if rule.validator else _whole
        self.beforehand = BEFOREHAND.get(rule.validator)
        self.later = rule.validator in OF_LENGTH and rule.score < LEAST_SCORE  # words are cheaper than check digits
        self.alike: tuple[_Judge, ...] = ()  # where it stands for them: those to ask once a word is near
        self.words = rule.context
        self.words_of: Callable[[bytes, bytes], Sequence[int]] = _unheard
        at_its_sides = (rule.not_before, rule.not_after, self.alone, self.word)
        self.beside = at_its_sides if self.later else self.beforehand
        self.context = near_by(any_word(rule.context))
        self.against = near_by(any_word(rule.against))
        self.not_before = near_by(f"(?:{rule.not_before})$" if rule.not_before else "")
        self.not_after = near_by(f"^(?:{rule.not_after})" if rule.not_after else "")
        self.blocked = _blocked(rule.not_before)
        self.plain = not (self.context or self.against)
        lower = rule.score - LIFT
        self.scores = (_with_context(rule.score), _with_context(lower))  # without and with a word against it
        self.sure = self.scores[self.against is not None][0] >= LEAST_SCORE

    def open(self, left: bytes, first: int, value: bytes, right: bytes, parts: Parts) -> Parts:
        """The parts that are no piece of a longer word, number or token. `first`: the first byte of the match."""
        if left:
            if left[-1] in self.blocked or (self.alone and left[-1] in self.word and first in _WORD):
                return ()
            if self.not_before and self.not_before(left):
                return ()
        if len(parts) == 1:
            return parts if self._ends(value, parts[0][1], right) else ()
        return tuple(part for part in parts if self._ends(value, part[1], right))

    def _ends(self, value: bytes, end: int, right: bytes) -> bool:
        after = (value[end : end + BESIDE_AFTER] + right)[:BESIDE_AFTER] if end < len(value) else right
        if after and after[0] in self.word and value[end - 1] in _WORD:
            return False
        return not (self.not_after and self.not_after(after))

    def may_hold(self, value: bytes) -> bool:
        return self.beforehand is None or self.beforehand(value)

    def spoken(self, left: bytes, right: bytes) -> bool:
        """Whether a word near by speaks for it."""
        return self.context is not None and (self.context(left) or self.context(right))

    def score(self, left: bytes, right: bytes, spoken: bool = True) -> float:
        """By the words before the match and behind the part; not `spoken`: there is none that speaks for it."""
        alone, near = self.scores[self.against is not None and self.against(left[-AGAINST:])]
        if alone < LEAST_SCORE and spoken and self.spoken(left, right):
            return near  # looked for only where it decides: half of the time goes there
        return alone


def _with_context(score: float) -> tuple[float, float]:
    """A score without and with a word near by that speaks for the candidate."""
    return min(round(score, 3), 1.0), min(round(score + LIFT, 3), 1.0)


def _word(rule: Rule) -> frozenset[int]:
    """The bytes that make what they stand beside a piece of a longer word."""
    return _WORD - frozenset(rule.glued.encode())


def _unheard(*beside: bytes) -> tuple[int, ...]:
    """No word, of no rule."""
    return ()


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
def _blocked(not_before: str) -> frozenset[int]:
    """The bytes that alone decide: whatever stands before them, the pattern matches. Most candidates end here."""
    if not not_before or "\\b" in not_before or "^" in not_before.replace("[^", ""):
        return frozenset()
    ends = searcher(f"(?:{not_before})$")
    return frozenset(byte for byte in range(ROW_END) if ends(bytes((byte,))))
