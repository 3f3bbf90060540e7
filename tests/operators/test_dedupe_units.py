"""Repeated units leave texts: the first copy by (id, place) stays, nothing else is lost, order does not matter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataforge import Step
from dataforge.flows.config_filters import DedupeConfig
from dataforge.flows.repeats import without_repeats
from dataforge.operators.clean import Clean
from dataforge.operators.clean_text import TextRules
from tests.flows.demo import small_config
from tests.literal import doc, documents, fill

PARTS = 4
PLAIN = Clean(TextRules(encoding=False, normalize="none", whitespace="keep"))
NOTICE = "We use cookies on this page."


def cut(texts: dict[str, str], **dedupe: Any) -> Step:
    config = DedupeConfig(**{"exact": "none", "max_removed": 1.0, **dedupe})
    bare = documents(texts)
    return without_repeats(_uncleaned(bare), PLAIN, config, parts=PARTS, prefix="corpus")


def _uncleaned(rows: Step) -> Step:
    """The source's rows without what Clean adds."""
    from dataforge.schemas.document import CLEAN, DOCUMENT
    from tests.literal import literal

    (source,) = rows.inputs
    cleaned = json.loads(source.operator.rows)  # type: ignore[attr-defined]
    kept = [{name: row[name] for name in row if name in DOCUMENT.names} for row in cleaned]
    assert set(DOCUMENT.names) < set(CLEAN.names)
    return literal(kept, DOCUMENT, parts=PARTS, name="raw")


def texts_of(table: Any, keys: Any) -> dict[str, str | None]:
    found = {row["id"]: row["text"] for row in table.to_table().to_pylist()}
    return {key: found.get(doc(key)) for key in keys}


def in_order(keys: str) -> list[str]:
    """Keys by the order of their ids, which decides whose copy is the first."""
    return sorted(keys, key=doc)


def test_a_repeated_paragraph_stays_in_the_document_with_the_smallest_id(engine: Any, tmp_path: Path) -> None:
    first, second, third = in_order("abc")
    texts = {first: f"{NOTICE}\n\nOne.", second: f"Two.\n\n{NOTICE}\n\nTwo and a half.", third: f"Three.\n\n{NOTICE}"}
    table = fill(cut(texts, exact="paragraph"), tmp_path, engine)
    assert texts_of(table, "abc") == {first: texts[first], second: "Two.\n\nTwo and a half.", third: "Three."}
    assert table.account.notes == {
        "removed:paragraphs:texts": 2,
        "removed:paragraphs:units": 2,
        "removed:paragraphs:bytes": 2 * len(NOTICE),
    }
    rows = {row["id"]: row for row in table.to_table().to_pylist()}
    assert rows[doc(second)]["rewrites"] == ["repeated_paragraphs"] and rows[doc(first)]["rewrites"] == []
    assert rows[doc(second)]["text_hash"] != rows[doc(first)]["text_hash"]


def test_texts_of_protected_sources_lose_nothing(tmp_path: Path) -> None:
    first, second = in_order("ab")
    texts = {first: f"{NOTICE}\n\nOne.", second: f"{NOTICE}\n\nTwo."}
    spared = fill(cut(texts, exact="paragraph", protected=("s",)), tmp_path / "spared")
    assert texts_of(spared, "ab") == texts
    others = fill(cut(texts, exact="paragraph", protected=("other",)), tmp_path / "others")
    assert texts_of(others, "ab") == {first: texts[first], second: "Two."}


def test_a_line_may_repeat_inside_one_text(tmp_path: Path) -> None:
    table = fill(cut({"a": f"{NOTICE}\nx\n{NOTICE}\ny"}, exact="line"), tmp_path)
    assert texts_of(table, "a") == {"a": f"{NOTICE}\nx\ny"}


def test_short_units_and_those_with_few_copies_stay(tmp_path: Path) -> None:
    texts = {"a": f"- \n{NOTICE}\none", "b": f"- \n{NOTICE}\ntwo"}
    assert texts_of(fill(cut(texts, exact="line", unit_characters=len(NOTICE) + 1), tmp_path / "short"), "ab") == texts
    assert texts_of(fill(cut(texts, exact="line", unit_copies=3), tmp_path / "few"), "ab") == texts


def test_three_sentences_that_repeat_go_and_two_do_not(tmp_path: Path) -> None:
    first, second, third = in_order("abc")
    shared = "He came at noon. She saw him. They left at once."
    texts = {
        first: f"Once. {shared} End.",
        second: f"Some day. {shared} Nobody knows.",
        third: "He came at noon. She saw him. And stayed.",
    }
    table = fill(cut(texts, exact="sentences"), tmp_path)
    assert texts_of(table, "abc") == {**texts, second: "Some day. Nobody knows."}


def test_a_document_that_loses_all_or_too_much_is_dropped_and_names_the_other(tmp_path: Path) -> None:
    first, second, third = in_order("abc")
    texts = {first: NOTICE, second: f" {NOTICE}\n", third: f"{NOTICE}\nand"}
    table = fill(cut(texts, exact="line", max_removed=0.8), tmp_path)
    assert texts_of(table, "abc") == {first: NOTICE, second: None, third: None}
    dropped = {row["id"]: row for row in table.to_table(kind="dropped").to_pylist()}
    assert {row["reason"] for row in dropped.values()} == {"repeated_lines"}
    assert dropped[doc(third)]["score"] == len(NOTICE) / (len(NOTICE) + 4) and dropped[doc(third)]["threshold"] == 0.8
    assert dropped[doc(second)]["into"] == dropped[doc(third)]["into"] == doc(first)


def test_a_dropped_document_takes_along_what_it_holds_first_unless_none_is_dropped(tmp_path: Path) -> None:
    first, second, third = in_order("abc")
    long, own = "A long line that both of the first two documents hold.", "A line of the second."
    texts = {first: f"{long}\nOne.", second: f"{long}\n{own}", third: f"Three.\nMore of it.\n{own}"}
    some = texts_of(fill(cut(texts, exact="line", max_removed=0.6), tmp_path / "a"), "abc")
    assert some == {first: texts[first], second: None, third: "Three.\nMore of it."}  # `own` is nowhere
    every = texts_of(fill(cut(texts, exact="line", max_removed=1.0), tmp_path / "b"), "abc")
    assert every == {first: texts[first], second: own, third: "Three.\nMore of it."}


def test_a_run_of_words_goes_from_the_minimum_length_on_wherever_it_begins(engine: Any, tmp_path: Path) -> None:
    first, second, third = in_order("abc")
    run = "this run of words, of just ten words, is copied"  # 10 words
    texts = {
        first: f"Before it: {run}; after it.",
        second: f"It says that “{run}” in a quotation.",
        third: f"Only nine: {run.removesuffix(' copied')} here.",
    }
    table = fill(cut(texts, substring=10), tmp_path, engine)
    assert texts_of(table, "abc") == {**texts, second: "It says that “” in a quotation."}


def test_a_longer_run_is_cut_whole_and_case_or_marks_make_another(tmp_path: Path) -> None:
    first, second, third = in_order("abc")
    run = " ".join(f"w{i}" for i in range(30))
    texts = {first: run, second: f"A. {run} B.", third: run.replace("w15 ", "w15, ")}
    table = fill(cut(texts, substring=20), tmp_path)
    assert texts_of(table, "abc") == {first: run, second: "A. B.", third: texts[third]}


WORDS = st.lists(st.sampled_from("ab"), min_size=1, max_size=30)
LINES = st.lists(st.lists(st.sampled_from(["x", "yy", "z.", ""]), max_size=8).map("\n".join), min_size=1, max_size=6)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES)
def test_every_line_is_left_exactly_once(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    keyed = {str(i): text for i, text in enumerate(texts)}
    table = fill(cut(keyed, exact="line", unit_characters=1), tmp_path_factory.mktemp("lines"))
    left = [line for text in table.to_table()["text"].to_pylist() for line in text.split("\n") if line]
    assert sorted(left) == sorted({line for text in texts for line in text.split("\n") if line})


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, min_size=1, max_size=5))
def test_runs_are_what_a_search_by_hand_finds(tmp_path_factory: pytest.TempPathFactory, texts: list[list[str]]) -> None:
    """Words of one letter: word i begins at byte 2 i. A word goes if it is in a run of 8 that stands before it."""
    keyed = {str(i): words for i, words in enumerate(texts)}
    table = fill(cut({key: " ".join(words) for key, words in keyed.items()}, substring=8), tmp_path_factory.mktemp("runs"))
    seen: set[tuple[str, ...]] = set()
    expected: dict[str, str | None] = {}
    for key in in_order(list(keyed)):  # type: ignore[arg-type]
        words, gone = keyed[key], set()
        for i in range(len(words) - 7):
            window = tuple(words[i : i + 8])
            gone |= set(range(i, i + 8)) if window in seen else set()
            seen.add(window)
        expected[key] = " ".join(word for i, word in enumerate(words) if i not in gone) or None
    assert texts_of(table, keyed) == expected


def test_a_run_cuts_what_the_config_asks_for_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dataforge.flows.cli import main

    ferry = "The ferry left the northern pier at seven and nobody waved, which was a pity for all. "
    bees = "Bees swarm on warm days in May and the keeper has about an hour to find another box for them. "
    texts = {"a": ferry + "Yes. " + ferry, "b": bees}
    rows = [{"id": key, "text": f"{text}\n\n{NOTICE} Read more about it."} for key, text in texts.items()]
    config = small_config(tmp_path, [json.dumps(r).encode() for r in rows], dedupe="{exact: paragraph, substring: 12}")
    assert main(["run", str(config), "--direct", "--workers", "1", "-q"]) == 0
    (report,) = tmp_path.glob("out/*/*/report.html")
    first, second = in_order("ab")
    for said in (_said(capsys, "funnel", config, "--all"), report.read_text()):
        assert "1 paragraphs (48 bytes) cut from 1 texts" in said and "1 runs (84 bytes) cut from 1 texts" in said
    trace = _said(capsys, "trace", config, doc(second))
    assert "corpus/unit-removals" in trace and doc(first) in trace and "repeated_paragraphs" in trace


def _said(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    from dataforge.flows.cli import main

    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out
