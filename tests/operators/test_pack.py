"""Packed sequences: every row is a parent or is dropped with a reason, nothing crosses splits, labels start ignored."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.errors import ConfigError, SchemaError
from dataforge.operators.pack import CORPUS, INSTRUCT, Pack, Packing
from dataforge.schemas.tokens import PACKED

IDS = pa.list_(pa.int32())


def rows(lengths, *, split="train", start=0, masked=()):
    """Row i has tokens 100*i, 100*i+1, …; labels are the same ids, or all -100 for rows in `masked`."""
    tokens = [[100 * (start + i) + k for k in range(n)] for i, n in enumerate(lengths)]
    labels = [[-100] * len(t) if i in masked else t for i, t in enumerate(tokens)]
    splits = [split] * len(lengths) if isinstance(split, str) else split
    return pa.record_batch(
        {
            "id": pa.array([f"{start + i:032x}" for i in range(len(lengths))], pa.string()),
            "input_ids": pa.array(tokens, IDS),
            "labels": pa.array(labels, IDS),
            "split": pa.array(splits, pa.string()),
        }
    )


def run(operator, *batches):
    """What the engine does, in one part: route, sort by (_key, id), gather."""
    tables = []
    for index, batch in enumerate(batches):
        routed, targets = operator.route(index, batch)
        assert (np.asarray(targets) < operator.parts).all()
        table = pa.Table.from_batches([routed]).sort_by([("_key", "ascending"), ("id", "ascending")])
        tables.append(table if table.num_rows else None)
    found = list(operator.gather(tables))
    kept = pa.concat_tables([rows.kept for rows in found]) if found else PACKED.empty_table()
    kept.validate(full=True)
    assert kept.schema.equals(PACKED)
    dropped = [row for rows in found if rows.dropped is not None for row in rows.dropped.to_pylist()]
    notes = {}
    for each in found:
        for name, count in (each.notes or {}).items():
            notes[name] = notes.get(name, 0) + count
    return kept.to_pylist(), dropped, notes


def test_a_sequence_holds_several_rows_with_restarting_positions():
    packed, dropped, notes = run(Pack(parts=1, sequence_length=8), rows([5, 3, 4]))
    assert [row["input_ids"] for row in packed] == [[0, 1, 2, 3, 4, 100, 101, 102], [200, 201, 202, 203]]
    assert packed[0]["labels"] == [-100, 1, 2, 3, 4, -100, 101, 102]
    assert packed[0]["position_ids"] == [0, 1, 2, 3, 4, 0, 1, 2]
    assert packed[0]["seq_lengths"] == [5, 3]
    assert packed[0]["parents"] == [f"{0:032x}", f"{1:032x}"]
    assert dropped == []
    assert notes["tokens"] == 12 and notes["room"] == 16


def test_overlong_rows_are_split_cut_or_dropped():
    batch = rows([7])
    split, _, _ = run(Pack(parts=1, sequence_length=4), batch)
    assert [row["input_ids"] for row in split] == [[0, 1, 2, 3], [4, 5, 6]]
    cut, _, notes = run(Pack(parts=1, sequence_length=4, tables=(Packing("bfd", "cut"),)), batch)
    assert [row["input_ids"] for row in cut] == [[0, 1, 2, 3]] and notes["tokens_cut"] == 3
    none, dropped, _ = run(Pack(parts=1, sequence_length=4, tables=(INSTRUCT,)), batch)
    assert none == []
    assert [(row["id"], row["reason"], row["score"], row["threshold"]) for row in dropped] == [
        (f"{0:032x}", "overlong", 7.0, 4.0)
    ]


def test_rows_with_nothing_to_learn_are_dropped():
    _, dropped, _ = run(Pack(parts=1, sequence_length=8), rows([3, 1, 0, 3], masked=(0,)))
    assert [(row["id"][-1], row["reason"]) for row in dropped] == [
        ("0", "all_masked"),
        ("1", "all_masked"),
        ("2", "all_masked"),
    ]


def test_splits_never_share_a_sequence():
    packed, _, _ = run(Pack(parts=1, sequence_length=100), rows([3, 3, 3, 3], split=["train", "test", "train", "test"]))
    assert [(row["split"], [int(p, 16) for p in row["parents"]]) for row in packed] == [
        ("test", [1, 3]),
        ("train", [0, 2]),
    ]


def test_tables_share_sequences_and_ties_go_to_the_lower_id():
    operator = Pack(parts=1, sequence_length=8, tables=(CORPUS, INSTRUCT))
    packed, dropped, _ = run(operator, rows([4, 4], start=5), rows([4, 4, 9], start=0))
    assert [[int(p, 16) for p in row["parents"]] for row in packed] == [[0, 1], [5, 6]]
    assert [row["reason"] for row in dropped] == ["overlong"]


def test_wrapped_fills_every_sequence_but_the_last():
    packed, _, _ = run(Pack(parts=1, sequence_length=4, tables=(Packing("wrapped", "split"),)), rows([3, 3, 3]))
    assert [row["input_ids"] for row in packed] == [[0, 1, 2, 100], [101, 102, 200, 201], [202]]
    assert [row["seq_lengths"] for row in packed] == [[3, 1], [2, 2], [1]]


@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 20), max_size=20),
    splits=st.lists(st.sampled_from(["train", "test"]), min_size=20, max_size=20),
    packing=st.sampled_from([CORPUS, INSTRUCT, Packing("bfd", "cut"), Packing("wrapped", "split")]),
)
def test_every_row_is_a_parent_or_is_dropped_and_its_tokens_come_back(lengths, splits, packing):
    batch = rows(lengths, split=splits[: len(lengths)])
    packed, dropped, _ = run(Pack(parts=1, sequence_length=6, tables=(packing,)), batch)
    tokens = {row["id"]: [] for row in batch.to_pylist()}
    for row in packed:
        assert sum(row["seq_lengths"]) == len(row["input_ids"]) <= 6
        assert len(row["parents"]) == len(row["seq_lengths"])
        at = 0
        for parent, length in zip(row["parents"], row["seq_lengths"], strict=True):
            assert row["labels"][at] == -100 and row["position_ids"][at : at + length] == list(range(length))
            tokens[parent].append(row["input_ids"][at : at + length])
            at += length
    gone = {row["id"] for row in dropped}
    assert len({row["id"] for row in packed}) == len(packed)
    for row in batch.to_pylist():
        assert (row["id"] in gone) != bool(tokens[row["id"]])
        whole = sorted(token for piece in tokens[row["id"]] for token in piece)
        assert whole == ([] if row["id"] in gone else row["input_ids"][: 6 if packing.overflow == "cut" else None])


def test_row_groups_do_not_change_the_sequences(monkeypatch):
    import dataforge.operators.pack as module

    batch = rows([3, 9, 4, 1, 7, 2, 8] * 5)
    whole = run(Pack(parts=1, sequence_length=8), batch)
    monkeypatch.setattr(module, "GROUP_TOKENS", 16)
    assert run(Pack(parts=1, sequence_length=8), batch) == whole


def test_no_rows_and_no_split_column():
    assert run(Pack(parts=1), rows([])) == ([], [], {})
    packed, _, _ = run(Pack(parts=1, split=""), rows([3]).drop_columns(["split"]))
    assert packed[0]["split"] == "train"
    assert Pack(split="").needs() == [["id", "input_ids", "labels"]]


def test_mistakes_are_said_clearly():
    with pytest.raises(ConfigError, match="policy"):
        Packing("best", "cut")
    with pytest.raises(ConfigError, match="overflow"):
        Packing("wrapped", "drop")
    with pytest.raises(ConfigError, match="sequence_length"):
        Pack(sequence_length=1)
    with pytest.raises(SchemaError, match="no split"):
        Pack().route(0, rows([3], split=[None]))
