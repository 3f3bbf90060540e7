"""Any Arrow string array becomes offsets and bytes that hold the same texts."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataforge.kernels.buffers import arrow_of, null_mask, refuse_broken, strings_of

ROWS = ["", "a", "é 漢字", "a\0b", "x" * 100, "\U0001f600"]
TYPES = [pa.string(), pa.large_string()]


def texts_of(array):
    return [text.decode() for text in strings_of(array).texts()]


@pytest.mark.parametrize("kind", TYPES)
def test_texts_are_kept(kind):
    assert texts_of(pa.array(ROWS, kind)) == ROWS


@pytest.mark.parametrize("kind", TYPES)
def test_slices_are_respected(kind):
    assert texts_of(pa.array(ROWS, kind)[2:5]) == ROWS[2:5]


@pytest.mark.parametrize("kind", TYPES)
def test_a_null_row_that_owns_bytes_is_empty(kind):
    full = pa.array(["a", "secret", "b"], kind)
    bits = pa.py_buffer(bytes([0b101]))
    array = pa.Array.from_buffers(kind, 3, [bits, *full.buffers()[1:]], 1)
    assert texts_of(array) == ["a", "", "b"]
    assert null_mask(array).tolist() == [False, True, False]


EMPTY = [pa.array([], pa.string()), pa.nulls(0, pa.string()), pa.chunked_array([], pa.string())]


@pytest.mark.parametrize("array", EMPTY)
def test_nothing_gives_one_offset(array):
    assert strings_of(array).offsets.tolist() == [0]


def test_all_empty_rows_need_no_bytes():
    array = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(np.zeros(3, np.int32)), pa.py_buffer(b"")])
    assert texts_of(array) == ["", ""]


def test_chunks_are_joined():
    array = pa.chunked_array([pa.array(["a", None]), pa.array([], pa.string()), pa.array(["zz", "b"])[1:]])
    assert texts_of(array) == ["a", "", "b"]


def test_one_chunk_is_not_copied():
    array = pa.array(["abc"], pa.large_string())
    assert strings_of(array).data.ctypes.data == array.buffers()[2].address


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="not int64"):
        strings_of(pa.array([1]))


def test_invalid_utf8_is_named_by_its_row():
    rows = pa.array([b"ok", b"\xff", b"ok"]).view(pa.string())
    with pytest.raises(ValueError, match="row 2 is"):
        refuse_broken(strings_of(pa.chunked_array([pa.array(["x"]), rows])))


@given(st.lists(st.none() | st.text(max_size=20), max_size=20), st.integers(0, 5))
def test_round_trip(rows, start):
    array = pa.array(rows, pa.string())[start:]
    assert arrow_of(strings_of(array), null_mask(array)).to_pylist() == rows[start:]
