"""What people said wins over the tagger; labels of other sets than the acts never become acts."""

from __future__ import annotations

import pyarrow as pa

from dataforge.operators.select import WithActs
from dataforge.schemas.act import ACT

IDS = ["1", "2", "3", "4"]
MESSAGES = pa.RecordBatch.from_pylist([{"id": i, "text": "hm"} for i in IDS])
TAGGED = {"act": "other", "form": "fragment", "act_score": 0.5, "act_by": "rules"}


def joined(*labels: tuple[str | None, bool | None]) -> tuple[list[tuple[str, str, str]], list[str]]:
    acts = pa.RecordBatch.from_pylist([{"id": i, **TAGGED, "act_scores": [0.125] * 8} for i in IDS], schema=ACT)
    said = pa.schema([("id", pa.string()), ("label", pa.string()), ("rejected", pa.bool_())])
    given = [{"id": i, "label": label, "rejected": no} for i, (label, no) in zip(IDS, labels, strict=True)]
    rows = WithActs(labelled=True).start(())(MESSAGES, acts, pa.RecordBatch.from_pylist(given, schema=said))
    kept = [(row["id"], row["act"], row["act_by"]) for row in rows.kept.to_pylist()]
    return kept, rows.dropped["id"].to_pylist()


def test_a_label_wins_a_rejected_row_goes_and_a_row_without_answer_stays_as_tagged() -> None:
    kept, gone = joined(("questions", False), (None, True), (None, None), ("stereotype", False))
    assert kept == [("1", "questions", "label"), ("3", "other", "rules"), ("4", "other", "rules")]
    assert gone == ["2"]
