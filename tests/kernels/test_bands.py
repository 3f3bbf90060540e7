"""Bands find what the S-curve says; buckets give edges that lose no verified pair; the smallest names a cluster."""

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.kernels import bands, jaccard, union_find

EDGES = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40)


def array(pairs):
    return np.array(pairs, np.int64).reshape(-1, 2)


def test_key_is_xxh64_of_the_rows_with_the_band_as_seed():
    values = np.arange(12, dtype=np.uint32).reshape(1, 12)
    keys = bands.band_keys(values, 3, 4)
    assert keys[0, 2] == xxhash.xxh64_intdigest(values[0, 8:12].astype("<u4").tobytes(), 2)


@settings(max_examples=30)
@given(st.integers(1, 9), st.integers(1, 20), st.integers(0, 5))
def test_faces_of_keys_agree(count, rows, n):
    values = np.random.RandomState(n).randint(0, 1 << 32, (n, count * rows + 3), np.uint32)
    assert bands.band_keys(values, count, rows).tolist() == bands.reference_band_keys(values, count, rows).tolist()


def test_too_many_bands_are_refused():
    with pytest.raises(ValueError, match="need 129 values; signatures have 128"):
        bands.band_keys(np.zeros((1, 128), np.uint32), 43, 3)


@pytest.mark.parametrize(("b", "r", "s", "p"), [(14, 8, 0.8, 0.924), (18, 7, 0.8, 0.986), (20, 13, 0.8, 0.677)])
def test_s_curve_of_the_presets(b, r, s, p):
    assert round(float(bands.s_curve(b, r, s)), 3) == p


def test_bands_are_chosen_by_recall_at_the_threshold():
    assert bands.choose_bands(0.8, 128, 0.98) == (18, 7)
    with pytest.raises(ValueError, match="cannot find pairs"):
        bands.choose_bands(0.1, 4, 0.99)


def test_runs():
    assert bands.runs(np.array([5, 5, 7])).tolist() == [0, 2, 3]
    assert bands.runs(np.array([], np.uint64)).tolist() == [0]


def test_small_buckets_give_all_pairs_and_large_ones_star_and_chain():
    members = np.array([1, 4, 6, 9], np.int64)
    bounds = np.array([0, 4], np.int64)
    assert bands.bucket_edges(bounds, members).tolist() == [[1, 4], [1, 6], [4, 6], [1, 9], [4, 9], [6, 9]]
    found = bands.bucket_edges(bounds, members, all_pairs=3).tolist()
    assert found == [[1, 4], [1, 6], [4, 6], [1, 9], [6, 9]]


@given(st.lists(st.integers(0, 12), max_size=8), st.integers(0, 10))
def test_faces_of_edges_agree(sizes, limit):
    bounds = np.cumsum([0, *sizes], dtype=np.int64)
    members = np.arange(bounds[-1], dtype=np.int64) * 3
    left = bands.bucket_edges(bounds, members, all_pairs=limit)
    assert left.tolist() == bands.reference_bucket_edges(bounds, members, all_pairs=limit).tolist()
    assert left.tolist() == [] or (left[:, 0] < left[:, 1]).all()


def test_a_bucket_of_100_000_is_linear():
    bounds, members = np.array([0, 100_000], np.int64), np.arange(100_000, dtype=np.int64)
    assert len(bands.bucket_edges(bounds, members)) == 2 * 100_000 - 3


def test_edges_are_compared_once():
    assert bands.unique_edges(array([(2, 3), (1, 2), (2, 3)])).tolist() == [[1, 2], [2, 3]]
    assert bands.unique_edges(array([])).tolist() == []


@given(EDGES)
def test_faces_of_components_agree(edges):
    labels = union_find.components(array(edges), 20)
    assert labels.tolist() == union_find.reference_components(array(edges), 20).tolist()
    assert (labels <= np.arange(20)).all()


@given(EDGES, st.randoms(use_true_random=False))
def test_cluster_label_is_smallest_id_in_any_order(edges, random):
    shuffled = [pair[:: random.choice([1, -1])] for pair in random.sample(edges, len(edges))]
    assert union_find.components(array(edges), 20).tolist() == union_find.components(array(shuffled), 20).tolist()


@settings(max_examples=60)
@given(EDGES, st.permutations(range(20)))
def test_faces_of_stars_agree_and_members_touch_their_centre(edges, order):
    order = np.array(order, np.int64)
    labels = union_find.stars(array(edges), order)
    assert labels.tolist() == union_find.reference_stars(array(edges), order).tolist()
    touching = {frozenset(edge) for edge in edges}
    assert all(node == centre or frozenset((node, centre)) in touching for node, centre in enumerate(labels.tolist()))
    centres = set(labels.tolist())
    assert not any(len(edge) == 2 and edge <= centres for edge in touching)


def test_a_chain_of_a_million_is_one_component():
    ends = np.arange(1_000_000, dtype=np.int64)
    labels = union_find.components(np.stack([ends[1:], ends[:-1]], axis=1)[::-1].copy(), 1_000_000)
    assert not labels.any()


def test_ends_outside_are_refused():
    with pytest.raises(IndexError, match=r"0\.\.1"):
        union_find.components(array([(0, 2)]), 2)


ROWS = st.lists(st.frozensets(st.integers(0, 12), max_size=8), min_size=1, max_size=6)


def ragged(rows):
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return offsets, np.array([value for row in rows for value in sorted(row)], np.uint64)


@given(ROWS, ROWS)
def test_faces_of_overlaps_agree(left, right):
    pairs = array([(i, j) for i in range(len(left)) for j in range(len(right))])
    found = jaccard.overlaps(ragged(left), ragged(right), pairs)
    expected = jaccard.reference_overlaps(ragged(left), ragged(right), pairs)
    assert [part.tolist() for part in found] == [part.tolist() for part in expected]
    assert found[1].tolist() == [len(left[i] | right[j]) for i, j in pairs.tolist()]


def test_the_threshold_is_exact():
    common, union = np.array([4, 79_999, 0]), np.array([5, 100_000, 0])
    assert jaccard.at_least(common, union, 0.8).tolist() == [True, False, False]


def test_pairs_outside_are_refused():
    rows = ragged([frozenset({1})])
    with pytest.raises(IndexError, match="pairs must lie"):
        jaccard.overlaps(rows, rows, array([(0, 1)]))
