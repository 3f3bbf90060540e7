"""Each message's neighbours in its thread, or in the open talk of its channel: what the tagger reads beside it."""

import pyarrow as pa
import pytest

from dataforge.operators import neighbours
from dataforge.operators.neighbours import CONTEXT, Neighbours
from tests.operators.slack_talking import said, table


def beside(*rows, **options):
    operator = Neighbours(1, **options)
    batch = table(*rows).select(list(operator.needs()[0])).combine_chunks().to_batches()[0]
    sent, targets = operator.route(0, batch)
    assert set(targets.tolist()) == {0}
    sorted_ = pa.Table.from_batches([sent]).sort_by([("_key", "ascending"), ("id", "ascending")])
    found = pa.concat_tables([piece.kept for piece in operator.gather([sorted_])])
    assert found.schema == CONTEXT
    return {row.pop("id"): tuple(row.values()) for row in found.to_pylist()}


TALK = (said(0, "ann", "one"), said(60, "ann", "two"), said(90, "bob", "three"), said(5000, "bob", "late"))
THREAD = (said(10, "cid", "root", thread=10), said(90_000, "ann", "reply", thread=10))


@pytest.mark.parametrize("rows", [1, 2, 65_536])
def test_neighbours_are_of_one_thread_or_of_one_talk_without_a_long_silence(monkeypatch, rows):
    monkeypatch.setattr(neighbours, "BATCH", rows)
    found = beside(*TALK, *THREAD)
    expected = {
        "one": (None, None, "two", True),
        "two": ("one", True, "three", False),
        "three": ("two", False, None, None),
        "late": (None, None, None, None),
        "root": (None, None, "reply", False),
        "reply": ("root", False, None, None),
    }
    assert found == {row["id"]: expected[row["text"]] for row in (*TALK, *THREAD)}
