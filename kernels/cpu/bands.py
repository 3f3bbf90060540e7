# mypy: ignore-errors
"""Compiled: band keys and the edges of buckets."""

from __future__ import annotations

import numpy as np

from dataforge.kernels.cpu.compiled import kernel
from dataforge.kernels.cpu.xxh64 import PADDING, hash_one


@kernel
def hash_bands(values, rows, keys):
    """keys[i, band] = xxh64 of values[i, band * rows : (band + 1) * rows], seed = band."""
    bands = keys.shape[1]
    padded = np.empty(bands * rows + PADDING // 4, np.uint32)  # hash_one reads beyond the end
    address = np.uintp(padded.ctypes.data)
    for i in range(len(values)):
        for k in range(bands * rows):
            padded[k] = values[i, k]
        for band in range(bands):
            keys[i, band] = hash_one(address + np.uintp(4 * rows * band), 4 * rows, np.uint64(band))


@kernel
def count_edges(bounds, all_pairs):
    total = 0
    for bucket in range(len(bounds) - 1):
        size = bounds[bucket + 1] - bounds[bucket]
        total += size * (size - 1) // 2 if size <= all_pairs or size < 3 else 2 * size - 3
    return total


@kernel
def fill_edges(bounds, members, all_pairs, edges):
    at = 0
    for bucket in range(len(bounds) - 1):
        first, last = bounds[bucket], bounds[bucket + 1]
        for i in range(first + 1, last):
            if last - first > all_pairs and i - 1 > first:  # a large bucket: the smallest here, the predecessor below
                edges[at, 0], edges[at, 1] = members[first], members[i]
                at += 1
            for j in range(first if last - first <= all_pairs else i - 1, i):
                edges[at, 0], edges[at, 1] = members[j], members[i]
                at += 1
