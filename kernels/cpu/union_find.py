# mypy: ignore-errors
"""Compiled union-find: the larger root is linked under the smaller, with path halving."""

from __future__ import annotations

from dataforge.kernels.cpu.compiled import helper, kernel


@helper
def root(parents, at):
    while parents[at] != at:
        parents[at] = parents[parents[at]]
        at = parents[at]
    return at


@kernel
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


@kernel
def take_stars(order, offsets, neighbours, labels):
    """`labels` (all -1): each node of `order` not yet taken becomes a centre and takes its free neighbours."""
    for node in order:
        if labels[node] < 0:
            labels[node] = node
            for at in range(offsets[node], offsets[node + 1]):
                if labels[neighbours[at]] < 0:
                    labels[neighbours[at]] = node
