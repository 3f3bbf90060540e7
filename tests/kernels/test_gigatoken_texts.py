"""Texts that gigatoken reads where they lie: what awkward would say of them, and gigatoken's own ids."""

import awkward as ak
import numpy as np
import pytest

from dataforge.kernels.encode import strings_from
from dataforge.kernels.gigatoken_texts import texts_of

ROWS = ["ab", "", "é中", " x "]


@pytest.mark.parametrize(("start", "stop"), [(0, 4), (1, 3), (2, 2), (1, 2)])
def test_what_gigatoken_asks_is_answered_as_awkward_would(start, stop):
    strings = strings_from(ROWS).slice(start, stop)
    ours, plain = texts_of(strings), ak.Array([text.encode() for text in ROWS])[start:stop]
    assert isinstance(ours, ak.Array)
    for ask in (ak.flatten, ak.num):
        answers = [ak.to_numpy(ask(ak.without_parameters(array))) for array in (ours, plain)]
        assert [answer.dtype for answer in answers] == [np.uint8 if ask is ak.flatten else np.int64] * 2
        assert np.array_equal(*answers)


def test_bytes_are_not_copied():
    strings = strings_from(ROWS)
    flat = ak.to_numpy(ak.flatten(texts_of(strings)))
    assert flat.ctypes.data == strings.data.ctypes.data


def test_all_else_is_answered_by_awkward():
    ours = texts_of(strings_from(ROWS))
    assert ak.to_list(ours) == ROWS
    assert ak.num(ours, axis=0) == 4
    assert ak.sum(ak.flatten(ours)) == sum(b"".join(text.encode() for text in ROWS))
