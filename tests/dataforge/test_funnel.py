"""The funnel: read from manifests, sources first and summed, every row accounted for."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from dataforge.funnel import aside, by_source, funnel, funnel_text, ledger
from dataforge.operator import Contract
from tests.dataforge.small_tables import Graph, write


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return Graph(tmp_path_factory.mktemp("funnel"))


def test_the_first_entry_is_the_reading_of_all_sources(graph: Graph) -> None:
    assert funnel(graph.tables())[0] == {"step": "sources", "in": 41, "out": 40, "dropped": {}, "quarantined": 1}
    assert [(e["step"], e["in"]) for e in by_source(graph.tables())] == [("read/notes", 21), ("read/manuals", 20)]


def test_steps_follow_in_graph_order(graph: Graph) -> None:
    steps = [entry["step"] for entry in funnel(graph.tables())]
    assert steps == ["sources", *(table.step for table in graph.tables()[2:])]


def test_reasons_come_most_rows_first(graph: Graph) -> None:
    clean = next(entry for entry in funnel(graph.tables()) if entry["step"] == "corpus/clean")
    assert clean == {
        "step": "corpus/clean",
        "in": 40,
        "out": 33,
        "dropped": {"too_few_words": 4, "near_duplicate": 3},
        "quarantined": 0,
    }
    assert list(clean["dropped"]) == ["too_few_words", "near_duplicate"]


def test_the_ledger_closes_for_every_step(graph: Graph) -> None:
    for entry in ledger(graph.tables()):
        assert entry["in"] == entry["kept"] + sum(entry["dropped"].values()) + entry["quarantined"]


def test_rows_about_rows_are_left_out(graph: Graph, tmp_path: Path) -> None:
    edges = write(tmp_path, "corpus/edges", pa.table({"id": ["0" * 32]}), contract=Contract.ASIDE)
    assert funnel([*graph.tables(), edges]) == funnel(graph.tables())
    entry = {"step": "corpus/edges", "read": edges.account.rows_in, "rows": 1}
    assert aside([*graph.tables(), edges]) == [entry]
    beside = [{**entry, "read": 40}, {**entry, "read": 9, "rows": None}]
    text = funnel_text(funnel(graph.tables()), every_step=True, beside=beside)
    assert text.endswith(
        "beside them, from rows that go on above (nothing is lost here):\n"
        "  corpus/edges: 1 row from 40\n"
        "  corpus/edges: files from 9\n"
    )


def test_text_is_aligned_and_hides_steps_that_only_add_columns(graph: Graph) -> None:
    assert funnel_text(funnel(graph.tables())) == (
        "step           in  out  dropped  quarantined  reasons\n"
        "sources        41   40        0            1\n"
        "corpus/clean   40   33        7            0  too_few_words 4, near_duplicate 3\n"
        "corpus/packed  33   17        0            0  17 made of 33\n"
        "(8 more steps left the number of rows as it was)\n"
    )
    assert len(funnel_text(funnel(graph.tables()), every_step=True).splitlines()) == 12


def test_no_tables_give_an_empty_funnel() -> None:
    assert funnel([]) == []
    assert funnel_text([]) == "step  in  out  dropped  quarantined  reasons\n"
