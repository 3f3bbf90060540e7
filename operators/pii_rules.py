"""Finding rules as data: the files of `configs/pii/`, read, checked and compiled for RE2.

A rule is a regular expression over UTF-8 bytes with what makes its matches likely or unlikely: a validator, words near
by that raise or lower its score, a trigger without which it need not be tried. Each carries at least five strings it
must find (`«…»` marks the span) and five it must not; tests check all of them.
"""

from __future__ import annotations

import functools
import importlib.resources
import random
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataforge.errors import ConfigError

RULE_FILES = ("secrets", "national", "structured", "context")  # of rules with one pattern the first that accepts wins
KINDS = (
    "SECRET", "EMAIL_ADDRESS", "IBAN_CODE", "CREDIT_CARD", "CRYPTO", "US_SSN", "NATIONAL_ID", "MAC_ADDRESS",
    "IP_ADDRESS", "PHONE_NUMBER", "URL", "DATE_OF_BIRTH", "STREET_ADDRESS", "PERSON", "ORGANIZATION", "LOCATION",
)  # fmt: skip  # their order is their priority where spans of equal length overlap

ALPHABETS = {
    "alnum": string.ascii_letters + string.digits,
    "upper": string.ascii_uppercase + string.digits,
    "lower": string.ascii_lowercase + string.digits,
    "hex": "0123456789abcdef",
    "digit": string.digits,
    "base64": string.ascii_letters + string.digits + "+/",
    "url64": string.ascii_letters + string.digits + "_-",
}


@dataclass(frozen=True)
class Rule:
    """One way to find one kind. `group` 1 of the pattern is the span if it has a group, else the whole match."""

    name: str
    kind: str
    pattern: str  # RE2 syntax, over bytes: a byte of a non-ASCII character is none of \\w, \\d, \\s
    finds: tuple[str, ...]
    skips: tuple[str, ...]
    score: float = 0.9  # before words near by are looked at; a span counts from 0.5
    trigger: str = ""  # a shorter pattern that every text with a find matches; all triggers are tried in one pass
    head: str = ""  # what every match begins with, for a pattern that counts: it is tried where this matches
    validator: str = ""  # a function of pii_validate: which part of the match is valid
    context: tuple[str, ...] = ()  # regular expressions of words near by that raise the score by `LIFT`
    against: tuple[str, ...] = ()  # … that lower it by `LIFT`
    alone: bool = True  # the match must not begin inside a longer word
    glued: str = ""  # letters, digits or `_` that end a word here, so that `key_AKIA…_old` hides nothing
    not_before: str = ""  # no match if what stands right before it matches
    not_after: str = ""


def rules_from(document: Mapping[str, Any], file: str, *, any_kind: bool = False) -> tuple[Rule, ...]:
    """The rules of one parsed file: `{kind: {name: {pattern, finds, skips, …}}}`. Unknown keys are errors."""
    rules = []
    for kind, members in document.items():
        if kind not in KINDS and not any_kind:
            raise ConfigError(f"unknown kind, one of {', '.join(KINDS)} is expected", file=file, key=kind)
        for name, fields in members.items():
            unknown = set(fields) - set(Rule.__dataclass_fields__)
            if unknown:
                raise ConfigError(f"unknown key of a rule: {sorted(unknown)[0]}", file=file, key=f"{kind}.{name}")
            plain = {k: _flat(v) if isinstance(v, list) else v for k, v in fields.items()}
            rules.append(Rule(name=name, kind=kind, **plain))
    return tuple(rules)


def _flat(values: Sequence[Any]) -> tuple[str, ...]:
    """A list may hold other lists (YAML aliases): `[*words, another]`."""
    return tuple(x for value in values for x in (_flat(value) if isinstance(value, list) else (value,)))


@functools.cache
def load_rules(file: str) -> tuple[Rule, ...]:
    """Rules of `configs/pii/{file}.yaml`, in the order of the file."""
    import yaml

    text = (importlib.resources.files("dataforge") / "configs" / "pii" / f"{file}.yaml").read_text("utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 10 times as fast where libyaml is there
    return rules_from(loader(text).get_single_data(), file)


MEMORY = 32 << 20  # bytes of a pattern and the states of its automaton
OWN_MEMORY = (
    2 << 20
)  # of a user's: RE2 goes on without an automaton where it is built anew all the time, 3 to 6 times as fast


def byte_options() -> Any:
    """Patterns over bytes, so that positions are byte positions and no input is invalid."""
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = MEMORY
    options.log_errors = False  # they would name patterns on stderr; what does not compile raises
    return options


def compile_bytes(pattern: str, memory: int = MEMORY) -> Any:
    import re2

    options = byte_options()
    options.max_mem = memory
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        raise ConfigError(f"not a regular expression of RE2: {error}", key="pattern") from None


Matches = Callable[[bytes, int, int], Sequence[tuple[int, int]]]


def matcher(pattern: str, head: str = "", memory: int = MEMORY) -> Matches:
    """`match(data, from, to)`: the spans of the next match and of its groups, (-1, -1) for none.

    Asks the compiled expression itself: the objects that the package wraps around each match cost more than the match.
    """
    import re2

    match, anchor = compile_bytes(pattern, memory)._regexp.Match, re2._Anchor
    if head:
        return _from_heads(matcher(head, memory=memory), functools.partial(match, anchor.ANCHOR_START))
    return functools.partial(match, anchor.UNANCHORED)


def _from_heads(head: Matches, whole: Matches) -> Matches:
    """The same matches, tried one place after another: an automaton that looks for a counted pattern everywhere has a
    state for each set of places where one may have begun, and builds them for as long as a text brings new ones.
    """

    def match(data: bytes, at: int, size: int) -> Sequence[tuple[int, int]]:
        while (begin := (spans := head(data, at, size))[0][0]) >= 0:
            spans = whole(data, begin, size)
            if spans[0][0] >= 0:
                return spans
            at = begin + 1
        return spans

    return match


def group(spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The span of a match with groups: that of the first one that is there (`Rule.pattern`)."""
    return next((span for span in spans[1:] if span[0] >= 0), spans[0])


def searcher(pattern: str) -> Callable[[bytes], bool]:
    """A function that tells whether the pattern is somewhere in a few bytes."""
    import re2

    match, anywhere = compile_bytes(pattern)._regexp.Match, re2._Anchor.UNANCHORED
    return lambda data: match(anywhere, data, 0, len(data))[0][0] >= 0


def any_of(patterns: Sequence[str]) -> Any:
    """All patterns in one automaton: `.Match(data)` gives the indexes of those that match somewhere, in one pass."""
    import re2

    together = re2.Set.SearchSet(byte_options())
    for pattern in patterns:
        together.Add(pattern.encode())
    together.Compile()
    return together


def any_word(patterns: Sequence[str]) -> str:
    """One case-blind pattern for words near by, "" for none. `^` and `$` mean right beside the match."""
    if not patterns:
        return ""
    beside = [pattern for pattern in patterns if pattern.startswith("^")]
    inside = [pattern for pattern in patterns if not pattern.startswith("^")]
    ascii_first = [pattern for pattern in inside if not _BEYOND_ASCII.match(pattern)]
    anywhere = [pattern for pattern in inside if _BEYOND_ASCII.match(pattern)]  # `\b` knows ASCII alone
    bounded = [rf"(?:\b|_|[\x80-\xfe])(?:{'|'.join(ascii_first)})"] if ascii_first else []
    return "(?i)" + "|".join([*bounded, *anywhere, *beside])


_BEYOND_ASCII = re.compile(r"(?:\(\?-?i:)?[^\x00-\x7f]")


def expand(example: str, seed: int) -> str:
    """Fills in random characters, so that no file of the project holds a string that looks like a live secret.

    `"ghp_{alnum:4}"` -> `"ghp_x8Qz"`.
    """
    draw = random.Random(seed)

    def fill(place: re.Match[str]) -> str:
        return "".join(draw.choices(ALPHABETS[place[1]], k=int(place[2])))

    return re.sub(r"\{(alnum|upper|lower|hex|digit|base64|url64):(\d+)\}", fill, example)
