"""Rows of ids: what is written past the caches is what the plain loop writes."""

import numpy as np
import pytest

from dataforge.kernels import token_rows
from dataforge.kernels.cpu.token_rows import copy_rows
from dataforge.kernels.encode import Ids


def found_of(lengths):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Ids(offsets, np.arange(1, offsets[-1] + 1, dtype=np.int32))


@pytest.mark.parametrize("limit", [0, 20])
@pytest.mark.parametrize(("bos", "eos"), [(-1, 7), (5, -1), (5, 7)])
def test_rows_of_all_lengths_at_all_places(monkeypatch, bos, eos, limit):
    found = found_of([0, 1, 2, *range(14, 36), 200, 0, 0, 63, 64, 65])
    plain = token_rows.frame(found, None, bos=bos, eos=eos, limit=limit)
    monkeypatch.setattr(token_rows, "STREAMED_BYTES", 0)
    assert token_rows._copier(found.ids, found.ids) is copy_rows
    streamed = token_rows.frame(found, None, bos=bos, eos=eos, limit=limit)
    assert np.array_equal(streamed.ids, plain.ids) and np.array_equal(streamed.labels, plain.labels)


@pytest.mark.parametrize("shift", range(16))
def test_nothing_beside_the_rows_is_written(shift):
    found = found_of([40, 17])
    room = np.zeros(100, np.int32)
    out, target = room[shift : shift + 59], np.array([0, 41, 59])
    none = np.zeros(2, bool)
    copy_rows(found.offsets, found.ids, np.diff(found.offsets), none, target, (-1, 9), (False, True), out)
    assert out.tolist() == [*range(1, 41), 9, *range(41, 58), 9]
    assert not room[:shift].any() and not room[shift + 59 :].any()


def test_what_is_not_contiguous_goes_the_plain_way(monkeypatch):
    monkeypatch.setattr(token_rows, "STREAMED_BYTES", 0)
    found = found_of([3, 2])
    every_second = np.repeat(found.ids, 2)[::2]
    rows = token_rows.frame(Ids(found.offsets, every_second), None, bos=-1, eos=9, limit=0)
    assert rows.ids.tolist() == [1, 2, 3, 9, 4, 5, 9]
