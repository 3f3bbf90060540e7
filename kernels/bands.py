"""Bands of a signature: their keys, the chance that two texts share one, and the pairs worth comparing in a bucket.

A band is `rows` neighbouring values of a signature. Its key is xxh64 of their little-endian bytes, seed the band's
number; 64 bits, since at 1e9 texts x 14 bands 32 would give some 1.6e9 false pairs. Never band an empty signature.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from dataforge.kernels.hash import xxh64
from dataforge.kernels.minhash import I64, U32, U64

ALL_PAIRS = 8  # largest bucket of which a run compares all pairs
ALL_PAIRS_EVALUATION = 1000  # the same for `dedupe evaluate`: dense families have hundreds of partners each


def band_keys(values: U32, bands: int, rows: int) -> U64:
    """uint64[n, bands]: the bucket of each signature (uint32[n, k], k >= bands * rows) in each band."""
    _check(values.shape[1], bands, rows)
    from dataforge.kernels.cpu.bands import hash_bands

    keys = np.empty((len(values), bands), np.uint64)
    hash_bands(np.ascontiguousarray(values), rows, keys)
    return keys


def reference_band_keys(values: U32, bands: int, rows: int) -> U64:
    """The definition of `band_keys`."""
    _check(values.shape[1], bands, rows)
    keys = [[xxh64(row[i * rows : (i + 1) * rows].astype("<u4").tobytes(), i) for i in range(bands)] for row in values]
    return np.array(keys, np.uint64).reshape(len(values), bands)


def _check(k: int, bands: int, rows: int) -> None:
    if bands < 1 or rows < 1 or bands * rows > k:
        raise ValueError(f"{bands} bands of {rows} rows need {bands * rows} values; signatures have {k}")


def s_curve(bands: int, rows: int, similarity: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Chance that a pair of this Jaccard similarity shares a band: (18, 7, 0.8) -> 0.986."""
    s = np.asarray(similarity, np.float64)
    chance: npt.NDArray[np.float64] = 1.0 - (1.0 - s**rows) ** bands
    return chance


def choose_bands(threshold: float, k: int = 128, recall: float = 0.98) -> tuple[int, int]:
    """(bands, rows) that finds pairs at the threshold with this chance: the most rows that can, so fewest candidates.

    All k values are used, since candidates are verified. (0.8, 128, 0.98) -> (18, 7). ValueError when none reach it.
    """
    if not (0 < threshold < 1 and 0 < recall < 1 and k >= 1):
        raise ValueError(f"threshold and recall must lie between 0 and 1, not {threshold} and {recall}")
    found = [rows for rows in range(1, k + 1) if s_curve(k // rows, rows, threshold) >= recall]
    if not found:
        raise ValueError(f"{k} values cannot find pairs at {threshold} with recall {recall}; use more values")
    return k // found[-1], found[-1]


def runs(keys: npt.NDArray[np.generic]) -> I64:
    """int64[m + 1]: bounds of the runs of equal neighbours: [5, 5, 7] -> [0, 2, 3]."""
    if len(keys) == 0:
        return np.zeros(1, np.int64)
    return np.concatenate([[0], np.flatnonzero(keys[1:] != keys[:-1]) + 1, [len(keys)]]).astype(np.int64)


def bucket_edges(bounds: I64, members: I64, *, all_pairs: int = ALL_PAIRS) -> I64:
    """int64[e, 2], (smaller, larger): the pairs to compare. Bucket i is members[bounds[i]:bounds[i + 1]], ascending.

    Up to `all_pairs` members all pairs; in larger buckets each member with the smallest and its predecessor, as star
    edges alone lose B~C where A~B and A~C fail. Linear in the members of large buckets.
    """
    from dataforge.kernels.cpu.bands import count_edges, fill_edges

    edges = np.empty((int(count_edges(bounds, all_pairs)), 2), np.int64)
    fill_edges(bounds, members, all_pairs, edges)
    return edges


def reference_bucket_edges(bounds: I64, members: I64, *, all_pairs: int = ALL_PAIRS) -> I64:
    """The definition of `bucket_edges`."""
    edges: list[tuple[int, int]] = []
    for first, last in itertools.pairwise(bounds):
        bucket = members[first:last].tolist()
        for i in range(1, len(bucket)):
            partners = range(i) if len(bucket) <= all_pairs else sorted({0, i - 1})
            edges += [(bucket[j], bucket[i]) for j in partners]
    return np.array(edges, np.int64).reshape(-1, 2)


def unique_edges(edges: I64) -> I64:
    """Each edge once, sorted: pairs that share several bands are compared once."""
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    ordered = edges[order]
    fresh = np.ones(len(ordered), bool)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return ordered[fresh]
