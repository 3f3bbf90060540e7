"""Edges → clusters → which row of a cluster is kept → one verdict row per row of the corpus.

    Clusters  Fold   union-find over all edges: a small table, one row per row that has an edge
    Members   Keyed  back to the parts of the corpus: what the keep rule compares
    Links     Keyed  for stars: the verified pairs of each cluster
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

from dataforge.identity import pack_ids, part_of, rank_ids, unpack_ids
from dataforge.kernels.union_find import components
from dataforge.operator import Contract, Fold, Keyed, Rows
from dataforge.operators.cluster_choice import best_of, codes_of, ranks_of, settled
from dataforge.schemas.edge import CLUSTER, LINK, TWINS

LEVELS = ("twin", "cluster", "group")  # exact edges join all three, near edges the last two, family edges the last
KINDS = ("exact", "near", "family")
PACKED = [pa.field(name, pa.binary(16), nullable=False) for name in ("id", *LEVELS)]
FOREST = pa.schema([*PACKED, CLUSTER.field("jaccard")])  # CLUSTER, ids packed


@dataclass(frozen=True)
class Clusters(Fold):
    """EDGE tables → CLUSTER. The state is a forest: one row per id, so it never exceeds the rows with an edge."""

    VERSION: ClassVar[int] = 2

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("a", "b", "kind", "common", "union"),) * 8

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return CLUSTER

    def observe(self, index: int, batch: pa.RecordBatch) -> pa.Table:
        levels = pc.index_in(batch.column("kind"), value_set=pa.array(KINDS)).to_numpy(zero_copy_only=False)
        ends = pa.concat_arrays([pack_ids(batch.column("a")), pack_ids(batch.column("b"))])
        ids, places = rank_ids(ends)
        edges = places.reshape(2, -1).T
        shares = pc.fill_null(pc.divide(batch.column("common").cast(pa.float64()), batch.column("union")), 0.0).to_numpy()
        most = largest(len(ids), places, np.tile(shares, 2))
        return forest(ids, [edges[levels <= level] for level in range(len(LEVELS))], most)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        both = pa.concat_tables([left, right]).combine_chunks()
        ids, places = rank_ids(both["id"])
        labels = (pc.index_in(both[name].combine_chunks(), value_set=ids).to_numpy() for name in LEVELS)
        most = largest(len(ids), places, both["jaccard"].to_numpy())
        return forest(ids, [np.stack([places, label], axis=1).astype(np.int64) for label in labels], most)

    def finish(self, state: pa.Table | None, out: Path) -> pa.Table:
        if state is None:
            return CLUSTER.empty_table()
        ids = [unpack_ids(state[field.name]) for field in PACKED]
        return pa.table([*ids, state["jaccard"]], schema=CLUSTER)


def largest(count: int, places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """float64[count]: the largest value at each place, 0 where there is none."""
    most = np.zeros(count)
    np.maximum.at(most, places, values)
    return most


def forest(ids: pa.Array, edges: Sequence[np.ndarray], most: np.ndarray) -> pa.Table:
    """FOREST rows of sorted packed ids; edges int64[m, 2] between their places, for each level (one holds those before)."""
    labels = [components(ends, len(ids)) for ends in edges]
    return pa.table([ids, *(ids.take(pa.array(label)) for label in labels), most], schema=FOREST)


MEMBER = pa.schema([*CLUSTER, pa.field("rank", pa.list_(pa.int64()), nullable=False)])


@dataclass(frozen=True)
class Members(Keyed):
    """Inputs: CLUSTER, the rows (local) and, if there are any, their verdicts (local). Rank: smaller is better.

    `keep` names what goes first, in order: longest, newest, source_priority, best_score; the smallest id ends every tie.
    `sources` is the order of source_priority; rows of the sources `protected` go before all others; `score` is the column
    of best_score in a fourth input (local).
    """

    parts: int
    keep: tuple[str, ...] = ("longest",)
    sources: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    score: str = ""
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, None, ("id", "reason"), ("id", self.score))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return MEMBER

    def local(self) -> Sequence[int]:
        return (1, 2, 3)

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        return batch, part_of(batch.column("id"), self.parts)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        clusters, documents, *more = tables
        if clusters is None:
            return
        members = clusters["id"].combine_chunks()
        failed = [_failed(batch) for table in more[:1] for batch in table.read(["id", "reason"])]
        bad = pa.concat_arrays(failed) if failed else pa.array([], pa.string())
        scores = [_of(members, batch) for table in more[1:] for batch in table.read(["id", self.score])]
        scored = pa.Table.from_batches(scores) if scores else None
        names = ["id", *(COLUMNS[name] for name in self._rules()), *(["source"] if self.protected else [])]
        for batch in documents.read(list(dict.fromkeys(names))):
            batch = _of(members, batch)
            if batch.num_rows:
                rows = clusters.take(pc.index_in(batch.column("id"), value_set=members))
                yield Rows(rows.append_column("rank", self._ranks(batch, bad, scored)))

    def _rules(self) -> list[str]:
        """Those that look at a column of the rows."""
        return [name for name in self.keep if name in COLUMNS]

    def _ranks(self, batch: pa.RecordBatch, bad: pa.Array, scored: pa.Table | None) -> pa.ListArray:
        """list<int64>[n], all of one length: 1 where the row failed the quality rules, with `protected` 0 where it is
        that, then a number for each rule.
        """
        columns = [pc.is_in(batch.column("id"), value_set=bad).cast(pa.int64())]
        if self.protected:
            wanted = pa.array(self.protected, pa.string())
            sources = batch.column("source") if "source" in batch.schema.names else pa.nulls(batch.num_rows, pa.string())
            columns.append(pc.invert(pc.is_in(sources, value_set=wanted)).cast(pa.int64()))
        for name in self.keep:
            if name in COLUMNS:
                columns.append(self._rank(name, batch))
            elif name == "best_score" and scored is not None:
                columns.append(self._by_score(batch.column("id"), scored))
        values = np.stack([column.to_numpy(zero_copy_only=False) for column in columns], axis=1)
        ends = np.arange(0, values.size + 1, len(columns), dtype=np.int32)
        return pa.ListArray.from_arrays(pa.array(ends), pa.array(values.reshape(-1)))

    def _by_score(self, ids: pa.Array, scored: pa.Table) -> pa.Array:
        """Scores in steps of 2^-32, rows without one last."""
        scores = scored[self.score].combine_chunks().take(pc.index_in(ids, value_set=scored["id"].combine_chunks()))
        values = pc.fill_null(scores.cast(pa.float64()), -1.0).to_numpy(zero_copy_only=False)
        return pa.array(-np.round(values * 2.0**32).astype(np.int64))

    def _rank(self, rule: str, batch: pa.RecordBatch) -> pa.Array:
        if COLUMNS[rule] not in batch.schema.names:
            return pa.array(np.zeros(batch.num_rows, np.int64))
        column = batch.column(COLUMNS[rule])
        if rule == "longest":
            return pc.negate(pc.utf8_length(column).cast(pa.int64()))
        if rule == "newest":
            return pc.negate(pc.fill_null(column, 0))
        places = pc.index_in(column, value_set=pa.array(self.sources, pa.string()))
        return pc.fill_null(places, len(self.sources)).cast(pa.int64())


COLUMNS = {"longest": "text", "newest": "created_s", "source_priority": "source"}  # what each rule looks at


def _of(members: pa.Array, batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.filter(pc.is_in(batch.column("id"), value_set=members))


def _failed(batch: pa.RecordBatch) -> pa.Array:
    return batch.column("id").filter(pc.is_valid(batch.column("reason")))


@dataclass(frozen=True)
class Links(Keyed):
    """Inputs: EDGE rows of near-duplicates, CLUSTER. LINK rows: each verified pair with the cluster that holds it."""

    parts: int
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("a", "b"), ("id", "cluster"))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return LINK

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        return batch, part_of(batch.column("id" if index else "a"), self.parts)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        edges, clusters = tables
        if edges is None:
            return
        edges = edges.sort_by([("a", "ascending"), ("b", "ascending")])
        places = pc.index_in(edges["a"].combine_chunks(), value_set=clusters["id"].combine_chunks())
        yield Rows(pa.table([clusters["cluster"].take(places), edges["a"], edges["b"]], schema=LINK))


KEPT = pa.schema([*TWINS])


@dataclass(frozen=True)
class Keep(Keyed):
    """MEMBER rows of one cluster → TWINS rows: the best by rank stays, the others lose to it as exact or near.

    With LINK rows as second input a row loses only to one that it has a link with.
    """

    parts: int
    protected: bool = False
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, None)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return KEPT

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        return batch.append_column("_key", batch.column("cluster")), part_of(batch.column("cluster"), self.parts)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        if tables[0] is None:
            return
        rows = tables[0].combine_chunks()  # sorted by (cluster, id), so among equal ranks the first has the smallest id
        by_rank, here = ranks_of(rows), np.arange(rows.num_rows)
        links = (tables[1] if tables[1] is not None else LINK.empty_table()) if len(tables) > 1 else None
        kept = settled(rows, by_rank, links, protected=self.protected)
        twin = best_of(codes_of(rows["twin"]), by_rank)
        lost = pa.array(kept != here)
        duplicate = pc.if_else(lost, pc.if_else(pa.array(twin == here), "near", "exact"), pa.scalar(None, pa.string()))
        into = pc.if_else(lost, rows["id"].combine_chunks().take(pa.array(kept)), pa.scalar(None, pa.string()))
        near = pc.if_else(pc.greater(rows["jaccard"], 0.0), rows["jaccard"], None).combine_chunks()
        jaccard = pc.if_else(pc.equal(duplicate, "exact"), 1.0, pc.if_else(lost, near, None))
        yield Rows(pa.table([rows["id"], rows["group"], duplicate, into, jaccard], schema=KEPT))


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
            yield Rows(pa.table([batch.column("id"), own, *(rows[n] for n in TWINS.names[2:])], schema=TWINS))
