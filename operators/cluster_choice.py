"""Which row of a cluster stays: the best of each component, or stars around the best that no other best is like.

In a component A~B~C the rows A and C need not be alike, and only one of the three stays. With stars a row goes only if it
is a verified near-duplicate of the very row that stays, so A and C may both stay while B goes.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.kernels.bands import runs
from dataforge.kernels.union_find import stars


def ranks_of(members: pa.Table) -> np.ndarray:
    """int64[k, n] of the column `rank`, the most important last, as np.lexsort wants them. The last is 1 for bad rows."""
    ranks = members["rank"].combine_chunks()
    width = len(ranks.flatten()) // max(1, len(ranks))
    return ranks.flatten().to_numpy().reshape(len(ranks), width).T[::-1].copy()


def settled(members: pa.Table, by_rank: np.ndarray, links: pa.Table | None, *, protected: bool = False) -> np.ndarray:
    """int64[n]: the place of the row that stays for each MEMBER row (sorted by cluster and id), its own if it stays.

    `links` are verified pairs of near-duplicates (LINK rows) and ask for stars. With `protected` the second rank is 0 for
    rows that always stay.
    """
    if links is None:
        kept = best_of(codes_of(members["cluster"]), by_rank)
    else:
        kept = _centres(members, by_rank, links)
    return np.where(by_rank[-2] == 0, np.arange(len(kept)), kept) if protected else kept


def best_of(groups: np.ndarray, by_rank: np.ndarray) -> np.ndarray:
    """int64[n]: for each row the place of the best row of its group; `by_rank` has the most important rank last."""
    order = np.lexsort((*by_rank, groups))
    bounds = runs(groups[order])
    best = np.empty(len(groups), np.int64)
    best[order] = np.repeat(order[bounds[:-1]], np.diff(bounds))
    return best


def codes_of(names: pa.ChunkedArray) -> np.ndarray:
    """int64[n]: equal for equal names."""
    codes: np.ndarray = names.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    return codes


def _centres(members: pa.Table, by_rank: np.ndarray, links: pa.Table) -> np.ndarray:
    """Rows of equal text are one node, known by the smallest id; the best of them stands for it."""
    twins = members["twin"].combine_chunks().dictionary_encode()
    nodes = twins.indices.to_numpy().astype(np.int64)
    best = np.zeros(len(twins.dictionary), np.int64)
    best[nodes] = best_of(nodes, by_rank)
    order = np.lexsort([rank[best] for rank in (np.arange(len(nodes)), *by_rank)])
    ends = [pc.index_in(links[end].combine_chunks(), value_set=twins.dictionary) for end in ("a", "b")]
    edges = np.stack([pc.fill_null(end, -1).to_numpy().astype(np.int64) for end in ends], axis=1)
    edges = edges[(edges >= 0).all(axis=1)]
    centres: np.ndarray = best[stars(edges, order)][nodes]
    return centres
