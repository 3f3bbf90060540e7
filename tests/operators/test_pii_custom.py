"""A user's own rules for personal data: read, checked against their own examples, found beside the others."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pyarrow as pa
import pytest

from dataforge.errors import ConfigError
from dataforge.operators.pii import FindPii
from dataforge.operators.pii_custom import read_rules

BADGE = """
STAFF_ID:
  badge:
    pattern: 'NW-\\d{6}'
    finds: ['«NW-123456»', 'badge «NW-000001», ok', '(«NW-999999»)', 'of «NW-100200».', '«NW-1{digit:5}» «NW-2{digit:5}»']
    skips: ['NW-12345', 'NW-1234567', 'XNW-123456', 'nw-123456', 'NW 123456']
"""


def rules(folder: Path, text: str) -> str:
    path = folder / "rules.yaml"
    path.write_text(text, "utf-8")
    return read_rules(path)


def test_a_kind_of_ones_own_is_found_beside_the_others(tmp_path: Path) -> None:
    scanner = FindPii(("EMAIL_ADDRESS",), rules=rules(tmp_path, BADGE)).scanner()
    [spans] = scanner.spans(pa.array(["a@example.com has NW-123456"])).to_pylist()
    assert [(s["start"], s["end"], s["kind"], s["rule"]) for s in spans] == [
        (0, 13, "EMAIL_ADDRESS", "email"),
        (18, 27, "STAFF_ID", "badge"),
    ]


def test_a_known_kind_may_get_more_rules_and_validators(tmp_path: Path) -> None:
    text = BADGE.replace("STAFF_ID", "CREDIT_CARD").replace("finds:", "score: 0.7\n    finds:")
    assert '"score": 0.7' in rules(tmp_path, text)


def test_the_rules_and_not_their_place_make_the_step(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert rules(tmp_path, BADGE) == rules(other, "# a comment\n" + BADGE)


@pytest.mark.parametrize(
    ("old", "new", "key", "what"),
    [
        ("«NW-123456»'", "NW-123456'", "STAFF_ID.badge.finds[0]", "mark what must be found"),
        ("«NW-123456»'", "«NW-12345»6'", "STAFF_ID.badge.finds[0]", "not just what"),
        ("'NW-12345',", "'NW-123456',", "STAFF_ID.badge.skips[0]", "must not"),
        ("'NW-12345', ", "", "STAFF_ID.badge.skips", "4 examples"),
        ("pattern: 'NW-", "pattern: '(?=x)NW-", "STAFF_ID.badge", "not a regular expression of RE2"),
        ("pattern:", "patern:", "STAFF_ID.badge", "pattern is missing"),
        ("finds:", "score: high\n    finds:", "STAFF_ID.badge.score", "wrong type"),
        ("finds:", "validator: magic\n    finds:", "STAFF_ID.badge", "unknown validator"),
        ("finds:", "colour: red\n    finds:", "STAFF_ID.badge", "unknown key"),
        ("STAFF_ID", "Staff id", "Staff id", "is written like"),
        ("finds:", "kind: X\n    finds:", "STAFF_ID.badge", "unknown key"),
        ("finds:", "trigger: '('\n    finds:", "STAFF_ID.badge.trigger", "not a regular expression of RE2"),
        ("'NW-\\d{6}'", "'x*'", "STAFF_ID.badge", "the empty string"),
        ("'NW-\\d{6}'", "'(?:NW-)(?P<n>\\d*)'", "STAFF_ID.badge", "the empty string"),
        ("'NW-\\d{6}'", "'NW-\\d|a[ab]{900}c'", "STAFF_ID.badge", "its counts unfold to 8.. instructions"),
        ("'NW-\\d{6}'", "'NW-\\d+'\n    head: NW", "STAFF_ID.badge", "must have an end"),
        ("{digit:5}", "{digit:20000000}", "STAFF_ID.badge.finds[4]", "at most 1000"),
    ],
    ids=range(17),
)
def test_what_is_wrong_is_said_by_place_and_never_by_text(tmp_path: Path, old: str, new: str, key: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as raised:
        rules(tmp_path, BADGE.replace(old, new, 1))
    assert raised.value.key == key
    assert "123456" not in str(raised.value)


def test_rules_are_compiled_together_as_a_run_does(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    many = BADGE.splitlines()
    each = [line for at in range(5) for line in [f"  badge{at}:", *many[3:]]]
    text = "\n".join([*many[:2], *each]).replace("'NW-\\d{6}'", "'NW-\\d{6}|q{110}'")
    with pytest.raises(ConfigError, match=r"too large for RE2: .* by counts") as raised:
        rules(tmp_path, text)
    assert raised.value.file.endswith("rules.yaml") and "trigger" in raised.value.hint
    assert capfd.readouterr().err == ""


def test_groups_braces_and_classes_are_told_from_counts(tmp_path: Path) -> None:
    """What only looks like a group or a count is none."""
    pattern = r"'(?:NW-|[(x]{3}y|\{900}|\(z*\))(?P<n>\d{6})'"
    assert rules(tmp_path, BADGE.replace(r"'NW-\d{6}'", pattern).replace("«NW-", "NW-«"))


@pytest.mark.parametrize("pattern", ["a[ab]{120}c", "a.{0,60}b.{0,60}c"])
def test_counts_that_are_allowed_cost_little_on_the_worst_text(pattern: str) -> None:
    """An automaton of these has a new state for nearly every byte: 3 to 14 s/MB if RE2 went on building it."""
    rule = {"pattern": pattern, "alone": False, "finds": [], "skips": []}
    scanner = FindPii(("EMAIL_ADDRESS",), rules=json.dumps({"MINE": {"x": rule}})).scanner()
    letters = "".join(random.Random(1).choices("ab", k=200_000))
    start = time.process_time()
    [none, one] = scanner.spans(pa.array([letters, letters[-200:] + "c"])).to_pylist()
    assert time.process_time() - start < 0.8  # measured 0.14 and 0.26
    assert none == [] and [span["kind"] for span in one] == ["MINE"]
