"""Shapes of exports that no other test shows: odd indexes, threads over several files, subtypes by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dataforge.errors import ConfigError
from dataforge.operators.instruct import Instruct
from dataforge.operators.slack_users import people_of
from dataforge.schemas.conversation import CONVERSATION
from tests.operators.slack_reading import CHANNELS, USERS, Reading, export, message, one_day, read
from tests.operators.slack_talking import ACTED, act_of, conversations

# Slack's own names, so that none falls out of the table unseen.
PEOPLE_AND_EVENTS = [f"{kind}_{what}" for kind in ("channel", "group") for what in ("join", "leave", "topic", "purpose")]
PEOPLE_AND_EVENTS += [f"{kind}_{what}" for kind in ("channel", "group") for what in ("name", "archive", "unarchive")]
_MORE = "channel_posting_permissions group_posting_permissions channel_canvas_updated pinned_item unpinned_item"
PEOPLE_AND_EVENTS += [*_MORE.split(), "joiner_notification", "app_conversation_leave"]
_MACHINE = """
bot_add bot_remove bot_enable bot_disable reminder_add slackbot_response huddle_thread sh_room_created tabbed_canvas_updated
document_comment_root file_mention ekm_access_denied
"""


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAFORGE_TEST_KEY", "0123456789abcdef0123456789abcdef")


def test_the_fate_of_every_subtype_by_name(tmp_path: Path) -> None:
    fates = dict.fromkeys(PEOPLE_AND_EVENTS, "channel_event") | dict.fromkeys(_MACHINE.split(), "machine")
    fates |= {"tombstone": "deleted", "message_deleted": "deleted", "bot_message": "bot"}
    kept = ["", "me_message", "thread_broadcast", "reply_broadcast", "file_share"]
    names = [*fates, *kept, "brand_new"]
    rows = [message(f"17000000{at:02d}.000000", subtype=name) for at, name in enumerate(names)]
    found = read(one_day(tmp_path, *rows))
    assert {row["detail"]: row["reason"] for row in found.dropped} == fates
    assert [row["subtype"] or "" for row in found.kept] == kept and len(found.quarantined) == 1


def talk_of(found: Reading) -> list[dict[str, Any]]:
    rows = [row | {"act": act_of(row["text"])} for row in found.kept]
    assert pa.Table.from_pylist(rows, schema=ACTED).num_rows == len(rows)
    return conversations(*rows)


ROOT = message("1700000000.000100", text="Why is the build red?", thread_ts="1700000000.000100", reply_count=2)
REPLY = message("1700090000.000000", "U2", "The cache is full, clear it.", thread_ts=ROOT["ts"], parent_user_id="U1")
BROADCAST = message(
    "1700190000.000000", "U2", "It is green again.", thread_ts=ROOT["ts"], subtype="thread_broadcast", root=ROOT
)


def test_a_thread_over_several_days_in_any_order_is_one_conversation_and_a_broadcast_one_message(tmp_path: Path) -> None:
    days = {"2023-11-15": [BROADCAST, REPLY], "2023-11-14": [BROADCAST, ROOT], "2023-11-17": [BROADCAST]}
    files = {f"general/{day}.json": rows for day, rows in days.items()}
    found = read(export(tmp_path, files | {"users.json": USERS, "channels.json": CHANNELS}))
    assert len(found.kept) == 5 and len({row["id"] for row in found.kept}) == 3  # the ingest by id joins the copies
    found.kept = list({row["id"]: row for row in found.kept}.values())
    (thread,) = talk_of(found)
    assert [turn["text"] for turn in thread["turns"]] == [ROOT["text"], REPLY["text"], BROADCAST["text"]]
    assert not thread["orphan"] and not thread["incomplete"]


def test_a_thread_whose_question_came_from_another_company_gives_no_pair(tmp_path: Path) -> None:
    old_reply = {name: value for name, value in REPLY.items() if name != "parent_user_id"}
    for at, reply in enumerate((REPLY | {"parent_user_id": "UX"}, old_reply)):
        found = read(one_day(tmp_path / str(at), ROOT | {"user": "UX"}, reply))
        assert found.reasons["external"] == 1
        batch = pa.Table.from_pylist(talk_of(found), schema=CONVERSATION).combine_chunks().to_batches()
        assert sum(Instruct().start(())(rows).kept.num_rows for rows in batch) == 0


def test_a_deleted_question_leaves_a_gap_and_no_pair(tmp_path: Path) -> None:
    gone = {"type": "message", "subtype": "tombstone", "user": "USLACKBOT", "text": "This message was deleted."}
    found = read(one_day(tmp_path, gone | {"ts": ROOT["ts"], "thread_ts": ROOT["ts"]}, REPLY))
    (thread,) = talk_of(found)
    assert thread["orphan"] and found.reasons == {"deleted": 1}


def test_flags_of_a_channel_outweigh_the_index_file_and_a_missing_name(tmp_path: Path) -> None:
    listed = [
        {"id": "C1", "name": "general"},
        {"id": "D00000001", "is_im": True},
        {"id": "C3", "name": "mpdm-zelda--will-1", "is_mpim": True},
        {"id": "C4", "name": "plans", "is_private": True},
        {"id": "C5", "name": "empty"},
    ]
    folders = ("general", "D00000001", "mpdm-zelda--will-1", "plans")
    files = {f"{folder}/2024-01-01.json": [message(text=f"in {folder[:1]}")] for folder in folders}
    source = export(tmp_path, files | {"users.json": USERS, "channels.json": listed})
    assert read(source).texts == ["in g"]
    assert source.skipped() == {"dm_not_read": 1, "group_dm_not_read": 1, "private_not_read": 1}


def test_grid_ids_and_ids_that_only_differ_in_case_are_people_of_their_own(tmp_path: Path) -> None:
    users = [*USERS, {"id": "W7", "name": "gridda", "team_id": "T2", "enterprise_user": {"teams": ["T1"]}, "profile": {}}]
    files = {"org_users.json": users, "channels.json": CHANNELS}
    rows = [message(user="W7", text="<@W7> and <@w7>"), message("1700000009.000000", "w7", "hello")]
    found = read(export(tmp_path, files | {"general/2024-01-01.json": rows}))
    first, second = found.kept
    assert first["text"] == f"@{first['user']} and @{second['user']}" and first["user"] != second["user"]


@pytest.mark.parametrize("wrong", [{"ts": 1700000000.5}, {"ts": "today"}, {"thread_ts": 5}, {"user": ["U1"]}, {"text": {}}])
def test_members_of_a_wrong_type_cost_one_row(tmp_path: Path, wrong: dict[str, Any]) -> None:
    found = read(one_day(tmp_path, message() | wrong, message("1700000009.000000", text="stays")))
    assert found.texts == ["stays"] and [row["code"] for row in found.quarantined] == ["SCHEMA"]


def test_two_people_who_would_get_one_pseudonym_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    people = people_of(USERS, key=b"0" * 16)
    monkeypatch.setattr("dataforge.operators.slack_users.letters", lambda key, message: "aaaaaaaaaa")
    people._pseudonyms.clear()
    people._taken.clear()
    people.pseudonym("U1")
    with pytest.raises(ConfigError, match="one pseudonym"):
        people.pseudonym("U2")
