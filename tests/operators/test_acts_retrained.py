"""Retraining on labels: measured on rows it did not see, used only where it is not worse, with nothing kept of texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dataforge import Map, Step
from dataforge.operators.acts import CONTEXT, TagActs
from dataforge.operators.acts_retrained import REPORT, TAUGHT, RetaggedActs, Retrain, weighted_accuracy
from dataforge.operators.sample import CANDIDATE
from tests.literal import literal

RULES = TagActs(context="table", model="none")
MESSAGES = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("text", pa.string(), nullable=False)])
NEAR = pa.schema([MESSAGES.field("id"), *(CANDIDATE.field(name) for name in CONTEXT)])


def taught(labels: list[tuple[str, str]]) -> pa.Table:
    rows = [{"id": f"{k:032x}", "text": text, "label": label, "p_selected": 1.0} for k, (text, label) in enumerate(labels)]
    return pa.Table.from_pylist(rows, schema=TAUGHT)


def report_of(labels: list[tuple[str, str]], out: Path) -> dict[str, Any]:
    fold = Retrain(RULES)
    fold.finish(fold.observe(0, taught(labels).to_batches()[0]), out)
    return json.loads((out / REPORT).read_text())


# What the rules call a greeting, this house uses as an order: only labels can tell.
HOUSE = [(f"hello {word}", "directives") for word in "abcdefghijklmnopqrstuvwxyz"] + [
    (f"what is {word}?", "questions") for word in "abcdefghijklmnopqrstuvwxyz"
]


def test_labels_that_the_rules_get_wrong_make_a_better_tagger_which_is_used(tmp_path: Path) -> None:
    report = report_of(HOUSE, tmp_path)
    assert report["labels"] == 52 and report["folds"] == 5
    assert report["used"] == (report["after"]["value"] >= report["before"]["value"])
    for share in (report["before"], report["after"]):
        assert share["low"] < share["value"] < share["high"] or share["value"] in (0.0, 1.0)
    assert b"hello" not in b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())


@pytest.mark.parametrize("labels", [HOUSE[:29], HOUSE[:26] * 2], ids=["too few", "all alike"])
def test_too_few_or_equal_labels_train_nothing(labels: list[tuple[str, str]], tmp_path: Path) -> None:
    report = report_of(labels, tmp_path)
    assert not report["used"] and report["why"] and not (tmp_path / "model").exists()


def test_rejected_rows_gold_rows_and_labels_of_other_sets_are_not_taught() -> None:
    rows = [
        {"id": "1", "text": "a", "label": None},
        {"id": "2", "text": None, "label": "questions"},
        {"id": "3", "text": "b", "label": "stereotype"},
        {"id": "4", "text": "c", "label": "questions"},
    ]
    assert Retrain(RULES).observe(0, pa.Table.from_pylist(rows, TAUGHT).to_batches()[0])["id"].to_pylist() == ["4"]


@pytest.mark.parametrize("used", [True, False])
def test_messages_are_tagged_by_the_one_that_is_used(used: bool, tmp_path: Path) -> None:
    report_of(HOUSE, tmp_path)
    told = json.loads((tmp_path / REPORT).read_text())
    (tmp_path / REPORT).write_text(json.dumps({**told, "used": used}))
    tag = RetaggedActs(RULES).start([tmp_path])
    base = pa.RecordBatch.from_pylist([{"id": "1", "text": "what is k?"}], schema=MESSAGES)
    rows = tag(base, pa.RecordBatch.from_pylist([{"id": "1"}], schema=NEAR)).kept.to_pylist()
    assert [(row["act"], row["act_by"]) for row in rows] == [("questions", "model" if used else "rules")]


def test_rows_weigh_by_the_chance_of_being_drawn() -> None:
    share = weighted_accuracy(np.array([True, False]), pa.chunked_array([[0.25, 1.0]]))
    assert (share["value"], share["n"]) == (0.8, 2)
    assert weighted_accuracy(np.zeros(0, bool), pa.chunked_array([pa.array([], pa.float64())]))["value"] is None


def test_the_model_of_another_base_is_another_step() -> None:
    step = Step("messages", RetaggedActs(RULES), (literal([], MESSAGES),))
    assert isinstance(step.operator, Map) and step.operator.needs() == RULES.needs()
