"""Every rule file: each rule finds its true strings, exactly, and none of its false ones."""

import re

import pytest

from dataforge.errors import ConfigError
from dataforge.operators.pii_finder import Finder
from dataforge.operators.pii_rules import RULE_FILES, Rule, expand, load_rules, rules_from
from dataforge.operators.pii_scan import Scanner

RULES = [rule for file in RULE_FILES for rule in load_rules(file)]
SEEDS = range(20)


def found_by(rule: Rule, text: str) -> list[str]:
    """Through the rule's trigger: a true string that does not trigger its rule is a mistake of the rule."""
    data = text.encode()
    return [data[found[0] : found[1]].decode() for found in Scanner([Finder([rule])]).scan(data)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_ships_with_five_true_and_five_false_strings(rule: Rule) -> None:
    assert len(rule.finds) >= 5 and len(rule.skips) >= 5
    assert all("«" in example and "»" in example for example in rule.finds)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_finds_its_true_strings_and_nothing_else_in_them(rule: Rule) -> None:
    for example in rule.finds:
        for seed in SEEDS if "{" in example else SEEDS[:1]:
            text = expand(example, seed)
            expected = [part.split("»")[0] for part in text.split("«")[1:]]
            assert found_by(rule, text.replace("«", "").replace("»", "")) == expected, example


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_finds_nothing_in_its_false_strings(rule: Rule) -> None:
    for example in rule.skips:
        for seed in SEEDS if "{" in example else SEEDS[:1]:
            assert found_by(rule, expand(example, seed)) == [], example


def test_rule_names_are_unique() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_an_unknown_key_of_a_rule_is_an_error() -> None:
    with pytest.raises(ConfigError, match="unknown key of a rule: regex"):
        rules_from({"SECRET": {"x": {"regex": "a", "finds": [], "skips": []}}}, "mine")


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(ConfigError, match="unknown kind"):
        rules_from({"SECRETS": {}}, "mine")


def test_a_pattern_that_re2_refuses_is_an_error() -> None:
    with pytest.raises(ConfigError, match="not a regular expression"):
        Finder([Rule("x", "SECRET", r"(?=a)", (), ())])


def test_word_characters_of_a_pattern_are_ascii() -> None:
    assert found_by(Rule("x", "SECRET", r"\w{3}", (), ()), "é abc é") == ["abc"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_character_class_holds_a_character_of_several_bytes(rule: Rule) -> None:
    """Patterns are over bytes: in a class such a character would be any of its bytes."""
    for pattern in (rule.pattern, rule.trigger, rule.not_before, rule.not_after, *rule.context, *rule.against):
        assert not re.search(r"\[[^\]]*[^\x00-\x7f]", pattern), pattern
