"""Audit of drops: a fixed random draw of each filter, masked, with the row that was kept instead; never personal drops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dataforge import Map, Rows, Step, Table
from dataforge.operator import Contract
from dataforge.operators.audit import AUDIT, DRAWN, AuditSample, AuditTexts, Draw, questions_of, smallest_lots
from dataforge.operators.pii import FindPii
from dataforge.schemas.verdict import DROPPED
from tests.literal import doc, documents, fill


@dataclass(frozen=True)
class Refuse(Map):
    """Drops every document whose text starts with a reason and a colon; `into` is the document of key "kept"."""

    contract: ClassVar[Contract] = Contract.SUBSET

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return pa.schema([inputs[0].field("id"), inputs[0].field("text")])

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        def drop(rows: pa.RecordBatch) -> Rows:
            bad = pc.match_substring(rows.column("text"), ": ")
            gone = rows.filter(bad).to_pylist()
            reasons = [(row["id"], row["text"].split(": ")[0]) for row in gone]
            lost = [{"id": i, "reason": r, "into": doc("kept") if r == "near_duplicate" else None} for i, r in reasons]
            return Rows(rows.filter(pc.invert(bad)), pa.Table.from_pylist(lost, DROPPED))

        return drop


TEXTS = {
    "kept": "the long one, write to kai@example.org",
    "twin": "near_duplicate: the long one",
    "same": "exact_duplicate: the long one",
    "private": "personal_data: ask mira@example.org",
    **{f"short{k}": f"too_short: text {k} of lee@example.org" for k in range(20)},
    **{f"menu{k}": f"menu: home about {k}" for k in range(3)},
}


def audited(rows: int = 5, **options: Any) -> tuple[Step, Step, Step]:
    """(drawn, sample, texts) over `Refuse`."""
    base = documents(TEXTS)
    personal = Step("pii", FindPii(), (base,))
    refused = Step("refused", Refuse(), (base,))
    drawn = Step("drawn", Draw(4, 1, rows, **options), (refused,))
    sample = Step("sample", AuditSample(rows), (drawn,))
    return drawn, sample, Step("texts", AuditTexts(4, "refused", spans=True), (sample, base, personal))


def filters_of(table: Table) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for row in table.to_table().to_pylist():
        found.setdefault(row["filter"], []).append((row["n_dropped"], row["p_selected"]))
    return found


def test_each_filter_gives_its_rows_and_says_how_many_it_dropped(tmp_path: Path, engine: Any) -> None:
    _, sample, _ = audited()
    assert filters_of(fill(sample, tmp_path, engine)) == {
        "refused: too_short": [(20, 0.25)] * 5,
        "refused: menu": [(3, 1.0)] * 3,
        "refused: near_duplicate": [(1, 1.0)],
    }


def test_only_the_asked_reasons_are_drawn_and_personal_ones_not_even_then(tmp_path: Path) -> None:
    _, sample, _ = audited(reasons=("menu", "exact_duplicate", "personal_data"))
    assert sorted(filters_of(fill(sample, tmp_path))) == ["refused: exact_duplicate", "refused: menu"]


def test_people_see_masked_text_and_what_was_kept_instead(tmp_path: Path, engine: Any) -> None:
    _, sample, texts = audited(rows=1, reasons=("too_short", "near_duplicate"))
    shown = fill(texts, tmp_path, engine).to_table()
    asked = questions_of(fill(sample, tmp_path).to_table(), [shown]).to_pylist()
    assert {row["filter"]: row["context"] for row in asked} == {
        "refused: too_short": [],
        "refused: near_duplicate": [
            {"speaker": "kept instead", "text": "the long one, write to <EMAIL_ADDRESS>", "after": False}
        ],
    }
    (short,) = (row for row in asked if row["filter"] == "refused: too_short")
    assert short["text"].startswith("too_short: text ") and short["text"].endswith(" of <EMAIL_ADDRESS>")
    assert short["random"] and short["p_selected"] == 0.05


def test_nothing_dropped_is_nothing_asked(tmp_path: Path) -> None:
    base = documents(["fine"])
    drawn = Step("drawn", Draw(4, 1), (Step("refused", Refuse(), (base,)),))
    table = fill(Step("sample", AuditSample(), (drawn,)), tmp_path).to_table()
    assert table.num_rows == 0 and table.schema.names == AUDIT.names
    assert questions_of(table, []).num_rows == 0


@pytest.mark.parametrize("cut", [1, 3, 7])
def test_the_draw_does_not_depend_on_how_rows_are_cut(cut: int) -> None:
    rows = [
        {"id": f"{k:032x}", "step": "s", "reason": "ab"[k % 2], "lot": (k * 7919) % 101, "n": 1, "score": None}
        for k in range(20)
    ]
    table = pa.Table.from_pylist(rows, schema=DRAWN)
    whole, pieces = smallest_lots(table, 3), DRAWN.empty_table()
    for at in range(0, 20, cut):
        pieces = smallest_lots(pa.concat_tables([smallest_lots(table.slice(at, cut), 3), pieces]), 3)
    assert pieces.equals(whole)
    assert whole["n"].to_pylist() == [10, 0, 0, 10, 0, 0]
