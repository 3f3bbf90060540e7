"""A pair is a question, what came before, and the answer of somebody else. No pair: the reason."""

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.errors import ConfigError
from dataforge.operators.instruct import Instruct
from dataforge.operators.instruct_answer import reason_against, reason_unhelpful
from dataforge.operators.instruct_fillers import told
from dataforge.schemas.conversation import CONVERSATION
from dataforge.schemas.instruct import INSTRUCT
from tests.operators.slack_talking import conversations, said


def pairs(*rows, **options):
    """(rows, reasons) of the conversations that these messages make."""
    batch = pa.Table.from_pylist(conversations(*rows), schema=CONVERSATION).combine_chunks().to_batches()[0]
    found = Instruct(**options).start(())(batch)
    assert found.kept.schema == INSTRUCT
    parents = {p for row in found.kept.to_pylist() for p in row["parents"]}
    assert sorted([*parents, *(d["id"] for d in found.dropped.to_pylist())]) == sorted(batch["id"].to_pylist())
    return found.kept.to_pylist(), [row["reason"] for row in found.dropped.to_pylist()]


def thread(*turns, **more):
    return [said(at * 300, user, text, thread=0, **(more if at == 0 else {})) for at, (user, text) in enumerate(turns)]


QUESTION, ANSWER = ("ann", "Why is the build red?"), ("bob", "The cache is full, clear it with make clean.")


def test_a_pair_in_the_book_template_bears_loss_on_the_answer_alone():
    ((row,), _) = pairs(*thread(("cid", "The build runs since noon."), QUESTION, ANSWER))
    assert row["instruction"] == "Why is the build red?"
    assert row["text"] == (
        "###Instruction\nWhy is the build red?\n\n###Input\ncid: The build runs since noon.\n\n"
        "###Response\nThe cache is full, clear it with make clean."
    )
    (span,) = row["spans_trained"]
    assert row["text"][span["start"] : span["end"]] == row["output"] == row["completion"]
    assert row["prompt"] + row["completion"] == row["text"]
    assert [m["role"] for m in row["messages"]] == ["user", "assistant"]
    assert row["messages"][0]["content"] == "cid: The build runs since noon.\nWhy is the build red?"
    assert len(row["message_ids"]) == 3


def test_the_alpaca_template_leaves_an_empty_input_out():
    ((row,), _) = pairs(*thread(QUESTION, ANSWER), template="alpaca")
    assert row["text"].startswith("### Instruction:\nWhy is the build red?\n\n### Response:\nThe cache")


def test_a_landmark_in_somebodys_text_is_moved_in():
    ((row,), _) = pairs(*thread(QUESTION, ("bob", "Write it so:\n###Response\nand nothing else")))
    assert row["completion"] == "Write it so:\n ###Response\nand nothing else"


def test_meta_says_where_the_pair_comes_from_and_how_it_ended():
    ((row,), _) = pairs(*thread(QUESTION, ANSWER, ("ann", "thanks!")))
    meta = json.loads(row["meta"])
    assert meta == {
        "acts": ["questions", "representatives"],
        "answered_by": "bob",
        "channel": "general",
        "kind": "thread",
        "outcome": "resolved",
        "score": 100,
        "ts": ["1700000000.000000", "1700000300.000000"],
        "users": ["ann", "bob"],
    }


def test_timestamps_by_which_insiders_find_a_message_stay_out_where_that_is_asked_for():
    ((row,), _), ((other,), _) = pairs(*thread(QUESTION, ANSWER)), pairs(*thread(QUESTION, ANSWER), timestamps="drop")
    meta = json.loads(row["meta"])
    assert meta.pop("ts") == ["1700000000.000000", "1700000300.000000"]
    assert json.loads(other["meta"]) == meta and other["message_ids"] == row["message_ids"]


def test_the_accepted_answer_wins_then_the_most_reactions_then_the_first():
    first, second = ("bob", "First guess at the matter."), ("cid", "Second guess at the matter.")
    rows = thread(QUESTION, first, second)
    assert pairs(*rows)[0][0]["output"] == first[1]
    liked = [*rows[:2], rows[2] | {"reactions": [{"name": "+1", "count": 3}]}]
    assert pairs(*liked)[0][0]["output"] == second[1]
    accepted = [rows[0], rows[1] | {"resolved": True}, liked[2]]
    assert pairs(*accepted)[0][0]["output"] == first[1]
    assert [row["output"] for row in pairs(*accepted, answers="all")[0]] == [first[1], second[1]]


def test_a_clarification_goes_into_the_input_and_the_question_stays_open():
    rows = thread(QUESTION, ("bob", "Which branch is it?"), ("ann", "the main branch"), ANSWER)
    ((row,), _) = pairs(*rows)
    assert (row["instruction"], row["output"]) == (QUESTION[1], ANSWER[1])
    assert row["input"] == "bob: Which branch is it?\nann: the main branch"
    assert [m["role"] for m in row["messages"]] == ["user", "assistant", "user", "assistant"]


def test_advice_is_an_answer_and_no_question():
    rows = thread(QUESTION, ("bob", "please clear the cache with make"), ("cid", "that helps me every time too"))
    assert [row["output"] for row in pairs(*rows)[0]] == ["please clear the cache with make"]


@pytest.mark.parametrize(
    "plea",
    ["Could somebody look at this? My login fails.", "Kann das jemand ansehen? Es ist rot.", "quelqu'un sait ? C'est rouge"],
)
def test_who_asks_anyone_gives_no_answer_whatever_follows(plea):
    second = ("bob", plea)
    assert pairs(*thread(QUESTION, second)) == ([], ["unanswered"])


def test_mentions_at_the_beginning_are_not_learnt():
    rows = thread(QUESTION, ("bob", "@user_abcdefghij: it is the cache of @user_abcdefghik"))
    assert pairs(*rows)[0][0]["output"] == "it is the cache of @user_abcdefghik"


def test_an_answer_is_all_that_its_author_says_until_the_next_question():
    rows = thread(
        QUESTION,
        ("bob", "The cache is full."),
        ("bob", "Clear it with make."),
        ("ann", "And the tests?"),
        ("bob", "They pass for me now."),
    )
    found, _ = pairs(*rows)
    assert [(row["instruction"], row["output"]) for row in found] == [
        ("Why is the build red?", "The cache is full.\nClear it with make."),
        ("And the tests?", "They pass for me now."),
    ]
    assert found[1]["messages"][1]["role"] == "assistant"


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ((("ann", "The build is red."), ("bob", "It is so indeed.")), "no_question"),
        ((QUESTION,), "unanswered"),
        ((QUESTION, ("ann", "Found it, the cache was full.")), "unanswered"),
        ((QUESTION, ("bob", "cache")), "one_word"),
        ((QUESTION, ("bob", "see DM")), "see_dm"),
        ((QUESTION, ("bob", "x.org")), "link_only"),
        ((QUESTION, ("bob", "👍 🎉")), "no_words"),
        ((QUESTION, ("bob", ":our-logo:")), "emoji_only"),
        ((QUESTION, ("bob", "@user_abcdefghij")), "mention_only"),
        ((QUESTION, ("bob", "<EMAIL_ADDRESS>")), "removed_by_pii"),
        ((QUESTION, ("bob", "perfect question, I like it")), "unanswered"),
    ],
)
def test_a_conversation_without_a_pair_says_why(turns, reason):
    assert pairs(*thread(*turns)) == ([], [reason])


def test_unresolved_disputed_and_orphaned_pairs_are_left_out_by_setting():
    rows = thread(QUESTION, ANSWER)
    assert pairs(*rows, require_resolved=True)[1] == ["unresolved"]
    disputed = [rows[0], rows[1] | {"disputed": True}]
    assert pairs(*disputed)[1] == ["disputed"] and len(pairs(*disputed, allow_disputed=True)[0]) == 1
    orphan = [said(5, *QUESTION, thread=0), said(9, *ANSWER, thread=0)]
    assert pairs(*orphan)[1] == ["orphan_thread"] and len(pairs(*orphan, allow_orphans=True)[0]) == 1


def test_history_keeps_the_newest_turns_that_fit():
    rows = thread(("cid", "old " * 30), ("dan", "newer words"), QUESTION, ANSWER)
    assert pairs(*rows, max_history_tokens=10)[0][0]["input"] == "dan: newer words"
    assert pairs(*rows, max_history_tokens=0)[0][0]["input"] == ""


def test_a_persona_answers_whatever_was_said_before_and_needs_consent():
    with pytest.raises(ConfigError, match="consent"):
        Instruct(persona="bob")
    rows = thread(
        ("ann", "The build is red."),
        ("bob", "I clear the cache for you."),
        ("cid", "It is slow too."),
        ("bob", "That is the disk, wait."),
    )
    found, _ = pairs(*rows, persona="bob", consent="contract of 2024-02-01")
    assert [(row["instruction"], row["output"]) for row in found] == [
        ("The build is red.", "I clear the cache for you."),
        ("It is slow too.", "That is the disk, wait."),
    ]
    assert [m["role"] for m in found[1]["messages"]] == ["user", "assistant", "user", "assistant"]


def test_a_team_answers_only_itself():
    rows = thread(QUESTION, ("cid", "No idea, sorry about that."), ANSWER)
    assert [row["output"] for row in pairs(*rows, team=("bob",))[0]] == [ANSWER[1]]


@pytest.mark.parametrize(("name", "value"), [("template", "x"), ("answers", "some"), ("expressives", "maybe")])
def test_unknown_settings_are_named(name, value):
    with pytest.raises(ConfigError, match=f"instruct.{name}"):
        Instruct(**{name: value})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Restart the agent first.", ""),
        ("run `make clean`", ""),
        ("I sent you a DM", "see_dm"),
        ("DM'd you", "see_dm"),
        ("see attachment", "see_dm"),
        ("https://x.org/a?b", "link_only"),
        ("docs (x.org)", "link_only"),
        ("docs (x.org) explain the whole setup", ""),
        ("yes", "one_word"),
        ("call <PERSON>", "removed_by_pii"),
        ("ok then", "too_short"),
        ("", "no_words"),
        ("The dm-crypt module must be loaded before the disk is opened", ""),
    ],
)
def test_reasons_against_an_answer(answer, reason):
    assert reason_against(answer, 3) == reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("I have no idea, sorry", "not_known"),
        ("hm, let me have a look", "deferred"),
        ("I've opened a ticket for you", "deferred"),
        ("let's take this offline", "see_dm"),
        ("as I said above", "see_dm"),
        ("maybe ask @user_abcdefghij about it", "refers"),
        ("same problem here since yesterday", "no_answer"),
        ("thanks, should be fixed now", "no_answer"),
        ("which browser do you use", "asks_back"),
        ("Good question! Let me check and get back to you.", "deferred"),
        ("Let me check... yes, the certificate expired, I renewed it.", ""),
        ("Not sure, but I think the cache needs a purge after every release.", ""),
        ("Have you tried clearing the cache? That fixed it for me last week.", ""),
        ("Look into /var/log/app.log, the reason is printed there.", ""),
        ("Ask for the key at reception before 5pm.", ""),
        ("No idea why, `make clean` helps", ""),
    ],
)
def test_sentences_that_answer_nothing_do_not_count(answer, reason):
    assert reason_unhelpful(answer, 4) == reason


def test_a_help_desk_leaves_unhelpful_answers_out_and_a_persona_keeps_its_voice():
    rows = thread(QUESTION, ("bob", "let me have a look"))
    assert pairs(*rows) == ([], ["deferred"])
    assert [row["output"] for row in pairs(*rows, persona="bob", consent="letter")[0]] == ["let me have a look"]


@settings(max_examples=100)
@given(st.text(alphabet="ok, you@i?.let me check\n", max_size=300))
def test_what_is_left_of_an_answer_is_part_of_it(text):
    left, reason = told(text)
    assert set(left.split()) <= set(text.split()) and (reason or left.split() == text.split())
