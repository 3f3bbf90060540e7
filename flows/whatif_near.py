"""Clusters of duplicates at a higher threshold, from the verified similarities that a run has stored.

A run keeps each pair of near-duplicates with its true Jaccard similarity, so every threshold from the config's own upwards
can be answered. Below it nothing is known: pairs that are less alike were compared and forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError
from dataforge.kernels.union_find import components
from dataforge.table import Table

KEY = "dedupe.threshold"


def check(values: Mapping[str, list[float]], now: float) -> None:
    """Raises ConfigError for thresholds that the stored similarities say nothing of."""
    if any(value > 1 for value in values.get(KEY, ())):
        raise ConfigError("a similarity is at most 1", key=KEY, hint=f"ask from {now:g} to 1")
    if any(value < now for value in values.get(KEY, ())):
        hint = f"ask from {now:g} to 1; for lower ones set dedupe.threshold and run: scores stay, pairs are compared anew"
        raise ConfigError(f"pairs less alike than {now:g} are not stored", key=KEY, hint=hint)


class NearPairs:
    """Verified pairs of a run between rows that have duplicates (MEMBER rows)."""

    def __init__(self, table: Table, members: pa.Table) -> None:
        rows = table.to_table(["a", "b", "common", "union"])
        ids = members["id"].combine_chunks()
        places = [pc.fill_null(pc.index_in(rows[end].combine_chunks(), value_set=ids), -1) for end in ("a", "b")]
        ends = np.stack([place.to_numpy(zero_copy_only=False).astype(np.int64) for place in places], axis=1)
        there = (ends >= 0).all(axis=1)
        shares = pc.divide(rows["common"].cast(pa.float64()), rows["union"].cast(pa.float64())).to_numpy()
        self.rows, self.ends, self.shares = rows.select(["a", "b"]).filter(pa.array(there)), ends[there], shares[there]
        self.members = members
        twins = members["twin"].combine_chunks().dictionary_encode()
        self.nodes, self.count = twins.indices.to_numpy().astype(np.int64), len(twins.dictionary)

    def clusters(self, threshold: float) -> pa.Table:
        """The MEMBER rows in the clusters that are left; rows of equal text stay together."""
        edges = self.nodes[self.ends[self.shares >= threshold]]
        labels = components(edges.reshape(-1, 2), self.count)[self.nodes]
        place = self.members.schema.get_field_index("cluster")
        return self.members.set_column(place, "cluster", pa.array(labels).cast(pa.string()))

    def links(self, threshold: float) -> pa.Table:
        return self.rows.filter(pa.array(self.shares >= threshold))
