"""Every reason for which a row is left out has a sentence, none is told that nobody gives, and all places tell it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataforge.errors import ConfigError
from dataforge.flows.config import load_config
from dataforge.flows.repeats import UNITS
from dataforge.operators.instruct_empty_words import TRIGGERS
from dataforge.operators.instruct_fillers import FILLERS
from dataforge.operators.quality import presets, rules_of
from dataforge.operators.slack_subtypes import DROPPED_BY_SUBTYPE
from dataforge.reasons import explained, reasons
from dataforge.trace_text import trace_text
from tests.flows.demo import small_config
from tests.flows.reasons_page import PAGE, page

ROOT = Path(__file__).parent.parent.parent
SAYS_WHY = ("_unwanted", "_pairs", "reason_against")  # functions that return a reason
CALLS = ("Left", "Unwanted")  # made with a reason
JOINED = "binary_join_element_wise"  # puts a reason together: one of
NAMED_BY_PARTS = {"exact_duplicate", "near_duplicate", "repeated_runs", *(f"repeated_{unit}" for unit in UNITS.values())}


def literal_reasons(file: Path) -> Iterator[str]:
    """Strings that stand where a reason is expected."""
    for node in ast.walk(ast.parse(file.read_text())):
        places: list[ast.AST] = []
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            places = [v for k, v in pairs if isinstance(k, ast.Constant) and k.value == "reason"]
            places = [part for v in places for part in (v.args if isinstance(v, ast.Call) else [v])]
            places = [part for part in places if getattr(getattr(part, "func", None), "attr", "") != JOINED]
            places = [arg for part in places for arg in (part.args[1:] if isinstance(part, ast.Call) else [part])]
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("reason", "nothing"):
            places = [node.value.body, node.value.orelse] if isinstance(node.value, ast.IfExp) else [node.value]
        elif isinstance(node, ast.FunctionDef) and node.name in SAYS_WHY:
            returned = [r.value for r in ast.walk(node) if isinstance(r, ast.Return) and r.value]
            returned = [part for v in returned for part in (v.elts if isinstance(v, ast.Tuple) else [v])]
            places = [part for v in returned for part in ([v.body, v.orelse] if isinstance(v, ast.IfExp) else [v])]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in CALLS:
            places = [part for arg in node.args for part in (arg.values if isinstance(arg, ast.IfExp) else [arg])]
        elif isinstance(node, ast.Tuple) and len(node.elts) > 3 and file.name == "select.py":
            places = [node.elts[1]] if isinstance(node.elts[0], ast.Name) else []  # (mask or id, reason, score, …)
        for place in places:
            if isinstance(place, ast.Constant) and isinstance(place.value, str) and place.value.isidentifier():
                yield place.value


def given() -> set[str]:
    """All that an operator of the project can give."""
    found = {reason for file in (ROOT / "operators").glob("*.py") for reason in literal_reasons(file)} - {"id", "reason"}
    rules = {rule.reason for preset in presets() for rule in rules_of(preset).rules}
    told = {*DROPPED_BY_SUBTYPE.values(), *FILLERS, *TRIGGERS}
    return found | rules | told | NAMED_BY_PARTS | {"near_duplicate_of_earlier"}


def test_every_reason_has_a_sentence() -> None:
    assert given() - reasons() == set()


def test_no_sentence_is_told_of_a_reason_that_nobody_gives() -> None:
    text = "".join(file.read_text() for file in (ROOT / "operators").glob("*.py"))
    assert {reason for reason in reasons() - given() if f'"{reason}"' not in text} == set()


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.flows.reasons_page"


def test_trace_tells_the_sentence() -> None:
    step = {"id": "a", "of": "row", "step": "corpus/selected", "event": "dropped", "reason": "too_few_words"}
    document = {"id": "a", "steps": [step], "published": [], "fate": "dropped"}
    assert explained("too_few_words") in trace_text(document) and explained("mine") == ""


@pytest.mark.parametrize("kind", ["lists", "models"])
@pytest.mark.parametrize("name", ["near_duplicate", "personal_data", "too_few_words"])
def test_a_list_cannot_take_the_name_of_a_reason(tmp_path: Path, kind: str, name: str) -> None:
    quality = f"{{{kind}: {{{name}: {{path: words.txt, {'max_per_1000' if kind == 'lists' else 'max_score'}: 0.5}}}}}}"
    with pytest.raises(ConfigError) as raised:
        load_config(small_config(tmp_path, [], quality=quality))
    assert any("is a reason of its own already" in line for line in raised.value.details)
