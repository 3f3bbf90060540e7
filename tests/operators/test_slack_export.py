"""Exports of every shape: each message ends in exactly one row, people under one pseudonym, nothing secret anywhere."""

import base64
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.errors import ArchiveError, CorruptError, InputError, SecretError
from dataforge.operators.slack_channels import channels_of
from dataforge.operators.slack_decode import count_elements
from dataforge.operators.slack_export import SlackExport
from dataforge.operators.slack_message import MessageReader, MessageRules
from dataforge.operators.slack_subtypes import DROPPED_BY_SUBTYPE
from dataforge.operators.slack_users import people_of
from tests.operators.slack_reading import CHANNELS, KEY, USERS, export, message, one_day, read
from tests.slack_workspace import CANARIES, Workspace


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("DATAFORGE_TEST_KEY", "0123456789abcdef0123")


@pytest.mark.parametrize("old", [True, False])
def test_every_message_of_a_generated_export_ends_in_exactly_one_row(tmp_path, old):
    path = Workspace(seed=3, messages=1000, old=old, hostile_rows=True).write_zip(tmp_path / "export.zip")
    found = read(SlackExport("chat", str(path), KEY))
    assert len(found.kept) + len(found.dropped) + len(found.quarantined) == found.counted == 1000
    assert len({row["id"] for row in found.kept}) == len(found.kept)


def test_a_zip_its_folder_and_a_nested_zip_are_the_same_input(tmp_path):
    workspace = {"seed": 4, "messages": 300}
    paths = [
        Workspace(**workspace).write_zip(tmp_path / "a.zip"),
        Workspace(**workspace).write_folder(tmp_path / "folder"),
        Workspace(**workspace).write_zip(tmp_path / "b.zip", prefix="export/"),
    ]
    sources = [SlackExport("chat", str(path), KEY) for path in paths]
    readings = [read(source) for source in sources]
    assert sources[0].digest() == sources[1].digest()
    assert readings[0] == readings[1] == readings[2]


def test_no_canary_is_in_any_row_dropped_quarantined_or_kept(tmp_path):
    found = read(
        SlackExport("chat", str(Workspace(seed=5, messages=3000, hostile_rows=True).write_zip(tmp_path / "a.zip")), KEY)
    )
    raw = [base64.b64decode(row["raw"]).decode() for row in found.quarantined]
    everything = json.dumps([found.kept, found.dropped, found.quarantined, raw], default=str).lower()
    for canary in [*CANARIES, "canarina", "vogelsang", "xoxe-", "xoxb-"]:
        assert canary.lower() not in everything


@pytest.mark.parametrize("subtype", sorted(DROPPED_BY_SUBTYPE))
def test_each_unwanted_subtype_is_dropped_for_its_reason(tmp_path, subtype):
    found = read(one_day(tmp_path, message(subtype=subtype), message("1700000001.000000")))
    assert [(row["reason"], row["detail"]) for row in found.dropped] == [(DROPPED_BY_SUBTYPE[subtype], subtype)]
    assert found.texts == ["hello there"]


def test_rows_that_cannot_be_read_are_quarantined_with_their_place_and_the_others_stay(tmp_path):
    rows = [
        '{"type":"message","ts":"1.000001","user":"U1","text":"one"}',
        '{"type":"message","ts":"1.000002","user":"U1","text":"\\ud800"}',
        '{"type":"message","ts":"1.000003","user":"U1","text":"a","text":"b"}',
        '{"type":"message","user":"U1","text":"no ts"}',
        '{"type":"message","ts":5.5,"user":"U1","text":"float"}',
        '{"type":"message","ts":"1.000004","user":"U1","text":"x","subtype":"brand_new"}',
        '"just a string"',
        '{"type":"message","ts":"1.000005","user":"U1","text":"two"}',
        '{"subtype":"message_changed","ts":"1.000006","text":"no target"}',
    ]
    raw = ("[" + ",\n".join(rows) + "]").encode()
    source = export(tmp_path, {"users.json": USERS, "channels.json": CHANNELS, "general/2024-01-01.json": raw})
    found = read(source)
    assert found.texts == ["one", "two"]
    assert [(row["line"], row["code"]) for row in found.quarantined] == [
        (2, "ENCODING"),
        (3, "SCHEMA"),
        (4, "SCHEMA"),
        (5, "SCHEMA"),
        (6, "SCHEMA"),
        (7, "SCHEMA"),
        (9, "SCHEMA"),
    ]
    assert all(row["file"] == "C1/2024-01-01.json" for row in found.quarantined)


def test_a_bad_byte_costs_one_row(tmp_path):
    raw = b'[{"ts":"1.000001","user":"U1","text":"one"},{"ts":"1.000002","user":"U1","text":"\xff"}]'
    found = read(export(tmp_path, {"users.json": USERS, "channels.json": CHANNELS, "general/2024-01-01.json": raw}))
    assert (found.texts, [row["code"] for row in found.quarantined]) == (["one"], ["ENCODING"])


@pytest.mark.parametrize("raw", [b"not json", b"{}", b'[{"ts": "1.1"', b"", b"[] []"])
def test_a_day_file_that_is_no_list_is_a_bad_file(tmp_path, raw):
    source = export(tmp_path, {"channels.json": CHANNELS, "general/2024-01-01.json": raw})
    with pytest.raises(CorruptError, match=r"C1/2024-01-01\.json"):
        read(source)


def test_only_public_channels_are_opened_unless_each_other_kind_is_switched_on(tmp_path):
    files = {
        "users.json": USERS,
        "channels.json": [*CHANNELS, {"id": "C2", "name": "hidden", "is_private": True}],
        "groups.json": [{"id": "G1", "name": "plans"}],
        "dms.json": [{"id": "D00000001"}],
        "mpims.json": [{"id": "G2", "name": "mpdm-zelda--will-1"}],
    }
    for at, folder in enumerate(("general", "hidden", "plans", "D00000001", "mpdm-zelda--will-1", "D99999999")):
        files[f"{folder}/2024-01-01.json"] = [message(f"170000000{at}.000000", text=f"words of {at}")]
    assert read(export(tmp_path, files)).texts == ["words of 0"]
    everything = export(tmp_path, files, private=True, dms=True, group_dms=True, named=True)
    found = read(everything)
    assert sorted(found.texts) == [f"words of {at}" for at in range(6)]
    assert sorted(row["channel"] == "general" for row in found.kept) == [False] * 5 + [True]
    names = " ".join(name for split in everything.splits() for name in split.files)
    assert "zelda" not in names and "D0000" not in names and "plans" not in names
    assert export(tmp_path, files).skipped() == {"dm_not_read": 2, "group_dm_not_read": 1, "private_not_read": 2}


def test_errors_of_an_archive_name_neither_people_nor_channels(tmp_path):
    import zipfile

    def zipped(name, *entries, broken=False):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("channels.json", json.dumps([{"id": "C1", "name": "layoffs"}]))
            for entry in entries:
                archive.writestr(entry, '[{"text": "some words"}]')
        raw = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(raw.replace(b"some words", b"same words") if broken else raw)
        return SlackExport("chat", str(tmp_path / name), KEY)

    with pytest.raises(ArchiveError, match=r"file=\(channel\)/2024-01-01\.json") as twins:
        zipped("a.zip", "mpdm-zelda--will-1/2024-01-01.json", "mpdm-Zelda--will-1/2024-01-01.json").digest()
    with pytest.raises(CorruptError, match=r"file=C1/2024-01-01\.json") as damaged:
        zipped("b.zip", "layoffs/2024-01-01.json", broken=True).digest()
    assert "elda" not in str(twins.value) and "layoffs" not in str(damaged.value)


@pytest.mark.parametrize(
    ("entries", "shown"),
    [
        (["takeover/2024-01-01.json", "Takeover/2024-01-01.json"], "file=(channel)/2024-01-01.json:"),
        (["corp/takeover/2024-01-01.json", "corp/takeover/2024-01-01.json"], "file=(channel)/2024-01-01.json:"),
        (["takeover/../2024-01-01.json"], "file=(channel)/2024-01-01.json:"),
        (["takeover/\x01.json"], "file=(folder)/(file):"),
        (["takeover/2024-01-01.json/plans.zip"], "file=(folder)/(file):"),
        (["takeover.zip"], "file=(file):"),
        (["takeover\\x.json"], "file=(file):"),
        (["users.json", "users.json"], "file=users.json:"),
        (["takeover/users.json", "takeover/users.json"], "file=(folder)/users.json:"),
        (["takeover/bomb.json"], "file=(folder)/(file):"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_that_is_refused_shows_no_folder(tmp_path, entries, shown):
    import zipfile

    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in entries:
            archive.writestr(entry, bytes(3 << 20) if "bomb" in entry else b"[]")
    with pytest.raises(ArchiveError) as refused:
        SlackExport("chat", str(tmp_path / "export.zip"), KEY).digest()
    assert shown in refused.value.line() and "akeover" not in refused.value.line()


MEMBERS = [
    {"id": "U000000AA", "team_id": "T1", "profile": {"real_name": "Zelda Vantongeren"}},
    {"id": "W000000AB", "team_id": "T1", "profile": {"real_name": "Will Haldorsen"}},
    {"id": "U1", "team_id": "T1", "profile": {}},
]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("U000000AA, @U000000AA; `grep U000000AA`", "{zelda}, @{zelda}; `grep {zelda}`"),
        ("x.slack.com/team/U000000AA?a=1 see log_U000000AA.txt", "x.slack.com/team/{zelda}?a=1 see log_{zelda}.txt"),
        ("/files/U000000AA/F1/a.png by @U1", "/files/{zelda}/F1/a.png by @{one}"),
        ("@U000000ZZ and /team/W000000ZZ", "@{foreign} and /team/{other}"),
        ("W000000AB @W000000AB", "user @user"),  # opted out
        ("u000000aa, @U000000aA, `u000000aa`", "{zelda}, @{zelda}, `{zelda}`"),
        ("x.org/%3C%40U000000AA%3E?by=%40U1", "x.org/%3C@{zelda}%3E?by=@{one}"),
        ("U0000\u200b00AA, ｕ000000ａａ, 100%, so\u00adft", "{zelda}, {zelda}, 100%, so\u00adft"),
        ("U000000ZZ U1 WINDOWS10 XU000000AA U000000AAB u000000zz u000000aab windows10x @UI /team/US", None),
    ],
)
def test_ids_of_people_in_a_text_become_their_pseudonyms(text, hidden):
    people = people_of(MEMBERS, key=b"k" * 16, opted_out=["W000000AB"])
    ids = {"zelda": "U000000AA", "one": "U1", "foreign": "U000000ZZ", "other": "W000000ZZ"}
    expected = hidden.format_map({name: people.pseudonym(user) for name, user in ids.items()}) if hidden else text
    assert people.hide_names(text) == expected


def test_a_typed_id_and_a_mention_are_the_same_person_and_rows_that_cannot_be_read_hold_no_id(tmp_path):
    rows = [message(text="<@U000000AA> U000000AA"), message("1700000001.000000", text="U000000AA", subtype="odd")]
    found = read(export(tmp_path, {"users.json": MEMBERS, "channels.json": CHANNELS, "general/2024-01-01.json": rows}))
    mention, typed = found.texts[0].split()
    assert mention == f"@{typed}" and "U000000AA" not in base64.b64decode(found.quarantined[0]["raw"]).decode()


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_rows_that_cannot_be_read_hold_no_name_however_it_is_escaped(tmp_path, levels):
    """`\\u00fc`, `\\/` and a surrogate pair, in the row itself and in JSON that it quotes."""
    users = [{"id": "U1", "team_id": "T1", "profile": {"real_name": "J\u00fcrgen M\u00fcllersch\u00f6n"}}]
    users += [{"id": "U2", "team_id": "T1", "profile": {"real_name": "Zelda \U00020000\U00020001 Vantongeren"}}]
    text = "ask J\u00fcrgen M\u00fcllersch\u00f6n, Zelda \U00020000\U00020001 Vantongeren, www.slack.com/team/U000000ZZ"
    for _ in range(levels):
        text = json.dumps(text).replace("/", "\\/")
    day = b"[" + json.dumps(message(subtype="odd", text=text)).replace("/", "\\/").encode() + b', {"ts": 1}, 7]'
    files = {"users.json": users, "channels.json": CHANNELS, "general/2024-01-01.json": day}
    raw = [base64.b64decode(row["raw"]).decode() for row in read(export(tmp_path, files)).quarantined]
    assert len(raw) == 3 and "subtype" in raw[0]
    for name in ("llersch", "Vantongeren", "00fc", "d840", "U000000ZZ"):
        assert name not in raw[0]


@pytest.mark.parametrize("start", range(16_370, 16_384, 3))
def test_a_long_row_that_cannot_be_read_is_cut_after_its_names_are_hidden(tmp_path, start):
    """Each letter escaped: what is shown of the row is a sixth of what was read of it."""
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in "Zelda Vantongeren")
    row = '{"subtype": "odd", "ts": "1.0", "text": "'
    blanks = "\\u0020" * ((start - len(row)) // 6 - 8)
    day = f'[{row}{blanks}{escaped} done" 7}}]'.encode()
    files = {"users.json": MEMBERS, "channels.json": CHANNELS, "general/2024-01-01.json": day}
    (bad,) = read(export(tmp_path, files)).quarantined
    shown = base64.b64decode(bad["raw"]).decode()
    assert "Z" not in shown and "\\u00" not in shown and " user_" in shown and len(shown) <= 4096


def test_a_name_cut_at_the_end_of_what_is_read_of_a_row_is_not_shown(tmp_path):
    row = '{"subtype": "odd", "ts": "1.0", "text": "'
    secret = "xoxb-" + "a" * (64 * 4096 - len(row) - len("xoxb- Zelda Vanton"))
    day = f'[{row}{secret} Zelda Vantongeren" 7}}]'.encode()
    files = {"users.json": MEMBERS, "channels.json": CHANNELS, "general/2024-01-01.json": day}
    (bad,) = read(export(tmp_path, files)).quarantined
    shown = base64.b64decode(bad["raw"]).decode()
    assert "Zelda" not in shown and "Vanton" not in shown and "aaa" not in shown


def test_an_archive_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "export.zip").write_bytes(b"no zip")
    with pytest.raises(CorruptError, match=r"file=export\.zip"):
        SlackExport("chat", str(tmp_path / "export.zip"), KEY).digest()


@pytest.mark.parametrize(
    ("subtype", "reason"),
    [
        ("brand_new", "subtype brand_new is not known"),
        ("canary-Zorkmid told Zelda", "a subtype that is not known"),
        ("a" * 33, "a subtype that is not known"),
        ("canary\n", "a subtype that is not known"),
    ],
)
def test_a_subtype_is_quoted_only_where_it_looks_like_one(tmp_path, subtype, reason):
    (row,) = read(one_day(tmp_path, message(subtype=subtype))).quarantined
    assert row["reason"] == reason


def test_channels_appear_under_pseudonyms_unless_names_are_kept(tmp_path):
    rows = [message(text="ask in <#C1|general>")]
    files = {"users.json": USERS, "channels.json": CHANNELS, "general/2024-01-01.json": rows, "odd/2024-01-01.json": rows}
    (listed, unlisted) = (hidden := read(export(tmp_path, files))).kept
    assert hidden.texts == ["ask in #channel"] * 2
    for row in (listed, unlisted):
        assert re.fullmatch("channel_[a-z2-7]{10}", row["channel"]) and "general" not in str(row) and "odd" not in str(row)
    named = read(export(tmp_path, files, named=True))
    assert named.texts == ["ask in #general"] * 2
    assert {row["channel"] for row in named.kept} == {"general", "odd"}
    assert {row["id"] for row in named.kept} == {row["id"] for row in hidden.kept}


def test_one_person_has_one_pseudonym_as_author_mention_name_handle_and_email(tmp_path):
    text = (
        "<@U1|z> zelda vantongeren, Zelda's, @zelda.v and <mailto:zelda@corp.test|zelda@corp.test>; Will will ask Will"
    )
    row = read(one_day(tmp_path, message(text=text, user="U1"), message("1700000001.000000", user="U2"))).kept
    zelda, will = row[0]["user"], row[1]["user"]
    assert row[0]["text"] == f"@{zelda} {zelda}, {zelda}'s, @{zelda} and {zelda}; Will will ask {will}"
    assert row[0]["mentions"] == [zelda]
    assert zelda.startswith("user_") and len(zelda) == 15


def test_handles_made_of_a_name_are_hidden_even_in_code_and_plain_words_are_not(tmp_path):
    users = [
        {"id": "U1", "name": "zvantongeren", "team_id": "T1", "profile": {"real_name": "Zelda Vantongeren"}},
        {"id": "U2", "name": "deploy", "team_id": "T1", "profile": {"real_name": "Will Haldorsen"}},
    ]
    rows = [message(text="```/home/zvantongeren/ deploy Zelda``` deploy for Zelda, @deploy")]
    source = export(tmp_path, {"users.json": users, "channels.json": CHANNELS, "general/2024-01-01.json": rows})
    zelda, will = map(source.people().pseudonym, ("U1", "U2"))
    assert read(source).texts == [f"```\n/home/{zelda}/ deploy Zelda\n```\ndeploy for {zelda}, @{will}"]


def test_another_key_gives_other_pseudonyms_and_another_digest(tmp_path, monkeypatch):
    source = one_day(tmp_path, message())
    before = source.digest(), read(source).kept[0]["user"]
    monkeypatch.setenv("DATAFORGE_TEST_KEY", "another key of length")
    after = source.digest(), read(source).kept[0]["user"]
    assert before[0] != after[0] and before[1] != after[1]


def test_a_literal_missing_or_short_key_is_refused(tmp_path, monkeypatch):
    source = one_day(tmp_path, message())
    for reference in ("0123456789abcdef0123", "env:NOT_THERE", "file:/none"):
        with pytest.raises(SecretError) as error:
            SlackExport("chat", source.path, reference).digest()
        assert "0123456789abcdef" not in str(error.value)


def test_people_who_opted_out_vanish_with_their_mentions_names_reactions_and_answers_to_them(tmp_path):
    rows = [
        message("1700000001.000000", user="U1", text="mine"),
        message("1700000002.000000", user="U2", text="answer", thread_ts="1700000001.000000", parent_user_id="U1"),
        message(
            "1700000003.000000",
            user="U2",
            text="ask <@U1> or Zelda Vantongeren",
            reactions=[
                {"name": "+1", "users": ["U1", "U2"], "count": 2},
                {"name": "tada", "users": ["U1"], "count": 1},
            ],
        ),
    ]
    found = read(one_day(tmp_path, *rows, opt_out_users=("U1",)))
    assert found.texts == ["ask @user or <PERSON>"]
    assert found.kept[0]["reactions"] == [{"name": "+1", "count": 1}] and found.kept[0]["mentions"] == []
    assert found.reasons == {"opt_out": 1, "opt_out_thread": 1}


def test_opted_out_channels_are_not_read_and_not_named(tmp_path):
    files = {"users.json": USERS, "channels.json": [*CHANNELS, {"id": "C2", "name": "quiet"}]}
    files |= {
        "general/2024-01-01.json": [message(text="see <#C2|quiet>")],
        "quiet/2024-01-01.json": [message(text="no")],
    }
    assert read(export(tmp_path, files, opt_out_channels=("quiet",))).texts == ["see #channel"]


def test_people_of_other_companies_are_left_out_unless_kept(tmp_path):
    rows = [
        message("1700000001.000000", user="UX", text="hi"),
        message("1700000002.000000", user="UNEW", user_team="T9", text="me too"),
        message("1700000003.000000", thread_ts="1700000001.000000", parent_user_id="UX", text="answer"),
        message("1700000004.000000", text="ours"),
    ]
    found = read(one_day(tmp_path, *rows))
    assert found.texts == ["ours"] and found.reasons == {"external": 2, "external_thread": 1}
    assert len(read(one_day(tmp_path, *rows, rules={"external": "keep"})).kept) == 4


def test_bots_are_told_by_more_than_their_bot_id(tmp_path):
    rows = [
        message("1700000001.000000", user="U1", bot_id="B1", text="upload by a person"),
        message("1700000002.000000", user="UB", text="red"),
        message("1700000003.000000", user="USLACKBOT", text="hint"),
        {
            "type": "message",
            "subtype": "bot_message",
            "bot_id": "B1",
            "text": "",
            "ts": "1700000004.000000",
            "attachments": [{"pretext": "Build", "text": "*red*"}],
        },
    ]
    assert read(one_day(tmp_path, *rows)).texts == ["upload by a person"]
    kept = read(one_day(tmp_path, *rows, rules={"bots": "keep"})).kept
    assert [row["text"] for row in kept] == ["upload by a person", "red", "hint", "Build\nred"]
    assert [row["is_bot"] for row in kept] == [False, True, True, True]


def test_only_a_persons_own_words_of_a_file_message_are_text(tmp_path):
    made = "<@U1> uploaded a file: <https://files.test/a?t=xoxe-1-2|Zelda.png>"
    rows = [
        message("1700000001.000000", subtype="file_share", text=made, file={"id": "F1"}),
        message(
            "1700000002.000000", subtype="file_share", text=made, file={"initial_comment": {"comment": "the error"}}
        ),
        {
            "subtype": "file_comment",
            "ts": "1700000003.000000",
            "text": "made",
            "comment": {"user": "U2", "comment": "I see"},
        },
        message("1700000004.000000", text="my words", files=[{"id": "F2"}, {"id": "F3"}]),
        message("1700000005.000000", text="", files=[{"id": "F2"}]),
    ]
    found = read(one_day(tmp_path, *rows))
    assert [(r["text"], r["n_files"]) for r in found.kept] == [("the error", 1), ("I see", 0), ("my words", 2)]
    assert found.reasons == {"empty": 2}


def test_blocks_come_before_text_and_text_before_attachments(tmp_path):
    block = {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "whole"}]}],
    }
    rows = [
        message("1700000001.000000", text="short", blocks=[block], attachments=[{"text": "other"}]),
        message("1700000002.000000", text="text", attachments=[{"text": "other"}]),
        message("1700000003.000000", text="", attachments=[{"text": "alert"}]),
        message("1700000004.000000", text="", attachments=[{"text": "preview", "from_url": "https://x.test"}]),
    ]
    found = read(one_day(tmp_path, *rows))
    assert [(r["text"], r["text_source"]) for r in found.kept] == [
        ("whole", "blocks"),
        ("text", "text"),
        ("alert", "attachments"),
    ]
    assert found.reasons == {"empty": 1}


def test_of_two_copies_the_newest_edit_has_the_larger_version_and_both_have_one_id(tmp_path):
    old, new = message(text="befor"), message(text="before", edited={"ts": "1700000099.000000"})
    grown = message(text="befor", reply_count=2, thread_ts="1700000000.000100")
    rows = read(one_day(tmp_path, old, new, grown)).kept
    assert len({row["id"] for row in rows}) == 1
    assert [r["text"] for r in sorted(rows, key=lambda row: row["version"])] == ["befor", "befor", "before"]


def test_a_changed_message_takes_the_place_of_its_target(tmp_path):
    target = message(text="now right", edited={"ts": "1700000099.000000"})
    event = {"type": "message", "subtype": "message_changed", "ts": "1700000100.000000", "message": target}
    rows = read(one_day(tmp_path, message(text="wrong"), event)).kept
    assert rows[0]["id"] == rows[1]["id"] and rows[1]["version"] > rows[0]["version"]


def test_reactions_are_counts_and_tell_whether_the_asker_was_helped(tmp_path):
    def answer(at, *names, users=("U1",)):
        listed = [{"name": name, "users": list(users), "count": len(users)} for name in names]
        return message(f"170000000{at}.000000", user="U2", thread_ts="1.000000", parent_user_id="U1", reactions=listed)

    rows = [
        answer(1, "+1"),
        answer(2, "+1", users=("U2",)),
        answer(3, "white_check_mark", users=("U2",)),
        answer(4, "x"),
        answer(5, "+1::skin-tone-2", "+1", "zelda-approves"),
    ]
    kept = read(one_day(tmp_path, *rows)).kept
    assert [(r["resolved"], r["disputed"]) for r in kept] == [
        (True, False),
        (False, False),
        (True, False),
        (False, True),
        (True, False),
    ]
    assert kept[4]["reactions"] == [{"name": "+1", "count": 2}, {"name": "custom", "count": 1}]


def test_without_a_member_list_ids_still_become_pseudonyms(tmp_path):
    source = export(tmp_path, {"general/2024-01-01.json": [message(text="hi <@U7>")]})
    row = read(source).kept[0]
    assert row["user"].startswith("user_") and row["text"] == f"hi @{row['mentions'][0]}"
    assert source.skipped() == {"folder_without_entry": 1, "users_missing": 1}
    assert read(source).notes == {"unknown_members": 1}


def test_enterprise_member_lists_and_junk_files_are_known(tmp_path):
    files = {"org_users.json": USERS, "channels.json": CHANNELS, "general/2024-01-01.json": [message(text="hi Zelda")]}
    files |= {"__MACOSX/._users.json": b"x", "general/.DS_Store": b"x", "general/attachments/a.zip": b"x"}
    files |= {"canvases.json": [], "general/canvas_in_the_conversation.json": []}
    source = export(tmp_path, files)
    assert read(source).texts == [f"hi {read(source).kept[0]['user']}"]
    assert source.skipped() == {"file_bodies": 1, "other_files": 2}


def test_text_exports_other_archives_and_missing_paths_are_refused(tmp_path):
    with pytest.raises(InputError, match="export as JSON"):
        export(tmp_path / "a", {"channels/general.txt": b"hi"}).digest()
    with pytest.raises(InputError, match="not a Slack export"):
        export(tmp_path / "b", {"readme.md": b"hi"}).digest()
    with pytest.raises(InputError):
        SlackExport("chat", str(tmp_path / "none.zip"), KEY).digest()
    with pytest.raises(ArchiveError):
        export(tmp_path / "c", {"channels.json": CHANNELS, "inner.zip": b"PK"}).digest()


def test_the_digest_follows_what_is_read_and_nothing_else(tmp_path):
    files = {"users.json": USERS, "channels.json": CHANNELS, "general/2024-01-01.json": [message()]}
    before = export(tmp_path, files).digest()
    assert export(tmp_path, {"canvases.json": [1]}).digest() == before
    assert export(tmp_path, {}, opt_out_users=("U9",)).digest() != before
    assert export(tmp_path, {"general/2024-01-01.json": [message(text="new")]}).digest() != before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = """
user text subtype thread_ts parent_user_id edited reactions blocks attachments files file comment bot_id app_id team
user_team source_team user_profile is_stranger reply_count replies message
"""
FIELDS = _FIELDS.split()


@settings(max_examples=400)
@given(
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=8), st.sampled_from(["", "file_share", "message_changed"])
)
def test_a_message_of_any_form_is_one_row(fields, subtype):
    people = people_of(USERS, key=b"0" * 16)
    channels = channels_of([("public", CHANNELS[0])], [], key=b"0" * 16)
    reader = MessageReader("chat", people, channels, MessageRules(bots="keep", external="keep"), lambda text: text)
    raw = json.dumps([message() | fields | ({"subtype": subtype} if subtype else {})]).encode()
    rows = list(reader.rows(raw, channels.by_id["C1"], "general/2024-01-01.json"))
    pieces = [piece for row in rows for piece in (row.kept, row.dropped, row.quarantined) if piece is not None]
    assert sum(piece.num_rows for piece in pieces) == 1


DAY = b'[{"type":"message","ts":"1700000000.000100","user":"U1","text":"a \\"b\\" [c], {d} \\\\"},{"ts":"2.2"}]'


@settings(max_examples=400)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=5), st.integers(0, 40))
def test_a_damaged_day_file_gives_rows_that_add_up_or_one_named_error(changes, cut):
    raw = bytearray(DAY)
    for at, value in changes:
        raw[at % len(raw)] = value
    raw = bytes(raw[: len(raw) - cut] if cut < 20 else raw)
    people = people_of(USERS, key=b"0" * 16)
    channels = channels_of([("public", CHANNELS[0])], [], key=b"0" * 16)
    reader = MessageReader("chat", people, channels, MessageRules(), lambda text: text)
    try:
        rows = list(reader.rows(raw, channels.by_id["C1"], "general/2024-01-01.json"))
    except CorruptError as error:
        assert "general/2024-01-01.json" in str(error)
        return
    pieces = [piece for row in rows for piece in (row.kept, row.dropped, row.quarantined) if piece is not None]
    assert sum(piece.num_rows for piece in pieces) == count_elements(raw)
