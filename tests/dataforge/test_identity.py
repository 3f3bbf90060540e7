"""Ids travel as text and as bytes, whole, sliced and in chunks: the same ids, the same order, the same sums."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from dataforge.identity import (
    canonical,
    hex_prefix,
    id_sum,
    pack_ids,
    part_of,
    rank_ids,
    row_id,
    row_ids,
    text_hashes,
    unpack_ids,
)

NUMBERS = st.lists(st.integers(0, 2**128 - 1), max_size=12)
CUTS = st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from([pa.string(), pa.large_string()]))


def arrays(numbers: list[int], cut: tuple[int, int, pa.DataType]) -> tuple[list[int], list[pa.Array | pa.ChunkedArray]]:
    """A slice of the ids, as one array and in two chunks."""
    first, tail, kind = cut
    column = pa.array([f"{number:032x}" for number in numbers], kind)
    part = column.slice(first, max(0, len(numbers) - first - tail))
    return numbers[first : first + len(part)], [part, pa.chunked_array([part.slice(0, 2), part.slice(2)], kind)]


@given(NUMBERS, CUTS)
def test_the_sum_of_ids_is_that_of_their_numbers(numbers: list[int], cut: tuple[int, int, pa.DataType]) -> None:
    wanted, given_as = arrays(numbers, cut)
    assert [id_sum(ids) for ids in given_as] == [sum(wanted) % 2**128] * 2


@given(NUMBERS, CUTS)
def test_packed_ids_come_back_and_keep_their_order(numbers: list[int], cut: tuple[int, int, pa.DataType]) -> None:
    wanted, given_as = arrays(numbers, cut)
    for ids in given_as:
        packed = pack_ids(ids)
        assert [int.from_bytes(value) for value in packed.to_pylist()] == wanted
        assert unpack_ids(packed).to_pylist() == ids.to_pylist()
        distinct, places = rank_ids(packed)
        assert [int.from_bytes(value) for value in distinct.to_pylist()] == sorted(set(wanted))
        assert [sorted(set(wanted))[place] for place in places] == wanted


@given(NUMBERS, CUTS, st.sampled_from([1, 2, 8, 65536]))
def test_parts_are_cut_out_of_the_first_bits(numbers: list[int], cut: tuple[int, int, pa.DataType], parts: int) -> None:
    wanted, given_as = arrays(numbers, cut)
    for ids in given_as:
        assert hex_prefix(ids).tolist() == [number >> 112 for number in wanted]
        assert part_of(ids, parts).tolist() == [number * parts >> 128 for number in wanted]


@pytest.mark.parametrize("parts", [0, 3, 131072])
def test_other_numbers_of_parts_are_refused(parts: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        part_of(pa.array(["0" * 32]), parts)


@pytest.mark.parametrize("odd", ["0" * 31, "0" * 33, None])
def test_what_is_no_id_is_not_packed(odd: str | None) -> None:
    with pytest.raises(ValueError, match="32 hex digits"):
        pack_ids(pa.array(["1" * 32, odd]))


def test_the_id_of_a_row_is_a_hash_of_source_and_key() -> None:
    assert row_ids("a", ["b", ""]).to_pylist() == [row_id("a", "b"), row_id("a", "")]
    assert row_id("a", "b") != row_id("ab", "") and len(row_id("a", "b")) == 32


def test_parameters_have_one_plain_form() -> None:
    class Side(enum.Enum):
        LEFT = "left"

    class Word(enum.StrEnum):
        ONE = "one"

    @dataclass(frozen=True)
    class Inner:
        shares: dict[str, float]
        path: str = field(metadata={"identity": False})

    value = {"b": (1, None), "a": Inner({"y": 0.5, "x": 1.0}, "here"), "e": [Side.LEFT, Word.ONE], "s": {"v", "u"}}
    assert canonical(value) == {
        "a": {"": "Inner", "shares": {"x": 1.0, "y": 0.5}},
        "b": [1, None],
        "e": ["left", "one"],
        "s": ["u", "v"],
    }
    with pytest.raises(TypeError, match="ndarray has no canonical form"):
        canonical(np.zeros(1))


@given(st.lists(st.text(max_size=5), max_size=8), st.integers(0, 4), st.sampled_from([pa.string(), pa.large_string()]))
def test_the_hash_of_a_text_is_that_of_its_bytes_in_any_array(texts: list[str], cut: int, kind: pa.DataType) -> None:
    column = pa.array(["before", *texts], kind).slice(1)
    wanted = [xxhash.xxh3_128_hexdigest(text.encode()) for text in texts]
    chunks = pa.chunked_array([column.slice(0, cut), column.slice(cut)], kind)
    assert [text_hashes(given_as).to_pylist() for given_as in (column, chunks)] == [wanted, wanted]
