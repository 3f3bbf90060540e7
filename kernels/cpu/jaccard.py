# mypy: ignore-errors
"""Compiled: sorted unique rows, and intersections of sorted rows."""

from __future__ import annotations

import numpy as np

from dataforge.kernels.cpu.compiled import kernel


@kernel
def unique_rows(ends, values):
    """Sorts each row of `values` (row i ends at ends[i]) and moves its distinct values to the front; gives offsets."""
    offsets = np.zeros(len(ends) + 1, np.int64)
    first, taken = 0, 0
    for row in range(len(ends)):
        last = ends[row]
        part = np.sort(values[first:last])
        for i in range(len(part)):
            if i == 0 or part[i] != part[i - 1]:
                values[taken] = part[i]
                taken += 1
        offsets[row + 1] = taken
        first = last
    return offsets


@kernel
def intersections(left_offsets, left, right_offsets, right, pairs):
    """int64[m]: common values of row pairs[i, 0] of `left` and row pairs[i, 1] of `right`, both sorted and unique."""
    common = np.zeros(len(pairs), np.int64)
    for pair in range(len(pairs)):
        i, stop = left_offsets[pairs[pair, 0]], left_offsets[pairs[pair, 0] + 1]
        j, end = right_offsets[pairs[pair, 1]], right_offsets[pairs[pair, 1] + 1]
        count = 0
        while i < stop and j < end:  # no branch on which is smaller: it could not be predicted
            x, y = left[i], right[j]
            count += np.int64(x == y)
            i += np.int64(x <= y)
            j += np.int64(y <= x)
        common[pair] = count
    return common
