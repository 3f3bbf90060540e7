"""Packing plans: nothing lost, nothing longer than N, best fit as a slow loop would choose it."""

import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dataforge.kernels import pack
from dataforge.kernels.loops import compiled

lengths_of = st.lists(st.integers(1, 12), max_size=40).map(lambda values: np.array(values, np.int64))


def contents(plan):
    """[[(row, start, length), ...] per sequence]"""
    found = [[] for _ in range(plan.count)]
    for row, start, length, sequence in zip(plan.rows, plan.starts, plan.lengths, plan.sequences, strict=True):
        found[int(sequence)].append((int(row), int(start), int(length)))
    return found


def best_fit_by_hand(lengths, size):
    """The definition: longest first, into the fullest sequence with room; among equals the one that got there first."""
    sequences = []
    for clock, row in enumerate(sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))):
        fitting = [s for s in sequences if s["free"] >= lengths[row]]
        if fitting:
            chosen = min(fitting, key=lambda s: (s["free"], s["since"]))
        else:
            chosen = {"free": size, "rows": []}
            sequences.append(chosen)
        chosen["rows"].append((row, 0, int(lengths[row])))
        chosen["free"] -= lengths[row]
        chosen["since"] = clock
    return [s["rows"] for s in sequences]


@given(lengths_of)
def test_best_fit_is_what_the_slow_loop_chooses(lengths):
    assert contents(pack.best_fit(lengths, 12)) == best_fit_by_hand(lengths, 12)


def test_best_fit_fills_the_smallest_gap():
    assert contents(pack.best_fit(np.array([7, 5, 3, 2]), 10)) == [[(0, 0, 7), (2, 0, 3)], [(1, 0, 5), (3, 0, 2)]]


def test_equal_lengths_keep_their_order():
    assert contents(pack.best_fit(np.array([4, 4, 4]), 8)) == [[(0, 0, 4), (1, 0, 4)], [(2, 0, 4)]]


@given(lengths_of, st.integers(1, 9))
def test_split_loses_no_token_and_cuts_no_row_in_more_pieces_than_needed(lengths, size):
    plan = pack.best_fit_split(lengths, size)
    assert (plan.tokens() <= size).all()
    for row, length in enumerate(lengths.tolist()):
        mine = sorted((s, n) for r, s, n in (piece for seq in contents(plan) for piece in seq) if r == row)
        assert [s for s, _ in mine] == list(range(0, length, size))
        assert sum(n for _, n in mine) == length


@given(lengths_of, st.integers(1, 9))
def test_wrapped_is_one_text_after_another(lengths, size):
    plan = pack.wrapped(lengths, size)
    order = [
        (int(r), int(s) + k) for r, s, n in zip(plan.rows, plan.starts, plan.lengths, strict=True) for k in range(n)
    ]
    assert order == [(row, k) for row, length in enumerate(lengths.tolist()) for k in range(length)]
    assert (plan.tokens()[:-1] == size).all()
    assert plan.count == -(-int(lengths.sum()) // size)


@given(lengths_of, st.integers(0, 5), st.integers(0, 5))
def test_a_window_of_a_plan_is_that_part_of_it(lengths, a, b):
    plan = pack.best_fit(lengths, 12)
    first, last = min(a, plan.count), min(max(a, b), plan.count)
    assert contents(plan.within(first, last)) == contents(plan)[first:last]


def test_nothing_packs_to_nothing():
    none = np.zeros(0, np.int64)
    for plan in (pack.empty(), pack.best_fit(none, 4), pack.best_fit_split(none, 4), pack.wrapped(none, 4)):
        assert plan.count == 0 and len(plan.rows) == 0


def test_positions_restart():
    assert pack.positions(np.array([2, 3])).tolist() == [0, 1, 0, 1, 2]


def test_a_row_learns_nothing_from_its_first_token():
    labels = np.array([5, -100, 7, 7, -100, -100, 9], np.int32)
    offsets = np.array([0, 2, 4, 7, 7])
    assert pack.learned(offsets, labels, 0).tolist() == [0, 1, 1, 0]
    assert pack.learned(offsets, labels, 2).tolist() == [0, 1, 0, 0]


def test_the_compiled_and_the_plain_loop_agree():
    rng = np.random.default_rng(5)
    for size in (1, 7, 64, 100):
        lengths = -np.sort(-rng.integers(1, size + 1, 500))
        one, other = np.empty(500, np.int64), np.empty(500, np.int64)
        assert pack._fill(lengths, size, one) == compiled(pack._fill)(lengths, size, other)
        assert np.array_equal(one, other)


def test_without_numba_a_loop_is_itself(monkeypatch):
    monkeypatch.setitem(sys.modules, "dataforge.kernels.cpu.compiled", None)
    assert compiled.__wrapped__(pack._fill) is pack._fill
