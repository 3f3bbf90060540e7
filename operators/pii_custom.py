"""A user's own rules for personal data: a YAML file of the shape of `configs/pii/`, checked before anything runs.

`{STAFF_ID: {badge: {pattern: 'NW-\\d{6}', finds: [five, with «…»], skips: [five]}}}`. A kind may be new or one that is
known. Patterns are RE2 and bounded (pii_custom_patterns.py); messages name the place of an example, never its text.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataforge.errors import ConfigError
from dataforge.operators.pii_custom_patterns import check_patterns, check_together
from dataforge.operators.pii_finder import VALIDATORS, Finder
from dataforge.operators.pii_rules import Rule, expand, rules_from
from dataforge.operators.pii_scan import Scanner

LEAST_EXAMPLES = 5
MOST_DRAWN = 1000  # random characters of an example
_KIND = re.compile(r"[A-Z][A-Z0-9_]{1,39}")
_DRAWN = re.compile(r"\{[a-z]+(?:64)?:(\d+)\}")


def read_rules(path: Path) -> str:
    """The rules of a file as canonical JSON, so that a step's id follows what they say and not where they lie.

    Raises ConfigError for the first thing that is wrong, with file and key.
    """
    from dataforge.config_file import read_yaml

    text = json.dumps(read_yaml(path).values, sort_keys=True, ensure_ascii=False)
    rules = custom_rules(text, str(path))
    for rule in rules:
        check_patterns(rule, str(path))
    check_together(rules, str(path))
    for rule in rules:
        check(rule, str(path))
    return text


@functools.lru_cache(16)
def custom_rules(text: str, file: str = "") -> tuple[Rule, ...]:
    """The rules of `read_rules`, in the order of their names."""
    document = json.loads(text) if text else {}
    for kind, members in document.items():
        if not _KIND.fullmatch(kind):
            raise ConfigError("a kind is written like STAFF_ID", file=file, key=kind)
        if not isinstance(members, dict) or not all(isinstance(fields, dict) for fields in members.values()):
            raise ConfigError("rules by name are expected: {badge: {pattern: …}}", file=file, key=kind)
        for name, fields in members.items():
            _check_fields(fields, file, f"{kind}.{name}")
    return rules_from(document, file, any_kind=True)


def _check_fields(fields: dict[str, Any], file: str, key: str) -> None:
    for wanted in ("pattern", "finds", "skips"):
        if wanted not in fields:
            raise ConfigError(f"{wanted} is missing", file=file, key=key)
    for name, value in fields.items():
        if name in ("kind", "name"):
            raise ConfigError(f"unknown key of a rule: {name}; both stand above it", file=file, key=key)
        field = Rule.__dataclass_fields__.get(name)
        fits = {
            "str": isinstance(value, str),
            "float": isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1,
            "bool": isinstance(value, bool),
        }.get(str(field.type) if field else "", isinstance(value, list) and all(isinstance(v, str) for v in value))
        if field and not fits:
            raise ConfigError("wrong type of value", file=file, key=f"{key}.{name}")


def check(rule: Rule, file: str) -> None:
    """Compiles a rule and holds it against its own examples. Raises ConfigError."""
    key = f"{rule.kind}.{rule.name}"
    if rule.validator and rule.validator not in VALIDATORS:
        raise ConfigError(f"unknown validator, known are {', '.join(sorted(VALIDATORS))}", file=file, key=key)
    try:
        scanner = Scanner([Finder([rule])])
    except ConfigError as error:
        raise ConfigError(str(error).splitlines()[0], file=file, key=key) from None
    for name, examples in (("finds", rule.finds), ("skips", rule.skips)):
        if len(examples) < LEAST_EXAMPLES:
            raise ConfigError(f"{len(examples)} examples; at least {LEAST_EXAMPLES}", file=file, key=f"{key}.{name}")
        for at, example in enumerate(examples):
            _check_drawn(example, file, f"{key}.{name}[{at}]")
            _check_example(scanner, expand(example, at), name == "finds", file, f"{key}.{name}[{at}]")


def _check_drawn(example: str, file: str, key: str) -> None:
    counts = _DRAWN.findall(example)
    if any(len(count) > 4 for count in counts) or sum(map(int, counts)) > MOST_DRAWN:
        raise ConfigError(f"at most {MOST_DRAWN} random characters in an example", file=file, key=key)


def _check_example(scanner: Scanner, example: str, finds: bool, file: str, key: str) -> None:
    wanted: Sequence[bytes] = [part.split("»")[0].encode() for part in example.split("«")[1:]]
    if finds and not wanted:
        raise ConfigError("mark what must be found: «…»", file=file, key=key)
    data = example.replace("«", "").replace("»", "").encode()
    found = [data[one[0] : one[1]] for one in scanner.scan(data)]
    if finds and found != wanted:
        raise ConfigError(f"the rule finds {len(found)} places here, not just what «…» marks", file=file, key=key)
    if not finds and found:
        raise ConfigError("the rule finds something here that it must not", file=file, key=key)
