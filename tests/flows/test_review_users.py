"""`review user`: who gets in, and that no role changes by the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.flows.calling import Call, Said, call
from tests.flows.demo import small_config


@pytest.fixture
def user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    config = small_config(tmp_path / "c", [b'{"id": "1", "text": "a row"}'])
    return lambda *words: call("review", "user", config, *words, "--json", capsys=capsys)


def roles(user: Call) -> dict[str, Any]:
    return {account["name"]: account["role"] for account in user("list").document["users"]}


def mistake(said: Said) -> bool:
    return (said.code, said.error["code"]) == (2, "CONFIG")


@pytest.mark.parametrize("again", [(), ("--role", "lead"), ("--role", "annotator")], ids=["plain", "lead", "annotator"])
@pytest.mark.parametrize("role", ["annotator", "lead"])
def test_adding_a_known_name_is_a_mistake_and_leaves_its_role(user: Call, role: str, again: tuple[str, ...]) -> None:
    assert user("add", "lea", "--role", role).code == 0
    said = user("add", "lea", *again)
    assert mistake(said) and ".yaml role NAME ROLE" in said.error["hint"] and "CONFIG" not in said.error["hint"]
    assert roles(user) == {"lea": role}


def test_a_role_changes_by_its_own_command(user: Call) -> None:
    user("add", "lea")
    assert user("role", "lea", "lead").document == {"schema": 1, "name": "lea", "role": "lead"}
    assert roles(user) == {"lea": "lead"}


@pytest.mark.parametrize(
    "words",
    ["role lea", "role lea king", "role nobody lead", "add lea lead", "add", "make lea", "add a/b", "add bo --role king"],
)
def test_other_mistakes_end_in_two_and_change_nothing(user: Call, words: str) -> None:
    user("add", "lea")
    assert mistake(user(*words.split()))
    assert roles(user) == {"lea": "annotator"}
