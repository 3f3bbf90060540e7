"""Where rows are judged and dropped: which reason a row gets, with which score, against which threshold."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from dataforge.operators.quality import QualityRules, Rule
from dataforge.operators.select import DropTwins, Judge, LanguageRule, Mask, Select, SelectPairs, WithActs
from dataforge.operators.treatment import Treatment
from dataforge.schemas.document import SELECTED
from dataforge.schemas.edge import TWINS
from dataforge.schemas.verdict import DROPPED, SPANS, VERDICT

NAMES = ["a", "b", "c", "d"]


def batch(schema: pa.Schema | None = None, **columns: list[Any]) -> pa.RecordBatch:
    """Rows a, b, c, d; a column that is not given is null."""
    if schema is None:
        return pa.RecordBatch.from_pydict({"id": NAMES, **columns})
    arrays = [pa.array({"id": NAMES, **columns}.get(f.name, [None] * 4), f.type) for f in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def left_out(rows: pa.Table) -> list[tuple[Any, ...]]:
    assert rows.schema.names == DROPPED.names
    return [(r["id"], r["reason"], r["score"], r["threshold"], r["into"]) for r in rows.to_pylist()]


TWIN = batch(
    TWINS, cluster=["a", "a", "c", "c"], duplicate=[None, "exact", "near", None], into=[None, "a", "d", None],
    jaccard=[None, 1.0, 0.9, None],
)  # fmt: skip
MAIL = {"start": 0, "end": 7, "kind": "EMAIL_ADDRESS", "rule": "email", "score": 1.0}


def test_a_document_is_judged_as_empty_before_its_language_and_before_the_rules() -> None:
    rules = QualityRules((Rule("short", "words", "<", 5.0, "min_words"), Rule("numb", "digits / words", ">", 0.5, "most")))
    counters = batch(words=[0, 3, 9, 2], digits=[0, 0, 9, 0], characters=[0, 20, 40, 30], letters=[0, 18, 19, 25])
    languages = batch(
        language=["und", "fra", "fra", "fra"], language_score=pa.array([0.0, 0.9, 0.9, 0.9], pa.float32())
    )
    judge = Judge(rules, LanguageRule(keep=("eng",), min_letters=20))
    kept = judge.start([])(counters, languages).kept
    assert kept.schema == VERDICT
    assert kept["reason"].to_pylist() == ["empty", "short", "numb", "language"]
    assert kept["threshold"].to_pylist() == [None, 5.0, 0.5, 0.65]
    assert [round(score, 6) if score is not None else None for score in kept["score"].to_pylist()] == [None, 3.0, 1.0, 0.9]


def test_select_gives_the_verdict_before_the_duplicate_before_personal_data() -> None:
    verdict = batch(VERDICT, reason=["short", None, None, None], score=[3.0, None, None, None], threshold=[5.0] + [None] * 3)
    documents = batch(
        text=["x", "x", "anna@b.org is here", "anna@b."], source=["s"] * 4, key=["1", "2", "3", "4"],
        uri=pa.nulls(4, pa.string()), licence=pa.nulls(4, pa.string()),
    )  # fmt: skip
    spans = batch(SPANS, spans=[[], [], [MAIL], [MAIL]])
    splits, languages = batch(split=["train"] * 4), batch(language=["eng"] * 4)
    done = Select(Treatment("drop"), near=0.8).start([])(documents, verdict, TWIN, spans, splits, languages)
    assert done.kept.schema == SELECTED and done.kept.num_rows == 0
    assert left_out(done.dropped) == [
        ("a", "short", 3.0, 5.0, None),
        ("b", "exact_duplicate", 1.0, 1.0, "a"),
        ("c", "near_duplicate", 0.9, 0.8, "d"),
        ("d", "personal_data", 1.0, 0.0, None),
    ]
    assert done.notes == {"pii_EMAIL_ADDRESS": 1}  # of d alone: the others were gone before
    masked = Select(Treatment("mask")).start([])(documents, verdict, TWIN, spans, splits, languages)
    assert masked.kept.to_pylist() == [
        {"id": "d", "text": "<EMAIL_ADDRESS>", "source": "s", "language": "eng", "licence": None, "provenance": "4",
         "split": "train"}
    ]  # fmt: skip


def test_pairs_lose_their_duplicates_and_get_their_split() -> None:
    done = SelectPairs(near=0.8).start([])(batch(text=list("wxyz")), TWIN, batch(split=["train", "train", "test", "test"]))
    assert done.kept.to_pylist() == [
        {"id": "a", "text": "w", "split": "train"},
        {"id": "d", "text": "z", "split": "test"},
    ]
    gone = [("b", "exact_duplicate", 1.0, 1.0, "a"), ("c", "near_duplicate", 0.9, 0.8, "d")]
    assert left_out(done.dropped) == gone
    assert left_out(DropTwins(near=0.8).start([])(batch(text=list("wxyz")), TWIN).dropped) == gone


def test_no_duplicates_drop_nothing() -> None:
    alone = batch(TWINS, cluster=NAMES)
    done = DropTwins(near=0.8).start([])(batch(text=list("wxyz")), alone)
    assert (done.kept.num_rows, left_out(done.dropped)) == (4, []) and done.dropped.schema == DROPPED


@pytest.mark.parametrize(("action", "kept"), [("mask", NAMES), ("drop", ["a", "b", "d"])])
def test_messages_with_personal_data_are_masked_or_dropped(action: str, kept: list[str]) -> None:
    messages, spans = batch(text=["a", "b", "anna@b. c", "d"]), batch(SPANS, spans=[[], [], [MAIL], []])
    done = Mask(Treatment(action)).start([])(messages, spans)
    assert done.kept["id"].to_pylist() == kept
    assert left_out(done.dropped) == ([("c", "personal_data", 1.0, 0.0, None)] if action == "drop" else [])
    assert "anna" not in str(done.kept.to_pylist())


def test_people_win_over_the_tagger_and_words_of_another_label_set_do_not() -> None:
    messages = batch(text=list("wxyz"))
    acts = batch(
        act=["other"] * 4, form=["other"] * 4, act_score=pa.array([0.5] * 4, pa.float32()), act_by=["tagger"] * 4
    )
    labels = batch(label=["questions", "biased", None, "questions"], rejected=[False, None, False, True])
    done = WithActs(labelled=True).start([])(messages, acts, labels)
    assert [tuple(row.values())[1:] for row in done.kept.to_pylist()] == [
        ("w", "questions", "other", 1.0, "label"),
        ("x", "other", "other", 0.5, "tagger"),
        ("y", "other", "other", 0.5, "tagger"),
    ]
    assert left_out(done.dropped) == [("d", "rejected_in_review", None, None, None)]
