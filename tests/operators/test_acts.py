"""The act tagger, rule layer and row contract."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dataforge.errors import ConfigError
from dataforge.operators.acts import TagActs
from dataforge.schemas.act import ACT, ACTS


def tag(texts: list[str], model: str = "none", **columns: list[object]) -> list[dict[str, object]]:
    base = pa.RecordBatch.from_pydict({"id": [f"{i:032x}" for i in range(len(texts))], "text": texts, **columns})
    operator = TagActs(context="columns" if columns else "none", model=model)
    return operator.start([])(base).kept.to_pylist()


EXAMPLES = [
    ("Thanks a lot!", "expressives"),
    ("I'm so sorry", "expressives"),
    ("happy birthday :tada:", "expressives"),
    ("I promise I'll send it tomorrow.", "commissives"),
    ("I 'll be there at nine .", "commissives"),
    ("Please close the door.", "directives"),
    ("let's go", "directives"),
    ("You should restart the server.", "directives"),
    ("I hereby declare the meeting closed.", "declarations"),
    ("You're fired.", "declarations"),
    ("I think this is the best solution", "verdictives"),
    ("how do i install it", "questions"),
    ("Is Bob coming?", "questions"),
    ("Does anyone know where the file is", "questions"),
    ("The train leaves at ten.", "representatives"),
    ("mm-hmm", "other"),
    ("https://example.org/page", "other"),
    ("", "other"),
    ("Vielen Dank!", "expressives"),
    ("Kannst du mir das bitte schicken?", "directives"),
    ("Wo ist der Bahnhof?", "questions"),
    ("¿Dónde está el baño?", "questions"),
    ("Muchas gracias", "expressives"),
    ("Qu'est-ce que c'est ?", "questions"),
    ("Envoyez-moi le fichier s'il vous plaît", "directives"),
    ("ありがとうございます", "expressives"),
    ("これは何ですか", "questions"),
    ("窓を開けてください", "directives"),
    ("谢谢你", "expressives"),
    ("你叫什么名字？", "questions"),
]


@pytest.mark.parametrize(("text", "act"), EXAMPLES)
def test_rules_find_the_act(text: str, act: str) -> None:
    assert tag([text])[0]["act"] == act


def test_form_stands_apart_from_function() -> None:
    rows = tag(["Could you send it?", "Send it to me.", "What a day!", "Where is it?", "The sky is blue."])
    assert [(row["act"], row["form"]) for row in rows] == [
        ("directives", "interrogative"),
        ("directives", "imperative"),
        ("expressives", "exclamative"),
        ("questions", "interrogative"),
        ("representatives", "declarative"),
    ]


def test_the_strongest_sentence_decides() -> None:
    assert tag(["Hello everyone! The build is red. Could you please look at it? Thanks!"])[0]["act"] == "directives"


def test_rows_have_the_schema_and_scores_that_sum_to_one() -> None:
    base = pa.RecordBatch.from_pydict({"id": ["a", "b"], "text": ["Thanks!", "no idea 🤷"]})
    kept = TagActs(model="none").start([])(base).kept
    assert kept.schema == ACT
    for row in kept.to_pylist():
        assert sum(row["act_scores"]) == 1.0
        assert row["act_scores"][ACTS.index(row["act"])] == row["act_score"] == max(row["act_scores"])


def test_a_short_answer_is_read_in_its_context() -> None:
    def answer(before: str) -> object:
        around = {"prev_text": [before], "prev_same_speaker": [False], "next_text": [None], "next_same_speaker": [None]}
        return tag(["Okay"], **around)[0]["act"]

    assert answer("Could you send me the file?") == "commissives"
    assert answer("Is it green?") == "representatives"
    assert tag(["Okay"])[0]["act"] == "other"


def test_okay_promises_after_a_request_and_only_acknowledges_an_instruction() -> None:
    def answer(before: str, text: str) -> object:
        around = {"prev_text": [before], "prev_same_speaker": [False], "next_text": [None], "next_same_speaker": [None]}
        return tag([text], **around)[0]["act"]

    assert answer("could you hold the line", "okay") == "commissives"
    assert answer("turn left at the bridge", "okay") == "other"
    assert answer("turn left at the bridge", "okay i will") == "commissives"
    assert answer("please ask him to call back", "nothing in there") == "representatives"


UNPUNCTUATED = [
    ("whats the number", "questions"),
    ("which is where we went last year", "representatives"),
    ("when i was little we had a dog", "representatives"),
    ("i was going to call you but it got late", "representatives"),
    ("would you rather live in a city", "questions"),
    ("i have to work on saturday", "representatives"),
    ("they should raise the taxes", "verdictives"),
    ("the winters are brutal", "verdictives"),
    ("i can ask him tomorrow", "commissives"),
    ("reinstall the driver and reboot", "directives"),
    ("it was nice talking to you", "expressives"),
    ("is there anything else i can help you with", "questions"),
    ("let's see", "other"),
]


@pytest.mark.parametrize(("text", "act"), UNPUNCTUATED)
def test_transcripts_without_punctuation(text: str, act: str) -> None:
    assert tag([text])[0]["act"] == act


SKIPPED = [  # words that are skipped before the real start of a sentence may be all of it
    ("oh sorry", "expressives"),
    ("okay great", "verdictives"),
    ("yeah okay", "other"),
    ("Mm, good luck.", "expressives"),
    ("hey thanks", "expressives"),
]


@pytest.mark.parametrize(("text", "act"), SKIPPED)
def test_a_sentence_of_nothing_but_small_words_is_read_by_its_last(text: str, act: str) -> None:
    assert tag([text])[0]["act"] == act


REGISTERS = [
    ("Well, that's true, but it costs more.", "verdictives"),
    ("The lamb is excellent tonight.", "verdictives"),
    ("that printer is a pain", "verdictives"),
    ("You are a terrible person", "expressives"),
    ("maybe we just take the blue one", "directives"),
    ("then straight across to the right", "directives"),
    ("because you have to plug it in", "representatives"),
    ("We'll refund the full amount.", "commissives"),
    ("we'll have thirty minutes", "representatives"),
    ("Kann mir mal jemand helfen?", "directives"),
    ("Macht endlich das Licht aus", "directives"),
    ("Fragt doch mal im Büro nach", "directives"),
    ("Spongy.", "representatives"),  # a stop tells a short answer
    ("spongy", "other"),  # from a fragment
]


@pytest.mark.parametrize(("text", "act"), REGISTERS)
def test_opinions_plans_and_commands_in_several_registers(text: str, act: str) -> None:
    assert tag([text])[0]["act"] == act


def test_one_foreign_word_in_a_longer_sentence_is_a_name() -> None:
    assert tag(["RIP Anna van der Velde"])[0]["act"] == "expressives"


def test_an_outcry_after_a_question_is_no_answer() -> None:
    around = {"prev_text": ["Is it ready?"], "prev_same_speaker": [False], "next_text": [None], "next_same_speaker": [None]}
    assert [tag([text], **around)[0]["act"] for text in ("Not yet.", "🤢🤢🤢")] == ["representatives", "expressives"]


def test_rows_do_not_depend_on_their_batch() -> None:
    texts = [text for text, _ in EXAMPLES]
    together = tag(texts)
    assert [row["act_scores"] for row in together] == [tag([text])[0]["act_scores"] for text in texts]


def test_unknown_context_is_refused() -> None:
    with pytest.raises(ConfigError, match="context is sometimes"):
        TagActs(context="sometimes")


def test_ambiguity_is_what_the_neighbours_change_and_null_where_none_are_read() -> None:
    asked = {"prev_text": ["Is it ready?"], "prev_same_speaker": [False]}
    nobody = {"prev_text": [None], "prev_same_speaker": [None]}
    after = {"next_text": [None], "next_same_speaker": [None]}
    (alone,), (answer,) = tag(["Not yet."]), tag(["Not yet."], **asked, **after)
    (first,) = tag(["Not yet."], **nobody, **after)
    moved = sum(abs(a - b) for a, b in zip(answer["act_scores"], alone["act_scores"], strict=True)) / 2
    assert (alone["act_ambiguity"], first["act_ambiguity"], answer["act_ambiguity"]) == (None, 0.0, moved)
    assert 0 < moved <= 1


def test_the_shipped_model_reads_what_the_rules_read() -> None:
    rows = tag([text for text, _ in EXAMPLES], model="shipped")
    assert {row["act_by"] for row in rows} == {"model"}
    agreed = sum(row["act"] == act for row, (_, act) in zip(rows, EXAMPLES, strict=True))
    assert agreed >= 0.9 * len(EXAMPLES)


def test_spelling_of_transcripts_and_chat_does_not_matter() -> None:
    texts = ["I don't know", "i do n't know", "I DON’T KNOW", "i dont know", "i do n't knowww", "um I I don't know"]
    assert {row["act"] for row in tag(texts)} == {"representatives"}


def test_hostile_text_is_tagged_like_any_other() -> None:
    texts = [
        "\x00\x1b[31m",
        "<" * 5000,
        "@" * 300,
        ":" * 300,
        "a" * 100_000,
        "\u202e\ufeff",
        "🏳️‍🌈" * 50,
        "'" * 99,
        "n't",
        "'s",
    ]
    assert all(row["act"] in ACTS for row in tag([*texts, "? " * 2000, "x. " * 2000], model="shipped"))
