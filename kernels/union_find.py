"""Connected components by array union-find, and stars: clusters in which every member has an edge to its centre.

A label of a component is its smallest index, whatever the edge order.
"""

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


def stars(edges: I64, order: I64) -> I64:
    """int64[n]: the centre of each of n nodes, given edges int64[m, 2] and all nodes, those that go first first.

    The first node is a centre and takes its neighbours, then the next that is still free, and so on: two centres never
    have an edge, and no node is taken by one that it has no edge with.
    """
    from dataforge.kernels.cpu.union_find import take_stars

    ends = np.concatenate([edges, edges[:, ::-1]])
    ends = ends[np.lexsort((ends[:, 1], ends[:, 0]))]
    offsets = np.searchsorted(ends[:, 0], np.arange(len(order) + 1))
    labels = np.full(len(order), -1, np.int64)
    take_stars(order, offsets, np.ascontiguousarray(ends[:, 1]), labels)
    return labels


def reference_stars(edges: I64, order: I64) -> I64:
    """The definition of `stars`."""
    labels = np.full(len(order), -1, np.int64)
    for node in order.tolist():
        if labels[node] < 0:
            labels[node] = node
            for a, b in [*edges.tolist(), *edges[:, ::-1].tolist()]:
                if a == node and labels[b] < 0:
                    labels[b] = node
    return labels
