# mypy: ignore-errors
"""Compiled union-find: the larger root is linked under the smaller, with path halving."""

from __future__ import annotations

from numba import njit


@njit(nogil=True, cache=True)
def root(parents, at):
    while parents[at] != at:
        parents[at] = parents[parents[at]]
        at = parents[at]
    return at


@njit(nogil=True, cache=True)
def link_all(edges, parents):
    """Turns `parents` (each its own) into labels."""
    for edge in range(len(edges)):
        left, right = root(parents, edges[edge, 0]), root(parents, edges[edge, 1])
        if left < right:
            parents[right] = left
        elif right < left:
            parents[left] = right
    for at in range(len(parents)):  # a parent is never larger, so it is already a label
        parents[at] = parents[parents[at]]
