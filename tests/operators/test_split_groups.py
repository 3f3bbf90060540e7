"""Pairs that share a person, or a channel, share a split; who shares nothing is drawn apart."""

import json

import pyarrow as pa
import pytest

from dataforge.operators.dedupe_exact import SameValue
from dataforge.operators.split_groups import Grouped


def pairs(*rows: tuple[str, list[str]]) -> pa.RecordBatch:
    metas = [json.dumps({"channel": channel, "users": users}) for channel, users in rows]
    ids = [f"{k:032x}" for k in range(len(rows))]
    return pa.record_batch([pa.array(ids), pa.array(["chat"] * len(rows)), pa.array(metas)], ["id", "source", "meta"])


def edges(rows: pa.RecordBatch, by: str) -> set[tuple[int, int]]:
    """Places of rows that are tied to one another, by way of the engine's own routing."""
    same = SameValue(1, "group", "family")
    sent, parts = same.route(0, Grouped(by).start(())(rows).kept)
    assert set(parts) <= {0}
    (found,) = same.gather([pa.Table.from_batches([sent]).sort_by([("_key", "ascending"), ("id", "ascending")])])
    return {(int(a, 16), int(b, 16)) for a, b in zip(*(found.kept[c].to_pylist() for c in ("a", "b")), strict=True)}


TALK = [("x", ["ana", "bo"]), ("y", ["cy", "bo", "cy"]), ("x", ["dan"]), ("y", ["eve"])]


@pytest.mark.parametrize(("by", "tied"), [("person", {(0, 1)}), ("channel", {(0, 2), (1, 3)})])
def test_rows_with_something_in_common_are_tied(by, tied):
    assert edges(pairs(*TALK), by) == tied


def test_the_same_name_in_two_workspaces_is_two_people():
    rows = pairs(("x", ["ana"]), ("x", ["ana"]))
    apart = rows.set_column(1, "source", pa.array(["chat", "other"]))
    assert edges(rows, "person") == {(0, 1)} and edges(apart, "person") == set()
