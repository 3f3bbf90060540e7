"""Connected components by array union-find. A label is the smallest index of its component, whatever the edge order."""

from __future__ import annotations

import numpy as np

from dataforge.kernels.minhash import I64


def components(edges: I64, count: int) -> I64:
    """int64[count]: the label of each index 0..count-1, given edges int64[m, 2]. Raises IndexError for ends outside."""
    from dataforge.kernels.cpu.union_find import link_all

    if len(edges) and (int(edges.min()) < 0 or int(edges.max()) >= count):
        raise IndexError(f"edges must lie in 0..{count - 1}")
    parents = np.arange(count, dtype=np.int64)
    link_all(np.ascontiguousarray(edges), parents)
    return parents


def reference_components(edges: I64, count: int) -> I64:
    """The definition: spread the smaller label over every edge until nothing changes."""
    labels, changed = list(range(count)), True
    while changed:
        changed = False
        for left, right in edges.tolist():
            smaller = min(labels[left], labels[right])
            changed = changed or labels[left] != labels[right]
            labels[left] = labels[right] = smaller
    return np.array(labels, np.int64)
