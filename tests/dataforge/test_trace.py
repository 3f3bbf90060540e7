"""Trace: where a row was at every step, what became of it, and nothing of what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataforge.errors import EXIT_INPUT, InputError
from dataforge.identity import row_id
from dataforge.trace import tell, trace, trace_text
from tests.dataforge.small_tables import Graph, write
from tests.dataforge.test_publish import published


class World:
    def __init__(self, folder: Path) -> None:
        self.version = published(folder)
        self.graph = Graph(folder / "again")
        self.tables = self.graph.tables()

    def trace(self, row: str) -> dict[str, Any]:
        return trace(self.tables, row, self.version)

    def at(self, row: str, step: str) -> dict[str, Any]:
        return next(s for s in self.trace(row)["steps"] if s["step"] == step and s["id"] == row)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("trace"))


KEPT, SHORT = row_id("notes", "15"), row_id("notes", "29")


def test_a_kept_row_is_seen_at_every_step(world: World) -> None:
    found = [(s["step"], s["event"]) for s in world.trace(KEPT)["steps"] if s["of"] == "row"]
    assert found == [
        ("read/notes", "read"),
        ("corpus/documents", "kept"),
        ("corpus/language", "attributes"),
        ("corpus/pii", "attributes"),
        ("corpus/acts", "attributes"),
        ("corpus/twins", "attributes"),
        ("corpus/split", "attributes"),
        ("corpus/clean", "rewritten"),
        ("corpus/tokens", "attributes"),
    ]


def test_spans_are_told_by_kind_and_texts_by_length(world: World) -> None:
    assert world.at(KEPT, "corpus/pii")["columns"] == {"spans": {"EMAIL_ADDRESS": 1}}
    assert world.at(KEPT, "read/notes")["columns"]["text"] == {"characters": 59}
    assert world.at(SHORT, "corpus/pii")["columns"] == {"spans": {}}


@pytest.mark.parametrize("row", [KEPT, SHORT, row_id("instruct", KEPT)])
def test_no_word_of_a_text_is_told(world: World, row: str) -> None:
    told = json.dumps(world.trace(row)) + trace_text(world.trace(row))
    for word in ("harbour", "example.org", "ana15", "short", "What about"):
        assert word not in told


def test_every_published_place_holds_the_row(world: World) -> None:
    found = world.trace(KEPT)
    assert found["fate"] == "published in instruct, sft, chat, corpus, tokenized, packed-64"
    for place in found["published"]:
        row = pq.read_table(world.version / place["file"]).slice(place["row"], 1).to_pylist()[0]
        assert place["id"] in (row.get("id"), *row.get("parents", ()))


def test_the_token_range_of_a_packed_row_holds_the_row_s_tokens(world: World) -> None:
    place = next(p for p in world.trace(KEPT)["published"] if "tokens" in p)
    packed = pq.read_table(world.version / place["file"]).slice(place["row"], 1).to_pylist()[0]
    tokens = next(r for r in world.graph.tokens.to_table().to_pylist() if r["id"] == KEPT)["input_ids"][:32]
    assert packed["input_ids"][place["tokens"]["start"] : place["tokens"]["end"]] == tokens


def test_a_dropped_row_has_reason_score_and_threshold(world: World) -> None:
    found = world.at(SHORT, "corpus/clean")
    assert (found["event"], found["reason"], found["score"], found["threshold"]) == (
        "dropped",
        "too_few_words",
        1.0,
        3.0,
    )
    assert world.trace(SHORT)["fate"] == "dropped at corpus/clean: too_few_words"
    assert world.trace(SHORT)["published"] == []


def test_a_duplicate_names_the_row_kept_in_its_place(world: World) -> None:
    twins = sorted(row_id("manuals", str(n)) for n in (8, 18, 28, 38))
    assert world.trace(twins[1])["fate"] == f"dropped at corpus/clean: near_duplicate, in favour of {twins[0]}"


def test_a_derived_row_knows_its_ancestors_and_a_row_its_descendants(world: World) -> None:
    child = row_id("instruct", KEPT)
    assert world.trace(child)["ancestors"] == [KEPT]
    assert child in world.trace(KEPT)["descendants"]
    assert world.trace(child)["fate"] == "published in instruct, sft, chat"
    assert next(s for s in world.trace(child)["steps"] if s["id"] == KEPT)["of"] == "ancestor"


def test_a_unique_prefix_will_do(world: World) -> None:
    assert world.trace(KEPT[:8])["id"] == KEPT
    assert world.trace(KEPT[:12].upper())["id"] == KEPT


def test_a_key_of_the_source_will_do(world: World) -> None:
    assert trace(world.tables, "15", sources=["mail", "notes"])["id"] == KEPT
    with pytest.raises(InputError, match=r"no table holds the row 15.*`provenance`"):
        trace(world.tables, "15", sources=["mail"])


def test_ids_that_name_no_row_or_several_are_input_errors(world: World, tmp_path: Path) -> None:
    for wrong in ("", "1234567", "zz" * 16, "0" * 33, "0" * 32):
        with pytest.raises(InputError) as error:
            world.trace(wrong)
        assert error.value.exit_code == EXIT_INPUT
    both = write(tmp_path, "both", pa.table({"id": ["ab" * 15 + "00", "ab" * 15 + "01"]}))
    with pytest.raises(InputError, match="2 ids fit"):
        trace([both], "ab" * 15)


def test_only_one_part_of_a_partitioned_table_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataforge import trace as module

    opened: list[str] = []
    original = module.read_groups

    def noted(path: Path, columns: Any, **rest: Any) -> Any:
        if columns is None or "text" in columns:
            opened.append(path.name)
        return original(path, columns, **rest)

    monkeypatch.setattr(module, "read_groups", noted)
    trace([world.graph.rows, world.graph.clean], SHORT)
    assert len(set(opened)) == 1


def test_without_a_published_version_the_last_step_is_told(world: World) -> None:
    assert trace(world.tables[:5], KEPT)["fate"] == "not published; last seen at corpus/pii"


def test_values_are_told_only_where_they_are_names_or_numbers() -> None:
    assert tell("language", "de") == "de"
    assert tell("title", "a secret") == {"characters": 8}
    assert tell("any", "ab" * 16) == "ab" * 16  # an id
    assert tell("score", 0.123456) == 0.1235
    assert tell("names", ["a", "b"]) == {"length": 2}
    assert tell("rewrites", ["nfc"]) == ["nfc"]
    assert tell("turn", {"user": "ana", "n": 3}) == {"user": {"characters": 3}, "n": 3}
