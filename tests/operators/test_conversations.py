"""Threads as Slack joined them, open talk by its evidence; each message in one, or dropped for a reason."""

import re
from collections import Counter

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.operators.conversations import Conversations
from dataforge.operators.slack_disentangle import disentangle
from dataforge.operators.slack_evidence import AGES_S, DISTANCES, Said
from dataforge.operators.slack_weights import WEIGHTS
from dataforge.schemas.conversation import CONVERSATION
from tests.operators.slack_talking import act_of, conversations, gathered, said, table
from tests.slack_workspace import Workspace


def transcript(conversation):
    return [(turn["user"], turn["text"]) for turn in conversation["turns"]]


def test_a_thread_holds_its_replies_of_other_days_and_broadcasts_in_order_of_time():
    day = 86_400
    rows = [
        said(3 * day, "ann", "still red", thread=0),
        said(0, "ann", "why is it red?", thread=0, reply_count=3),
        said(day, "bob", "the cache is full", thread=0, is_broadcast=True),
        said(10, "cid", "unrelated chatter"),
        said(2 * day, "bob", "clear it", thread=0),
    ]
    thread = next(c for c in conversations(*rows) if c["kind"] == "thread")
    assert transcript(thread) == [
        ("ann", "why is it red?"),
        ("bob", "the cache is full"),
        ("bob", "clear it"),
        ("ann", "still red"),
    ]
    assert (thread["orphan"], thread["incomplete"], thread["score"]) == (False, False, 1.0)
    assert thread["text"].startswith("ann: why is it red?\nbob: the cache")


def test_a_thread_without_its_root_is_an_orphan_and_with_a_gap_incomplete():
    orphan = conversations(said(5, "bob", "the cache is full", thread=0))
    gap = conversations(said(0, "ann", "why?", thread=0, reply_count=2), said(5, "bob", "so", thread=0))
    assert (orphan[0]["orphan"], orphan[0]["kind"]) == (True, "thread")
    assert gap[0]["incomplete"]


def test_a_root_read_before_it_had_replies_joins_its_thread():
    rows = [said(0, "ann", "why?"), said(5, "bob", "because of the cache", thread=0)]
    assert [transcript(c) for c in conversations(*rows)] == [[("ann", "why?"), ("bob", "because of the cache")]]


def test_messages_of_one_author_in_a_row_are_one_turn():
    rows = [said(0, "ann", "one", thread=0), said(60, "ann", "two?", thread=0), said(400, "ann", "three", thread=0)]
    (found,) = conversations(*rows, merge_s=120)
    assert transcript(found) == [("ann", "one\ntwo?"), ("ann", "three")]
    assert found["turns"][0]["act"] == "questions" and len(found["turns"][0]["message_ids"]) == 2


def test_a_lone_thanks_of_the_asker_accepts_the_answer_and_is_no_turn():
    rows = [
        said(0, "ann", "why?", thread=0),
        said(5, "bob", "the cache", thread=0),
        said(9, "ann", "thanks!", thread=0),
    ]
    (found,) = conversations(*rows)
    assert transcript(found) == [("ann", "why?"), ("bob", "the cache")]
    assert [turn["resolved"] for turn in found["turns"]] == [False, True] and found["resolved"]
    assert len(found["parents"]) == 3


def test_thanks_of_somebody_else_accepts_nothing():
    rows = [
        said(0, "ann", "why?", thread=0),
        said(5, "bob", "the cache", thread=0),
        said(9, "cid", "thanks!", thread=0),
    ]
    (found,) = conversations(*rows)
    assert not found["resolved"] and found["n_turns"] == 3


def test_open_talk_ends_at_silence():
    rows = [said(0, "ann", "why?"), said(60, "bob", "because"), said(5000, "cid", "lunch is ready")]
    assert [len(c["turns"]) for c in conversations(*rows)] == [2, 1]


def test_interleaved_talks_are_told_apart_by_mentions_and_words():
    rows = [
        said(0, "ann", "why does the deploy fail?"),
        said(30, "cid", "where is the holiday calendar?"),
        said(60, "bob", "@ann the deploy needs more memory"),
        said(80, "dan", "@cid the calendar is in the intranet"),
        said(100, "ann", "@bob how much memory?"),
        said(130, "bob", "two gigabytes"),
    ]
    found = conversations(*rows)
    assert [{turn["user"] for turn in c["turns"]} for c in found] == [{"ann", "bob"}, {"cid", "dan"}]
    assert all(0 < c["score"] <= 1 for c in found)


def test_an_answer_is_unsure_while_somebody_else_waits_for_one_too():
    asked = said(0, "ann", "The printer on floor two shows an error, what now?")
    also = said(40, "cid", "How do I reset my badge?")
    answer = said(90, "bob", "Hold the button for ten seconds")
    (alone,) = conversations(asked, answer)
    shared = next(c for c in conversations(asked, also, answer) if len(c["parents"]) > 1)
    assert alone["score"] >= 0.5 > shared["score"]
    named = said(90, "bob", "@cid hold the button of the badge reader for ten seconds")
    sure = next(c for c in conversations(asked, also, named) if len(c["parents"]) > 1)
    assert {turn["user"] for turn in sure["turns"]} == {"bob", "cid"} and sure["score"] >= 0.5


def test_bots_without_people_are_noise_and_with_people_part_of_the_thread():
    rows = [
        said(0, "bot_a", "build is red", thread=0, is_bot=True),
        said(9, "ann", "I look at it", thread=0),
        said(20, "bot_a", "build is green", is_bot=True),
        said(30, "bot_a", "nightly", thread=30, is_bot=True),
    ]
    found = gathered(Conversations(parts=1), table(*rows))
    assert [d["reason"] for rows in found for d in rows.dropped.to_pylist()] == ["bot_noise", "bot_noise"]
    (kept,) = [c for rows in found for c in rows.kept.to_pylist()]
    assert (kept["n_turns"], kept["n_people"]) == (2, 1)


def test_channels_never_mix():
    rows = [said(0, "ann", "why?", channel="a"), said(1, "bob", "because", channel="b")]
    assert sorted(c["channel"] for c in conversations(*rows)) == ["a", "b"]


def test_most_messages_put_together_belong_together():
    """Threads of six channels of a generated workspace, thread ids taken away and all mixed into one channel."""
    rows = [row for _, day in Workspace(seed=3, messages=1500, canaries=False, old=True).days() for row in day]
    threaded = sorted((row for row in rows if row.get("thread_ts")), key=lambda row: row["ts"])
    talk = [
        Said(
            at,
            row["user"],
            row["text"],
            int(row["ts"].replace(".", "")),
            act_of(row["text"]),
            re.findall("<@(U[0-9]+)", row["text"]),
        )
        for at, row in enumerate(threaded)
    ]
    labels = [0] * len(talk)
    for number, found in enumerate(disentangle(talk, gap_s=900, merge_s=120)):
        for at in found.messages:
            labels[at] = number
    truth = [row["thread_ts"] for row in threaded]
    together = pairs_in(list(zip(truth, labels, strict=True)))
    assert together / pairs_in(labels) > 0.55  # precision of pairs: measured by tests.benchmarks.disentangle
    assert together / pairs_in(truth) > 0.22  # recall; half of the threads pause for longer than the gap


def test_a_conversation_comes_out_as_soon_as_nothing_can_join_it():
    """A channel of any length is read with only the open conversations in memory."""
    read = []

    def messages():
        for at in range(100):
            read.append(at)
            yield Said(at, "ann", "words", at * 5000 * 1_000_000, "other", ())

    first = next(disentangle(messages(), gap_s=900, merge_s=120))
    assert (first.messages, read) == ([0], [0, 1])


def test_every_distance_and_age_has_its_weight():
    for edges, names in ((AGES_S, ("age {}", "new: silence {}")), (DISTANCES, ("after {} others",))):
        steps = [*(f"<= {edge}" for edge in edges), f"> {edges[-1]}"]
        assert {name.format(step) for name in names for step in steps} <= WEIGHTS.keys()


def pairs_in(labels):
    return sum(count * (count - 1) // 2 for count in Counter(labels).values())


ROWS = st.lists(
    st.tuples(
        st.integers(0, 3000),
        st.sampled_from("abc"),
        st.sampled_from(["why?", "thanks", "so it is", "@a look"]),
        st.sampled_from([None, 0, 100]),
        st.booleans(),
        st.sampled_from(["x", "y"]),
    ),
    max_size=25,
    unique_by=lambda row: (row[0], row[5]),
)


@settings(max_examples=60)
@given(ROWS, st.randoms())
def test_every_message_is_in_one_conversation_or_dropped_whatever_the_order_of_rows(drawn, random):
    rows = [said(at, user, text, thread, is_bot=bot, channel=channel) for at, user, text, thread, bot, channel in drawn]
    operator = Conversations(parts=2)
    found = gathered(operator, table(*rows))
    parents = [i for piece in found for row in piece.kept.to_pylist() for i in row["parents"]]
    dropped = [row["id"] for piece in found for row in piece.dropped.to_pylist()]
    assert sorted(parents + dropped) == sorted(row["id"] for row in rows)
    random.shuffle(rows)
    again = gathered(operator, pa.Table.from_pylist(rows, schema=table().schema), batch_rows=3)
    assert [p.kept.to_pylist() for p in found] == [p.kept.to_pylist() for p in again]
    assert all(piece.kept.schema == CONVERSATION for piece in found)
