"""Names of channels typed as plain text appear as a reference to a hidden channel does, known or not; numbers stay."""

from __future__ import annotations

import base64
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataforge.operators.slack_channel_names import ChannelNames
from tests.operators.slack_reading import CHANNELS, USERS, export, message, read

NAMES = ChannelNames(
    ["general", "x", "chancanary-acme", "privcanary-layoffs", "privcanary", "ops-1", "büro-münchen", "1984"]
)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("see #chancanary-acme, please", "see #channel, please"),
        ("#General and (#GENERAL).", "#channel and (#channel)."),
        ("#x #y #1234 #1984", "#channel #channel #1234 #channel"),
        ("_#general_ ＃general #general-talk", "_#channel_ #channel #channel"),
        ("page#general and C#x", "page#general and C#x"),
        ("in general, x", "in general, x"),
        ("ask in ChanCanary-Acme's thread", "ask in #channel's thread"),
        ("privcanary-layoffs_2024.xlsx", "#channel_2024.xlsx"),
        ("#old-chancanary-acme pre-chancanary-acme-", "#channel pre-#channel-"),
        ("page#old-chancanary-acme", "page#old-#channel"),
        ("privcanary ops-1", "privcanary ops-1"),
        ("drüben in büro-MÜNCHEN", "drüben in #channel"),
        ("run `cd chancanary-acme` # in `#chancanary-acme`", "run `cd chancanary-acme` # in `#channel`"),
        ("mail chancanary-acme@corp.test", "mail chancanary-acme@corp.test"),
    ],
)
def test_typed_names(text: str, hidden: str) -> None:
    assert NAMES.hide(text) == hidden


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("ask in #acme-merger, or (#Layoffs2024).", "ask in #channel, or (#channel)."),
        ("#équipe-secrète *#plan* >#x", "#channel *#channel* >#channel"),
        ("#open and #OPEN-", "#open and #OPEN-"),
        ("fixed #1234 and #12, color #ff8800 #fff", "fixed #1234 and #12, color #ff8800 #fff"),
        ("page.html#setup /#setup a=#b PR#x ##Setup C# # x", "page.html#setup /#setup a=#b PR#x ##Setup C# # x"),
        ("`#acme-merger` or `#include <x.h>` or\n```\n#define acme-merger\n```", None),
    ],
)
def test_typed_names_that_no_list_holds(text: str, hidden: str | None) -> None:
    expected = hidden if hidden is not None else text.replace("`#acme-merger`", "`#channel`")
    assert ChannelNames(shown=["open"]).hide(text) == expected


@given(st.text("abx-_ #1.,`", max_size=40))
def test_without_known_names_or_hash_and_twice_nothing_changes(text: str) -> None:
    names = ChannelNames(["x-1-ab", "b", "ab_ab_ab"])
    assert ChannelNames().hide(text.replace("#", "")) == text.replace("#", "")
    assert names.hide(names.hide(text)) == names.hide(text)


@pytest.mark.parametrize("listed", ["acme-merger-canary", "acme_merger_canary"])
@pytest.mark.parametrize("joint", list("-_.\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), ids=ascii)
def test_a_name_is_one_whatever_joins_its_parts(listed: str, joint: str) -> None:
    typed = joint.join(("acme", "Merger", "canary"))
    text = f"in {typed}. See #{typed}, {typed}_2024.pdf `#{typed}` `{typed}`"
    shown = f"in #channel. See #channel, #channel_2024.pdf `#channel` `{typed}`"
    assert ChannelNames([listed]).hide(text) == shown
    assert ChannelNames().hide(f"ask #{typed}.") == "ask #channel."


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("#general.Then #general\u2014then", "#channel.Then #channel\u2014then"),
        ("#open.Then #open\u2014then #open.acme-merger", "#open.Then #open\u2014then #open.#channel"),
        ("#1.2 #1234.See #fff.", "#1.2 #1234.See #fff."),
        ("release 1.2, e.g. acme.com", "release 1.2, e.g. acme.com"),
        ("https://acme-merger.example.org/x", "https://#channel.example.org/x"),
    ],
)
def test_a_point_or_a_dash_may_also_end_a_name(text: str, hidden: str) -> None:
    assert ChannelNames(["general", "acme-merger"], shown=["open"]).hide(text) == hidden


@pytest.mark.parametrize("listed", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
def test_a_name_is_one_however_its_accents_are_typed(listed: str, typed: str) -> None:
    names = ChannelNames([unicodedata.normalize(listed, "projekt-größe-canary")])
    text = unicodedata.normalize(typed, "in projekt-größe-canary #projekt-größe-canary `#projekt-größe-canary`")
    assert names.hide(text) == "in #channel #channel `#channel`"


def test_an_accent_that_composes_with_nothing_is_part_of_a_typed_name() -> None:
    assert ChannelNames().hide("#proj\u030cekt-x") == "#channel"
    assert ChannelNames(["acme-x1"]).hide("`#other o\u0308`") == "`#other o\u0308`"


@pytest.mark.parametrize("unit", ["#", "#-", "#a.", "a.a", "a\u2014", "a-", "help-", "＃a", "a@", "a.", "_", "#x ", "`#x"])
def test_a_megabyte_takes_less_than_a_few_seconds(unit: str) -> None:
    started = time.process_time()
    ChannelNames(["x", "help-desk", "a-a-a-a1"]).hide("help #" + unit * (1_000_000 // len(unit)))
    assert time.process_time() - started < 6  # under 2 s measured; a square law would take hours


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAFORGE_TEST_KEY", "0123456789abcdef0123456789abcdef")


GROUPS = [{"id": "G1", "name": "privcanary-layoffs", "is_private": True, "is_archived": True}]
LISTED = [*CHANNELS, {"id": "C2", "name": "chancanary-acme", "previous_names": ["oldcanary-acme"]}]
TOLD = (
    "#chancanary-acme #general <#C2|chancanary-acme> #oldcanary-acme #privcanary-layoffs privcanary-layoffs :canary-party:"
)


def workspace(folder: Path, row: Any, **options: Any) -> Any:
    files = {"users.json": USERS, "channels.json": LISTED, "groups.json": GROUPS, "general/2024-01-01.json": [row]}
    return read(export(folder, files, **options))


@pytest.mark.parametrize("form", ["text", "blocks", "attachment"])
def test_names_of_channels_read_or_not_never_come_out(tmp_path: Path, form: str) -> None:
    section = {
        "type": "rich_text_section",
        "elements": [{"type": "text", "text": TOLD.replace("<#C2|", "#").replace(">", "")}],
    }
    forms: dict[str, dict[str, Any]] = {
        "text": {"text": TOLD},
        "blocks": {"blocks": [{"type": "rich_text", "elements": [section]}]},
        "attachment": {"text": "", "attachments": [{"text": TOLD}]},
    }
    found = workspace(tmp_path, message(**forms[form]))
    assert found.texts == ["#channel #channel #channel #channel #channel #channel :emoji:"]
    assert "canary" not in str(found)


def test_kept_names_of_public_channels_stay_and_private_ones_do_not(tmp_path: Path) -> None:
    found = workspace(tmp_path, message(text="#general #chancanary-acme #privcanary-layoffs"), named=True)
    assert found.texts == ["#general #chancanary-acme #channel"]


def test_topics_are_events_and_rows_that_cannot_be_read_show_no_name(tmp_path: Path) -> None:
    topic = message(subtype="channel_topic", text="set the topic: #chancanary-acme", topic="for chancanary-acme")
    assert workspace(tmp_path / "a", topic).reasons == {"channel_event": 1}
    broken = message(subtype="odd", text="<#C1|general> <#C2|chancanary-acme> #privcanary-layoffs")
    (row,) = workspace(tmp_path / "b", broken).quarantined
    shown = base64.b64decode(row["raw"]).decode()
    assert "<#channel> <#channel> #channel" in shown and "canary" not in shown
