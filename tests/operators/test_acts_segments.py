"""Messages cut into sentences."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.operator import Rows
from dataforge.operators.acts import TagActs
from dataforge.operators.acts_segments import SEGMENT, Segments


def cut(texts: list[str]) -> Rows:
    batch = pa.RecordBatch.from_pydict({"id": [f"m{i}" for i in range(len(texts))], "text": texts})
    return Segments().start([])(batch)


def test_sentences_keep_their_place_and_parent() -> None:
    rows = cut(["Thanks!  Could you send it? It's 3.5 MB."]).kept.to_pylist()
    assert [(row["text"], row["start"], row["end"]) for row in rows] == [
        ("Thanks!", 0, 7),
        ("Could you send it?", 9, 27),
        ("It's 3.5 MB.", 28, 40),
    ]
    assert {tuple(row["parents"]) for row in rows} == {("m0",)}
    assert [row["prev_text"] for row in rows] == [None, "Thanks!", "Could you send it?"]


def test_a_message_of_nothing_is_dropped() -> None:
    rows = cut(["", "Hi"])
    assert rows.kept.num_rows == 1
    assert rows.dropped is not None
    assert rows.dropped.to_pylist()[0]["reason"] == "empty"


def test_each_sentence_gets_its_own_act() -> None:
    segments = cut(["Hello everyone! The build is red. Could you please look at it?"]).kept
    acts = TagActs(context="columns", model="none").start([])(segments).kept.column("act").to_pylist()
    assert acts == ["expressives", "representatives", "directives"]


@settings(max_examples=60)
@given(st.text(alphabet="ab É日。.!? \n👍'", max_size=40))
def test_sentences_are_pieces_of_the_message_in_order(text: str) -> None:
    rows = cut([text])
    assert rows.kept.schema == SEGMENT
    end = 0
    for row in rows.kept.to_pylist():
        assert text[row["start"] : row["end"]] == row["text"]
        assert row["start"] >= end
        end = row["end"]
    outside = "".join(rows.kept.column("text").to_pylist())
    assert "".join(outside.split()) == "".join(text.split())
