"""What people said about training pairs: an edit is published as they wrote it, an unfit pair goes, the others stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dataforge.operators.clean_text import TextRules
from dataforge.operators.pairs_review import PairSample, ReviewedPairs
from dataforge.operators.pii import FindPii
from dataforge.operators.pii_names import NAMES_FILE, hashed_names, read_names_key
from dataforge.operators.pseudonym import pseudonym
from dataforge.operators.treatment import Treatment
from dataforge.schemas.instruct import INSTRUCT
from dataforge.schemas.label import TRIPLE
from tests.operators.slack_reading import CHANNELS, USERS, export, message

SAID = pa.schema([("id", pa.string()), ("label", pa.string()), ("rejected", pa.bool_()), ("instruct", TRIPLE)])


def pair(name: str, output: str = "use the small one") -> dict[str, Any]:
    text = f"###Instruction\nWhich?\n\n###Input\nt: hm\n\n###Response\n{output}"
    turns = [{"role": "user", "content": "t: hm\nWhich?"}, {"role": "assistant", "content": output}]
    return {
        "id": name,
        "parents": ["c"],
        "source": "s",
        "conversation": "c",
        "message_ids": ["m"],
        "act": "questions",
        "instruction": "Which?",
        "input": "t: hm",
        "output": output,
        "text": text,
        "meta": '{"channel":"x"}',
        "spans_trained": [{"start": len(text) - len(output), "end": len(text)}],
        "messages": turns,
        "prompt": text.removesuffix(output),
        "completion": output,
    }


def reviewed(*said: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str], dict[str, int] | None]:
    pairs = pa.RecordBatch.from_pylist([pair(str(k)) for k in range(len(said))], schema=INSTRUCT)
    labels = pa.RecordBatch.from_pylist([{"id": str(k), **row} for k, row in enumerate(said)], schema=SAID)
    rows = ReviewedPairs().start(())(pairs, labels)
    return rows.kept.to_pylist(), rows.dropped["id"].to_pylist() if rows.dropped else [], rows.notes


def triple(**changed: str) -> dict[str, str]:
    return {"instruction": "Which?", "input": "t: hm", "output": "use the small one"} | changed


def test_an_edited_answer_is_rendered_anew_and_counted() -> None:
    said = {"label": "fit", "rejected": False, "instruct": triple(output="Use the small brush.")}
    (row,), gone, notes = reviewed(said)
    new = pair("0", "Use the small brush.")
    assert row == new | {"reviewed": "edited", "meta": '{"channel":"x","reviewed":"edited"}'}
    assert (gone, notes) == ([], {"edited": 1})


def test_an_edited_question_makes_a_chat_of_two_turns() -> None:
    said = {"label": "fit", "rejected": False, "instruct": triple(instruction="Which brush?", input="")}
    (row,), _, _ = reviewed(said)
    assert [m["content"] for m in row["messages"]] == ["Which brush?", "use the small one"]
    assert row["text"] == row["prompt"] + row["completion"] and "###Input\n\n\n###Response" in row["prompt"]


def test_personal_data_that_an_edit_brings_in_is_masked() -> None:
    said = {"label": "fit", "rejected": False, "instruct": triple(output="Ask kai@example.org.")}
    (row,), _, _ = reviewed(said)
    assert row["output"] == "Ask <EMAIL_ADDRESS>." and "kai" not in json.dumps(row)


def test_what_people_typed_is_cleaned_and_what_they_left_alone_is_not_touched() -> None:
    typed = "one\r\ntwo\x00\x85\ufffe\uffff\u202ethree\u202c \x1b[31mfour"
    pairs = pa.RecordBatch.from_pylist([pair("0") | {"input": "t: hm\u00a0"}], schema=INSTRUCT)
    edit = triple(output=typed, input="t: hm\u00a0")
    labels = pa.RecordBatch.from_pylist([{"id": "0", "label": "fit", "instruct": edit}], schema=SAID)
    (row,) = ReviewedPairs().start(())(pairs, labels).kept.to_pylist()
    assert (row["output"], row["input"]) == ("one\ntwo…three four", "t: hm\u00a0")
    assert row["text"].endswith(row["output"]) and row["messages"][-1]["content"] == row["output"]


def test_edits_are_cleaned_and_treated_as_the_config_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIRS_KEY", "k" * 16)
    operator = ReviewedPairs(
        "book",
        TextRules(normalize="NFKC"),
        FindPii(("IP_ADDRESS",), private_addresses=True),
        Treatment("pseudonym", "env:PAIRS_KEY"),
    )
    pairs = pa.RecordBatch.from_pylist([pair("0")], schema=INSTRUCT)
    edit = triple(output="\ufb01nd 192.168.1.7, ask kai@example.org")
    labels = pa.RecordBatch.from_pylist([{"id": "0", "label": "fit", "instruct": edit}], schema=SAID)
    (row,) = operator.start(())(pairs, labels).kept.to_pylist()
    secret = pseudonym("IP_ADDRESS", "192.168.1.7", b"k" * 16)
    assert row["output"] == f"find {secret}, ask kai@example.org"


def test_where_personal_data_drops_rows_an_edit_that_brings_it_in_drops_its_pair() -> None:
    pairs = pa.RecordBatch.from_pylist([pair("0"), pair("1")], schema=INSTRUCT)
    asks = (("0", "kai@example.org"), ("1", "Kai"))
    said = [{"id": k, "label": "fit", "instruct": triple(output=f"Ask {x}.")} for k, x in asks]
    rows = ReviewedPairs(treatment=Treatment("drop")).start(())(pairs, pa.RecordBatch.from_pylist(said, schema=SAID))
    assert rows.kept["output"].to_pylist() == ["Ask Kai."] and rows.dropped is not None
    why = {"id": "0", "reason": "personal_data", "score": 1.0, "threshold": 0.0, "detail": None, "into": None}
    assert rows.dropped.to_pylist() == [why]


def test_members_and_channels_of_the_workspace_are_hidden_in_edits_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAFORGE_TEST_KEY", "0123456789abcdef0123")
    channels = [*CHANNELS, {"id": "C2", "name": "acme-merger"}]
    chat = export(tmp_path, {"users.json": USERS, "channels.json": channels, "general/2024-01-01.json": [message()]})
    typed = "Zelda Vantongeren (zelda@corp.test) knows: #acme-merger, xoxb-1234567890-abc"
    pairs = pa.RecordBatch.from_pylist([pair("0")], schema=INSTRUCT)
    labels = pa.RecordBatch.from_pylist([{"id": "0", "label": "fit", "instruct": triple(output=typed)}], schema=SAID)
    (row,) = ReviewedPairs(workspaces=(chat,)).start(())(pairs, labels).kept.to_pylist()
    zelda = chat.people().pseudonym("U1")
    assert row["output"] == f"{zelda} ({zelda}) knows: #channel, <SECRET>"
    assert row["messages"][-1]["content"] == row["output"] and row["text"].endswith(row["output"])


def test_names_known_from_mails_are_masked_in_edits_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIRS_KEY", "k" * 16)
    (tmp_path / NAMES_FILE).write_text("\n".join(hashed_names({"Kai Lindqvist"}, read_names_key("env:PAIRS_KEY"))))
    operator = ReviewedPairs(pii=FindPii(names_key="env:PAIRS_KEY"))
    pairs = pa.RecordBatch.from_pylist([pair("0")], schema=INSTRUCT)
    edit = triple(output="Ask Kai Lindqvist.")
    labels = pa.RecordBatch.from_pylist([{"id": "0", "label": "fit", "instruct": edit}], schema=SAID)
    (row,) = operator.start((tmp_path,))(pairs, labels).kept.to_pylist()
    assert row["output"] == "Ask <PERSON>."


@pytest.mark.parametrize("name", ["instruction", "output"])
@pytest.mark.parametrize("blank", ["", " \n", "\u200b\x00", "\u200e"])
def test_an_edit_that_asks_or_answers_nothing_drops_its_pair(name: str, blank: str) -> None:
    pairs = pa.RecordBatch.from_pylist([pair("0"), pair("1")], schema=INSTRUCT)
    said = [{"id": "0", "label": "fit", "instruct": triple(**{name: blank})}, {"id": "1", "label": "fit"}]
    rows = ReviewedPairs().start(())(pairs, pa.RecordBatch.from_pylist(said, schema=SAID))
    assert rows.dropped is not None and rows.dropped.select(["id", "reason"]).to_pylist() == [
        {"id": "0", "reason": "empty_edit"}
    ]
    assert (rows.kept["id"].to_pylist(), rows.notes) == (["1"], None)


@pytest.mark.parametrize("no", [{"label": "unfit", "rejected": False}, {"label": None, "rejected": True}])
def test_unfit_pairs_go_and_the_others_stay_as_they_were(no: dict[str, Any]) -> None:
    kept, gone, notes = reviewed(no, {"label": "fit", "rejected": False}, {"label": None, "rejected": None})
    assert [(row["id"], row["reviewed"], row["text"]) for row in kept] == [
        ("1", "fit", pair("1")["text"]),
        ("2", None, pair("2")["text"]),
    ]
    assert (gone, notes) == (["0"], None)


def test_the_draw_depends_on_the_ids_alone_and_knows_its_chance() -> None:
    rows = pa.RecordBatch.from_pylist([pair(f"{k:02d}") for k in range(20)], schema=INSTRUCT)
    fold = PairSample(rows=5)
    rows = rows.select(list(fold.needs()[0] or ()))
    whole = fold.finish(fold.observe(0, rows), Path())
    halves = [fold.observe(0, rows.slice(12)), fold.observe(0, rows.slice(0, 12))]
    assert fold.finish(fold.merge(*halves), Path()) == whole
    assert whole["p_selected"].to_pylist() == [0.25] * 5 and sorted(whole["priority"].to_pylist()) == list(range(5))
