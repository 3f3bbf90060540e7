"""Edges → clusters → which row of a cluster is kept → one verdict row per row of the corpus.

    Clusters  Fold   union-find over all edges: a small table, one row per row that has an edge
    Members   Keyed  back to the parts of the corpus: what the keep rule compares
    Keep      Keyed  one whole cluster at a time: the best by the rule stays
    Twins     Keyed  back again: a row for every row of the corpus, also for those that are alone

A row that passed the quality rules always goes before one that did not, so a cluster never loses its only good row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.identity import part_of
from dataforge.kernels.union_find import components
from dataforge.operator import Contract, Fold, Keyed, Rows
from dataforge.schemas.edge import CLUSTER, TWINS

LEVELS = ("twin", "cluster", "group")  # exact edges join all three, near edges the last two, family edges the last
KINDS = {"exact": 0, "near": 1, "family": 2}


@dataclass(frozen=True)
class Clusters(Fold):
    """EDGE tables → CLUSTER. The state is a forest: one row per id and level, so it never exceeds the rows with an edge."""

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("a", "b", "kind"),) * 8

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return CLUSTER

    def observe(self, index: int, batch: pa.RecordBatch) -> pa.Table:
        levels = np.array([KINDS[kind] for kind in batch.column("kind").to_pylist()], np.int64)  # 0.1 µs a row
        return forest(batch.column("a"), batch.column("b"), levels)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        both = pa.concat_tables([left, right])
        ends = [(both["id"], both[name], np.full(both.num_rows, level)) for level, name in enumerate(LEVELS)]
        a = pa.concat_arrays([end.combine_chunks() for end, _, _ in ends])
        b = pa.concat_arrays([end.combine_chunks() for _, end, _ in ends])
        return forest(a, b, np.concatenate([levels for _, _, levels in ends]))

    def finish(self, state: pa.Table | None, out: Path) -> pa.Table:
        return CLUSTER.empty_table() if state is None else state


def forest(a: pa.Array, b: pa.Array, levels: np.ndarray) -> pa.Table:
    """CLUSTER rows of the components of edges a–b, sorted by id; an edge of level i joins levels i and above."""
    ids = pc.unique(pa.concat_arrays([a, b]))
    ids = ids.take(pc.sort_indices(ids))
    ends = np.stack([pc.index_in(end, value_set=ids).to_numpy(zero_copy_only=False) for end in (a, b)], axis=1)
    edges = ends.astype(np.int64)
    labels = [components(edges[levels <= level], len(ids)) for level in range(len(LEVELS))]
    return pa.table([ids, *(ids.take(pa.array(label)) for label in labels)], schema=CLUSTER)


MEMBER = pa.schema([*CLUSTER, pa.field("rank", pa.list_(pa.int64()), nullable=False)])


@dataclass(frozen=True)
class Members(Keyed):
    """Inputs: CLUSTER, the rows (local) and, if there are any, their verdicts (local). Rank: smaller is better.

    `keep` names what goes first, in order: longest, newest, source_priority; the smallest id ends every tie. `sources`
    is the order of source_priority.
    """

    parts: int
    keep: tuple[str, ...] = ("longest",)
    sources: tuple[str, ...] = ()
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, None, ("id", "reason"))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return MEMBER

    def local(self) -> Sequence[int]:
        return (1, 2)

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        return batch, part_of(batch.column("id"), self.parts)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        clusters, documents, *verdicts = tables
        if clusters is None:
            return
        members = clusters["id"].combine_chunks()
        judged = (batch for table in verdicts for batch in table.read(["id", "reason"]))
        failed = {i for batch in judged for i in _failed(batch, members)}
        for batch in documents.read():
            batch = batch.filter(pc.is_in(batch.column("id"), value_set=members))
            if batch.num_rows:
                places = pc.index_in(batch.column("id"), value_set=members)
                rows = clusters.take(places)
                yield Rows(rows.append_column("rank", self._ranks(batch, failed)))

    def _ranks(self, batch: pa.RecordBatch, failed: set[str]) -> pa.Array:
        """One list a row; only rows with an edge come here, so they are built in Python."""
        lengths = pc.utf8_length(batch.column("text")).to_pylist()
        names = batch.schema.names
        created = batch.column("created_s").to_pylist() if "created_s" in names else [None] * batch.num_rows
        sources = batch.column("source").to_pylist() if "source" in names else [""] * batch.num_rows
        order = {name: i for i, name in enumerate(self.sources)}
        columns = {
            "longest": [-length for length in lengths],
            "newest": [-(c or 0) for c in created],
            "source_priority": [order.get(s, len(order)) for s in sources],
        }
        bad = [int(i in failed) for i in batch.column("id").to_pylist()]
        ranks = zip(bad, *(columns[name] for name in self.keep if name in columns), strict=True)
        return pa.array([list(rank) for rank in ranks], pa.list_(pa.int64()))


def _failed(batch: pa.RecordBatch, members: pa.Array) -> list[str]:
    bad = pc.and_(pc.is_valid(batch.column("reason")), pc.is_in(batch.column("id"), value_set=members))
    found: list[str] = batch.column("id").filter(bad).to_pylist()
    return found


KEPT = pa.schema([*TWINS])


@dataclass(frozen=True)
class Keep(Keyed):
    """MEMBER rows of one cluster → TWINS rows: the best by rank stays, the others lose to it as exact or near."""

    parts: int
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None,)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return KEPT

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        return batch.append_column("_key", batch.column("cluster")), part_of(batch.column("cluster"), self.parts)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        if tables[0] is None:
            return
        rows = tables[0].to_pylist()  # only rows with an edge: few, and the rule compares tuples
        best: dict[str, tuple[Any, ...]] = {}
        for row in rows:
            for name in (row["cluster"], "twin " + row["twin"]):
                best[name] = min(best.get(name, (tuple(row["rank"]), row["id"])), (tuple(row["rank"]), row["id"]))
        out = []
        for row in rows:
            kept, twin = best[row["cluster"]][-1], best["twin " + row["twin"]][-1]
            duplicate = None if row["id"] == kept else "near" if row["id"] == twin else "exact"
            into = kept if duplicate else None
            out.append({"id": row["id"], "cluster": row["group"], "duplicate": duplicate, "into": into})
        yield Rows(pa.Table.from_pylist(out, schema=KEPT))


@dataclass(frozen=True)
class Twins(Keyed):
    """Inputs: what `Keep` gives, and the rows (local). Gives a TWINS row for every row, in their order."""

    parts: int
    contract: ClassVar[Contract] = Contract.SAME

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, ("id",))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return TWINS

    def local(self) -> Sequence[int]:
        return (1,)

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        return batch, part_of(batch.column("id"), self.parts)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        kept = tables[0] if tables[0] is not None else KEPT.empty_table()
        known = kept["id"].combine_chunks()
        for batch in tables[1].read(["id"]):
            rows = kept.take(pc.index_in(batch.column("id"), value_set=known))
            own = pc.coalesce(rows["cluster"].combine_chunks(), batch.column("id"))
            yield Rows(pa.table([batch.column("id"), own, rows["duplicate"], rows["into"]], schema=TWINS))
