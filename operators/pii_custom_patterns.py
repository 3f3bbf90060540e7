"""Bounds of a user's own patterns for personal data, and that RE2 takes all of them together.

RE2 is linear in the text, but not in the pattern: `a[ab]{900}c` is an automaton of 2**900 states, built anew for nearly
every byte, at a cost of what the counts unfold to. So the counts of what is searched everywhere are bounded, and so is the
memory of a pattern (`OWN_MEMORY`): RE2 does without the automaton where that is full too often.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from dataforge.errors import ConfigError
from dataforge.operators.pii_rules import RULE_FILES, Rule, byte_options, load_rules

MOST_COUNTED = 128  # instructions of RE2 that counts add to a pattern: 1.3 seconds per MB at the worst measured
MOST_COUNTED_TOGETHER = 512
MOST_TOGETHER = 50_000  # instructions of all: far below where 32 MiB (`byte_options`) hold too few states to search with
MOST_GROUPS = 32  # that take a part of the match
_COUNT = re.compile(r"(\\(?:[pPx]\{[^}]*\}|.))|\{\d+(?:,\d*)?\}", re.DOTALL)
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]|\((?:\?P?<\w+>)?(?!\?)|\(|\)", re.DOTALL)
_ENDLESS = re.compile(r"[*+]|\{\d+,\}")
_EMPTY_PLACES = (b"", b"a", b" ", b"\n", b"-")  # what stands before a place where nothing is matched


def check_patterns(rule: Rule, file: str) -> None:
    """Compiles each pattern of a rule by itself. Raises ConfigError naming the first that is wrong, costly or empty."""
    key = f"{rule.kind}.{rule.name}"
    for name, pattern in _patterns(rule):
        _compiled(pattern, file, f"{key}.{name}" if name != "pattern" else key)
    groups = list(_groups(rule.pattern))
    if len(groups) > MOST_GROUPS:
        raise ConfigError(f"{len(groups)} groups; at most {MOST_GROUPS}", file=file, key=key, hint="group by (?:…)")
    for inside in (rule.pattern, *groups):
        if _matches_nothing(inside):
            what = "the pattern, or a (group) of it, also matches the empty string"
            raise ConfigError(what, file=file, key=key, hint="let it match one character at least; group by (?:…)")
    if rule.head and _ENDLESS.search(_TOKEN.sub("", rule.pattern)):  # tried at each head: quadratic
        what = "a pattern with a head must have an end"
        raise ConfigError(what, file=file, key=key, hint="write {1,100} for +, {0,100} for *, or leave head out")
    for pattern in _everywhere(rule):
        if (size := _counted(pattern, file, key)) > MOST_COUNTED:
            what = f"its counts unfold to {size} instructions of RE2; at most {MOST_COUNTED}, or some texts take minutes"
            raise ConfigError(what, file=file, key=key, hint="count less, write + for {1,900}, or set trigger and head")


def check_together(rules: Sequence[Rule], file: str) -> None:
    """All triggers with the built-in ones in one automaton, as a run has them. Raises ConfigError."""
    patterns = [_everywhere(rule)[0] for rule in rules]
    size = sum(_compiled(pattern, file, "").programsize for pattern in patterns)
    counted = sum(_counted(pattern, file, "") for pattern in patterns)
    if size > MOST_TOGETHER or counted > MOST_COUNTED_TOGETHER or not _fit(patterns):
        what = f"the rules together are too large for RE2: {size} instructions, {counted} of them by counts"
        hint = f"fewer or simpler rules, or a short trigger for each; at most {MOST_TOGETHER} and {MOST_COUNTED_TOGETHER}"
        raise ConfigError(what, file=file, hint=hint)


def _fit(patterns: Sequence[str]) -> bool:
    import re2

    known = [rule.trigger or rule.pattern for name in RULE_FILES for rule in load_rules(name)]
    together = re2.Set.SearchSet(_quiet())
    try:
        for pattern in (*known, *patterns):
            together.Add(pattern.encode())
        together.Compile()
    except re2.error:
        return False
    return True


def _patterns(rule: Rule) -> Iterator[tuple[str, str]]:
    yield "pattern", rule.pattern
    for name in ("trigger", "head", "not_before", "not_after"):
        yield name, getattr(rule, name)
    for name in ("context", "against"):
        yield from ((f"{name}[{at}]", pattern) for at, pattern in enumerate(getattr(rule, name)))


def _everywhere(rule: Rule) -> tuple[str, str]:
    """What is searched in every text, and what is searched in those where that is found."""
    return rule.trigger or rule.pattern, rule.head or rule.pattern


def _quiet() -> Any:
    """RE2 would write the pattern to stderr."""
    options = byte_options()
    options.log_errors = False
    return options


def _compiled(pattern: str, file: str, key: str) -> Any:
    import re2

    try:
        return re2.compile(pattern.encode(), _quiet())
    except re2.error as error:
        what = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
        raise ConfigError(f"not a regular expression of RE2: {what}", file=file, key=key) from None


def _counted(pattern: str, file: str, key: str) -> int:
    """By how many instructions the counts (`{900}`) make a pattern larger."""
    size = int(_compiled(pattern, file, key).programsize)
    try:
        return size - int(_compiled(_COUNT.sub(lambda found: found[1] or "", pattern), file, key).programsize)
    except ConfigError:  # a brace that was none of a count
        return size


def _groups(pattern: str) -> Iterator[str]:
    """What stands in each pair of parentheses of which the span is taken."""
    opened: list[tuple[int, bool]] = []
    for token in _TOKEN.finditer(pattern):
        if token[0].startswith("("):
            captures = token[0] != "(" or pattern[token.end() : token.end() + 1] != "?"
            opened.append((token.end(), captures))
        elif token[0] == ")" and opened:
            begin, captures = opened.pop()
            if captures:
                yield pattern[begin : token.start()]


def _matches_nothing(pattern: str) -> bool:
    import re2

    try:
        match = re2.compile(f"(?:{pattern})".encode(), _quiet())._regexp.Match
    except re2.error:  # a piece that means nothing by itself is left to the examples
        return False
    return any(match(re2._Anchor.ANCHOR_BOTH, left, len(left), len(left))[0][0] >= 0 for left in _EMPTY_PLACES)
