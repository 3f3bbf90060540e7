"""Gold rows: masked, of known labels, under ids of their own, and never recognisable in the queue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataforge import Step
from dataforge.errors import InputError, SchemaError
from dataforge.identity import row_id
from dataforge.operators.gold import GoldRows
from dataforge.review.label_sets import load_label_set
from dataforge.review.questions import questions
from tests.literal import fill


def gold(folder: Path, *rows: dict[str, str]) -> GoldRows:
    (folder / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return GoldRows(str(folder / "gold.jsonl"), ("questions", "question", "other"))


def test_rows_are_masked_and_have_ids_of_their_own(tmp_path: Path) -> None:
    source = gold(tmp_path, {"id": "1", "text": "Is it kai@example.org?", "label": "questions"})
    rows = fill(Step("gold", source), tmp_path / "store").to_table().to_pylist()
    assert rows == [{"id": row_id("gold", "1"), "text": "Is it <EMAIL_ADDRESS>?", "label": "questions"}]


def test_an_unknown_label_names_its_line(tmp_path: Path) -> None:
    source = gold(tmp_path, {"id": "1", "text": "a", "label": "other"}, {"id": "2", "text": "b", "label": "othr"})
    with pytest.raises(SchemaError) as error:
        list(source.read(source.splits()[0]))
    assert error.value.row == 2 and "b" not in error.value.what.split()


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        GoldRows(str(tmp_path / "none.jsonl")).digest()


def test_nothing_in_the_queue_gives_a_gold_row_away() -> None:
    import pyarrow as pa

    common = {"text": "hm", "act": "other", "act_score": 0.0, "p_selected": 1.0, "prev_text": None, "next_text": None}
    rows = [
        {"id": "1", "source": "chat", "share": "random", "gold_label": None, **common},
        {"id": "2", "source": "gold", "share": "gold", "gold_label": "other", **common},
    ]
    drawn, known = questions(pa.Table.from_pylist(rows), load_label_set("speech_acts"))
    assert known["meta_json"] == drawn["meta_json"] is None
    assert known["suggestion"] is None and json.loads(known["gold_json"]) == ["other"]
