"""Whatever the network does, a pull ends with the rows of an export of the same workspace, or with a named error."""

import itertools
import json
import os
import random
import signal
from pathlib import Path

import pytest

from dataforge.errors import AuthError, PartialError, SecretError
from dataforge.operators.slack_api import Pace, sdk_transport
from dataforge.operators.slack_export import SlackExport
from dataforge.operators.slack_pages import load_state
from dataforge.operators.slack_pull import PullPlan, pull, read_token
from dataforge.operators.slack_pulled import SlackPull
from dataforge.operators.slack_source import Who
from tests.operators.slack_reading import KEY, USERS, message, read
from tests.slack_server import FakeSlack, ToldClock, in_process, serve
from tests.slack_workspace import CANARIES, START_S, Workspace

FAST = Pace(history_per_minute=60_000, list_per_minute=60_000, page_size=7)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("DATAFORGE_TEST_KEY", "0123456789abcdef0123")


def history(count=20, replies=0):
    """A channel of plain messages, the first of them with a thread."""
    rows = [message(f"{START_S + at}.000000", text=f"words {at}") for at in range(count)]
    root = rows[0]["ts"]
    rows[0] |= {"thread_ts": root, "reply_count": replies, "latest_reply": f"{START_S + 1000 + replies}.000000"}
    extra = [
        message(f"{START_S + 1000 + at}.000000", thread_ts=root, parent_user_id="U1", text=f"reply {at}")
        for at in range(replies)
    ]
    return rows + extra


def slack(rows, **options):
    return FakeSlack(USERS, [{"id": "C1", "name": "general"}], {"C1": rows}, **options)


def pulled(fake, folder, *, pace=FAST, clock=None, transport=None, **options):
    plan = PullPlan(folder, KEY, pace=pace, **options)
    return pull(plan, transport or in_process(fake), (clock or ToldClock()).clock())


def rows_of(folder, **options):
    found = read(SlackPull("chat", str(folder), KEY, **options))
    return sorted(found.kept, key=lambda row: row["id"])


def texts_of(folder):
    return sorted(row["text"] for row in rows_of(folder))


def test_a_pull_gives_the_rows_of_an_export_of_the_same_workspace(tmp_path):
    workspace = Workspace(seed=8, messages=600, channels=3)
    by_name = {c["name"]: c["id"] for c in workspace.channel_list()}
    messages = {channel: [] for channel in by_name.values()}
    for entry, rows in workspace.days():
        folder = entry.partition("/")[0]
        if folder in by_name:
            messages[by_name[folder]] += rows
    messages = {c: [m for m in rows if _reachable(m, rows)] for c, rows in messages.items()}
    (tmp_path / "export").mkdir()
    for name, value in workspace.index().items():
        (tmp_path / "export" / name).write_text(json.dumps(value))
    for name, channel in by_name.items():
        (tmp_path / "export" / name).mkdir()
        (tmp_path / "export" / name / "2024-01-01.json").write_text(json.dumps(messages[channel]))
    pulled(FakeSlack(workspace.users(), workspace.channel_list(), messages), tmp_path / "pull")
    export = read(SlackExport("chat", str(tmp_path / "export"), KEY))
    assert len(export.kept) > 400
    assert rows_of(tmp_path / "pull") == sorted(export.kept, key=lambda row: row["id"])
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "pull").rglob("*.json"))
    for canary in (CANARIES[0], CANARIES[1], CANARIES[4]):
        assert canary.encode() not in on_disk


def _reachable(message, rows):
    """The API shows a reply only through its root."""
    thread = message.get("thread_ts")
    return thread in (None, message["ts"]) or any(m["ts"] == thread for m in rows)


FAULTS = ("429:1", "503", "timeout", "cut", "bad_json")


def faulted(folder, script, rows):
    fake = slack(rows, script=script)
    pulled(fake, folder, pace=Pace(60_000, 60_000, page_size=1))
    return fake


def test_faults_in_any_order_lose_and_double_nothing(tmp_path):
    """Each fault alone and a seeded sample of the orders of two to five; all 325 with DATAFORGE_ALL_FAULTS=1."""
    rows = history(20)
    faulted(tmp_path / "clean", {}, rows)
    expected = rows_of(tmp_path / "clean")
    assert len(expected) == 20
    orders = [order for count in range(1, 6) for order in itertools.permutations(FAULTS, count)]
    if not os.environ.get("DATAFORGE_ALL_FAULTS"):
        orders = orders[:5] + random.Random(7).sample(orders[5:], 12)
    for number, order in enumerate(orders):
        places = random.Random(number).sample(range(4, 24), len(order))
        faulted(tmp_path / str(number), dict(zip(sorted(places), order, strict=True)), rows)
        assert rows_of(tmp_path / str(number)) == expected


@pytest.mark.parametrize(
    "fault", ["429", "429:0", "429:1.5", "ratelimited", "500", "502", "503", "504", "reset", "html", "internal_error"]
)
def test_each_passing_fault_is_waited_out(tmp_path, fault):
    fake = slack(history(10), script={4: fault, 5: fault})
    report = pulled(fake, tmp_path)
    assert len(rows_of(tmp_path)) == 10
    assert report.counts["requests"] == len(fake.requests)


def test_waits_are_as_told_and_default_to_thirty_seconds(tmp_path):
    clock = ToldClock()
    pulled(slack(history(3), script={4: "429:1.5", 5: "429"}), tmp_path, clock=clock)
    assert [round(seconds, 3) for seconds in clock.slept if seconds > 0.1] == [2.0, 30.5]


def test_ten_limits_in_a_row_are_no_failure(tmp_path):
    pulled(slack(history(3), script=dict.fromkeys(range(4, 14), "429:1")), tmp_path)
    assert len(rows_of(tmp_path)) == 3


def test_a_wait_above_the_limit_saves_and_says_when_to_resume(tmp_path):
    fake = slack(history(20), script={6: "429:3600"})
    with pytest.raises(PartialError, match="resume at 2023") as error:
        pulled(fake, tmp_path)
    assert (error.value.code, error.value.exit_code) == ("RATELIMIT", 6)
    fake.script.clear()
    pulled(fake, tmp_path)
    assert len(rows_of(tmp_path)) == 20


@pytest.mark.parametrize(
    ("fault", "code"), [("no_cursor", "PAGINATION"), ("same_cursor", "PAGINATION"), ("strange_error", "IO")]
)
def test_pages_that_do_not_end_rightly_are_errors_with_everything_saved(tmp_path, fault, code):
    fake = slack(history(20), script={5: fault})
    with pytest.raises(PartialError) as error:
        pulled(fake, tmp_path)
    assert (error.value.code, error.value.exit_code) == (code, 6)
    assert load_state(tmp_path / "channels" / "C1").pages == 1
    fake.script.clear()
    pulled(fake, tmp_path)
    assert len(rows_of(tmp_path)) == 20


def test_a_body_that_stays_broken_ends_the_pull_without_showing_it(tmp_path):
    with pytest.raises(PartialError) as error:
        pulled(slack(history(9), script=dict.fromkeys(range(4, 40), "html")), tmp_path)
    assert error.value.code == "PAGINATION" and "maintenance" not in str(error.value)


def test_an_empty_page_with_a_cursor_is_not_the_end(tmp_path):
    pulled(slack(history(20), script={5: "empty_page"}), tmp_path)
    assert len(rows_of(tmp_path)) == 20


def test_an_expired_cursor_reopens_the_window_below_what_is_committed(tmp_path):
    pulled(slack(history(40), expired={f"c:{START_S + 25}.000000"}), tmp_path)
    assert len(rows_of(tmp_path)) == 40


def test_the_fifteen_object_limit_is_met_by_more_pages(tmp_path):
    pulled(slack(history(50, replies=40), page_limit=15), tmp_path, pace=Pace(60_000, 60_000))
    assert len(rows_of(tmp_path)) == 90


def test_a_bad_token_at_start_is_exit_2_and_in_mid_run_6_and_nothing_is_asked_after_it(tmp_path):
    fake = slack(history(20), script={1: "invalid_auth"})
    with pytest.raises(AuthError) as error:
        pulled(fake, tmp_path)
    assert error.value.exit_code == 2 and len(fake.requests) == 1
    fake = slack(history(20), script={6: "token_revoked"})
    with pytest.raises(PartialError) as error:
        pulled(fake, tmp_path)
    assert (error.value.code, error.value.exit_code, len(fake.requests)) == ("AUTH", 6, 6)


def test_a_channel_that_refuses_leaves_the_others_and_ends_with_6_and_the_scope(tmp_path):
    fake = FakeSlack(
        USERS, [{"id": "C1", "name": "a"}, {"id": "C2", "name": "b"}], {"C1": history(5), "C2": history(6)}
    )
    fake.script = {4: "missing_scope"}
    with pytest.raises(PartialError, match=r"missing_scope \(channels:history\)"):
        pulled(fake, tmp_path)
    assert {row["channel"] for row in rows_of(tmp_path, who=Who(named=True))} == {"b"}


def test_another_workspace_under_the_same_name_is_refused(tmp_path):
    pulled(slack(history(3)), tmp_path)
    with pytest.raises(AuthError, match="another workspace"):
        pulled(slack(history(3), team="T9"), tmp_path)


def test_only_wanted_kinds_and_channels_are_asked_for(tmp_path):
    channels = [{"id": "C1", "name": "a"}, {"id": "C2", "name": "b"}, {"id": "D1", "is_im": True}]
    fake = FakeSlack(USERS, channels, {c["id"]: history(3) for c in channels})
    pulled(fake, tmp_path, who=Who(channels=("b",)))
    assert {p.get("channel") for m, p in fake.requests if m == "conversations.history"} == {"C2"}
    assert next(p["types"] for m, p in fake.requests if m == "conversations.list") == "public_channel"


def test_a_typed_name_of_a_channel_that_the_pull_never_heard_of_is_hidden(tmp_path):
    rows = [message(text="see #general and #unheard-of-merger, `#unheard-of-merger`, #77")]
    pulled(slack(rows), tmp_path)
    assert texts_of(tmp_path) == ["see #channel and #channel, `#channel`, #77"]
    (row,) = rows_of(tmp_path, who=Who(named=True))
    assert row["text"] == "see #general and #channel, `#channel`, #77"


def test_a_second_run_finds_new_edited_deleted_messages_and_late_replies(tmp_path):
    rows = history(10, replies=2)
    fake, clock = slack(rows), ToldClock()
    pulled(fake, tmp_path, clock=clock)
    root = rows[0]["ts"]
    rows[3] |= {"text": "edited", "edited": {"ts": f"{START_S + 2000}.000000"}}
    del rows[5]
    rows[0] |= {"reply_count": 3, "latest_reply": f"{START_S + 3000}.000000"}
    rows.append(message(f"{START_S + 3000}.000000", thread_ts=root, parent_user_id="U1", text="late reply"))
    rows.append(message(f"{START_S + 4000}.000000", text="new"))
    clock.at += 86_400
    pulled(fake, tmp_path, clock=clock)
    expected = sorted(m["text"] for m in rows)
    assert texts_of(tmp_path) == expected and "edited" in expected and "words 5" not in expected
    fresh = tmp_path / "fresh"
    pulled(fake, fresh, clock=clock)
    assert rows_of(tmp_path) == rows_of(fresh)


def test_a_deleted_thread_takes_its_replies_along(tmp_path):
    rows = history(10, replies=3)
    fake, clock = slack(rows), ToldClock()
    pulled(fake, tmp_path, clock=clock)
    fake.messages["C1"] = rows[1:10]
    pulled(fake, tmp_path, clock=clock)
    assert texts_of(tmp_path) == sorted(m["text"] for m in rows[1:10])


def test_old_threads_are_found_by_a_full_sweep_and_reported_otherwise(tmp_path):
    rows, clock = history(3, replies=1), ToldClock(at=START_S + 90 * 86_400.0)
    rows.append(message(f"{START_S + 80 * 86_400}.000000", text="recent"))
    fake = slack(rows)
    pulled(fake, tmp_path, clock=clock)
    rows[0] |= {"reply_count": 2, "latest_reply": f"{START_S + 81 * 86_400}.000000"}
    rows.append(
        message(f"{START_S + 81 * 86_400}.000000", thread_ts=rows[0]["ts"], parent_user_id="U1", text="very late")
    )
    assert pulled(fake, tmp_path, clock=clock).threads_not_rechecked == 1
    assert "very late" not in texts_of(tmp_path)
    pulled(fake, tmp_path, clock=clock, full=True)
    assert "very late" in texts_of(tmp_path)


def test_changes_between_pages_shift_nothing(tmp_path):
    def post(fake):
        fake.messages["C1"].append(message(f"{START_S + 950_000}.000000", text="too new"))

    def remove(fake):
        fake.messages["C1"] = [m for m in fake.messages["C1"] if m["text"] != "words 19"]

    fake = slack(history(20), after={5: post})
    pulled(fake, tmp_path / "a")
    assert len(rows_of(tmp_path / "a")) == 20
    clock = ToldClock()
    fake = slack(history(20), after={6: remove})
    pulled(fake, tmp_path / "b", clock=clock)
    pulled(fake, tmp_path / "b", clock=clock)
    assert "words 19" not in texts_of(tmp_path / "b") and len(rows_of(tmp_path / "b")) == 19


@pytest.mark.parametrize("point", range(1, 101) if os.environ.get("DATAFORGE_ALL_FAULTS") else range(3, 101, 14))
def test_killed_anywhere_the_next_run_ends_with_the_same_rows(tmp_path, point):
    rows = history(40, replies=20)
    pulled(slack(rows), tmp_path / "whole")
    child = os.fork()
    if child == 0:  # dies by SIGKILL in the middle of the n-th commit, if there are so many
        os.environ["DATAFORGE_FAULT"] = f"kill:any:{point}"
        try:
            pulled(slack(rows), tmp_path / "killed")
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    pulled(slack(rows), tmp_path / "killed")
    assert rows_of(tmp_path / "killed") == rows_of(tmp_path / "whole")


def test_through_the_sdk_and_a_socket_the_rows_are_the_same(tmp_path, caplog):
    rows = history(20, replies=9)
    pulled(slack(rows), tmp_path / "process")
    script = {4: "429:0", 5: "503", 6: "cut", 7: "bad_json", 8: "ratelimited", 10: "reset", 12: "html", 13: "500"}
    fake = slack(rows, script=script)
    with serve(fake) as url:
        transport = sdk_transport("xoxb-canary-canary-canary", base_url=url, timeout_s=5)
        pulled(fake, tmp_path / "socket", transport=transport)
    assert rows_of(tmp_path / "socket") == rows_of(tmp_path / "process")
    assert "canary" not in caplog.text and "words" not in caplog.text


def test_a_literal_token_is_refused_without_showing_it(tmp_path, monkeypatch):
    with pytest.raises(SecretError) as error:
        read_token("xoxb-1234567890-abcdefghij")
    assert "abcdefghij" not in str(error.value)
    monkeypatch.setenv("SLACK_TOKEN_OF_TEST", "xoxb-1234567890-abcdefghij")
    assert read_token("env:SLACK_TOKEN_OF_TEST") == "xoxb-1234567890-abcdefghij"


def test_people_who_opted_out_leave_no_word_on_disk(tmp_path):
    pulled(slack([message(f"{START_S}.000000", user="U1", text="nevermore")]), tmp_path, who=Who(opt_out_users=("U1",)))
    assert b"nevermore" not in b"".join(path.read_bytes() for path in Path(tmp_path).rglob("*.json"))
    assert rows_of(tmp_path, who=Who(opt_out_users=("U1",))) == []
