"""The benchmarks' own parts: rows have the contract's columns, generated texts are the same every time."""

from dataclasses import fields

import pytest

from tests.benchmarks import signatures_memory
from tests.benchmarks.bench_dedupe import line, told_of
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


def test_the_ratio_for_a_million_counts_starts_once_and_paces_in_full() -> None:
    ours = [{"documents": 1_000, "cpu_s": 6.0}, {"documents": 11_000, "cpu_s": 7.0}]
    theirs = [{"documents": 100, "cpu_s": 2.5}, {"documents": 1_000, "cpu_s": 7.0}]
    assert line(*ours) == pytest.approx((5.9, 1e-4))
    assert told_of(*ours, *theirs) == "47.2 for 1,000,000 (ours 5.9 s + 100 us a document, theirs 2.0 s + 5000 us)"
