"""Splits by a salted hash of the group: groups stay whole, shares come out, and nothing else moves a row."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataforge.operators.split import SPLIT, SplitByCluster, hash53

SHARES = (("train", 0.9), ("validation", 0.06), ("test", 0.04))


def split_of(groups: list[str], shares: tuple[tuple[str, float], ...] = SHARES, salt: str = "s") -> list[str]:
    rows = pa.record_batch([[f"row-{i}" for i in range(len(groups))], pa.array(groups, pa.string())], ["id", "cluster"])
    done = SplitByCluster(shares, salt).start([])(rows).kept
    assert done.schema == SPLIT and done["id"].to_pylist() == rows["id"].to_pylist()
    return done["split"].to_pylist()


@given(st.lists(st.text(max_size=3), max_size=20))
def test_a_group_is_in_one_split_whoever_else_is_there(groups: list[str]) -> None:
    assert split_of(groups) == [split_of([group])[0] for group in groups]


def test_shares_are_cut_in_their_order_out_of_one_range() -> None:
    groups = [f"g{i}" for i in range(2000)]
    found, finer = split_of(groups), split_of(groups, (("train", 0.5), ("validation", 0.46), ("test", 0.04)))
    assert [found.count(name) for name, _ in SHARES] == [1791, 121, 88]
    assert [name == "test" for name in found] == [name == "test" for name in finer]  # its share lies where it lay
    assert all(name == "train" for name, other in zip(found, finer, strict=True) if other == "train")


def test_another_salt_is_another_draw() -> None:
    groups = [f"g{i}" for i in range(200)]
    assert split_of(groups) != split_of(groups, salt="t") and split_of(groups) == split_of(groups)


@pytest.mark.parametrize("shares", [(("train", 1.0),), (("train", 1.0), ("test", 0.0)), (("train", 0.1),) * 10])
def test_shares_that_sum_to_one_lose_no_row(shares: tuple[tuple[str, float], ...]) -> None:
    assert set(split_of([f"g{i}" for i in range(500)], shares)) == {"train"}


def test_a_draw_is_53_bits_of_salt_and_group() -> None:
    assert hash53("ab", "c") != hash53("a", "bc") and 0 <= hash53("ab", "c") < 1 << 53
