"""The benchmarks' own parts: rows have the contract's columns, generated texts are the same every time."""

from dataclasses import fields

import pytest

from tests.benchmarks import signatures_memory
from tests.benchmarks.corpora import generated
from tests.benchmarks.frame import PeerMissing, Row, Setup, compare

COLUMNS = ["work", "corpus", "ours", "unit", "peer", "variant", "peer_version", "theirs", "ratio", "exact"]


def test_rows_have_the_columns_of_the_contract():
    assert [field.name for field in fields(Row)] == COLUMNS
    row = compare("minhash", "english", 10.0, True, "rensa", "all", {"version": "1", "mb_s": 4.0})
    assert (row.theirs, row.ratio) == (4.0, 2.5)


@pytest.mark.parametrize("name", ["english", "multilingual", "cjk", "code"])
def test_generated_texts_are_the_same_every_time(name):
    texts = generated(name, 20_000)
    assert texts == generated(name, 20_000)
    assert sum(len(text.encode()) for text in texts) >= 20_000


def test_a_missing_environment_is_named(tmp_path):
    with pytest.raises(PeerMissing, match=r"constraints-bench\.txt"):
        Setup(None, tmp_path).peer("minhash_peer.py", "rensa", ["a"])


def test_the_memory_of_signatures_is_measured_through_all_steps(tmp_path):
    found = signatures_memory.measure(2_000, 2, tmp_path / "store")
    assert found["signed"]["rows"] == 2_000
    assert 0 < found["clusters"]["rows"] <= 2_000 and found["pairs"]["rows"] > 0
