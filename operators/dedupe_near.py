"""Near-duplicates: MinHash bands → candidate pairs → exact Jaccard of the shingle sets. Gives verified edges only.

    Bands    Map    text → band keys (the signature itself is not stored: the decision is exact)
    Pairs    Keyed  rows with a band in common → candidate pairs, each once a bucket
    Carry    Keyed  at the part of `a`: its shingle hashes, once for each part that holds a partner
    Verify   Keyed  at the part of `b`: intersection and union; pairs below the threshold end here

Texts without a word are never banded. Equal texts count once in a bucket: `SameValue` joins them. Band keys go through the
disk and are paired part by part: 10 M signatures in 64 parts need 0.7 GB for the pairs and 1.5 GB for the clusters of
1.7 M rows (`python -m tests.benchmarks.signatures_memory 10000000`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError, GateError
from dataforge.identity import pack_ids, packed_bytes, part_of, rank_ids, unpack_ids
from dataforge.kernels.bands import ALL_PAIRS, band_keys, bucket_edges, choose_bands, runs
from dataforge.kernels.device import Choice, DeviceMissing
from dataforge.kernels.gpu_minhash import Differs, signer
from dataforge.kernels.jaccard import at_least, overlaps
from dataforge.kernels.minhash import MinHashSpec, shingle_hashes
from dataforge.operator import Contract, Keyed, Map, Rows
from dataforge.schemas.edge import EDGE

BANDS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text_hash", pa.string(), nullable=False),
        pa.field("bands", pa.list_(pa.uint64()), nullable=False),  # empty for a text without a word
        pa.field("spare", pa.uint64(), nullable=False),  # the last two values of the signature
    ]
)
PAIR = pa.schema([pa.field("a", pa.string(), nullable=False), pa.field("b", pa.string(), nullable=False)])
CARRY = pa.schema(
    [
        pa.field("a", pa.string(), nullable=False),
        pa.field("part", pa.int32(), nullable=False),  # where the partners lie
        pa.field("partners", pa.list_(pa.string()), nullable=False),
        pa.field("shingles", pa.large_binary(), nullable=False),  # uint64 each, of `a`, sorted, each once
    ]
)


def bands_for(threshold: float) -> tuple[int, int]:
    """(bands, rows) that find a pair at the threshold with chance 0.98, fewest candidates: 0.8 -> (18, 7)."""
    return choose_bands(min(threshold, 0.99), 126 if threshold >= 0.75 else 254)


@dataclass(frozen=True)
class Bands(Map):
    """Band keys of each text, uint64 each, by `bands` × `rows` of the signature that `spec` describes."""

    bands: int = 18
    rows: int = 7
    spec: MinHashSpec = field(default_factory=MinHashSpec)
    device: Choice = field(default="auto", metadata={"identity": False})
    VERSION: ClassVar[int] = 2

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text", "text_hash"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return BANDS

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        try:
            sign = signer(self.spec, self.device)
        except DeviceMissing as error:
            raise ConfigError(error.what, hint=error.hint) from error

        def keys(batch: pa.RecordBatch) -> Rows:
            before = sign.by_host
            try:
                found = sign(batch.column("text"))
            except Differs as error:
                raise GateError(str(error), hint="report it; meanwhile run with --device cpu") from error
            values = band_keys(found.values, self.bands, self.rows)[found.words > 0]
            ends = np.cumsum([0, *np.where(found.words > 0, self.bands, 0)]).astype(np.int32)
            lists = pa.ListArray.from_arrays(pa.array(ends), pa.array(values.reshape(-1)))
            spare = pa.array(found.values[:, -2:].astype(np.uint64) @ np.array([1 << 32, 1], np.uint64))
            columns = [batch.column("id"), batch.column("text_hash"), lists, spare]
            left = sign.by_host - before
            return Rows(pa.record_batch(columns, schema=BANDS), notes={"rows_off_device": left} if left else None)

        return keys


@dataclass(frozen=True)
class Pairs(Keyed):
    """Candidate pairs `a` < `b` of each bucket, as `bucket_edges` chooses them. A pair may come from several buckets.

    In a bucket above `all_pairs` a star would lose B~C where the leader is like neither. So it is cut again, by each of
    two values of the signature that no band holds: texts of similarity J share such a value with chance J, and meet in
    the smaller bucket. Work stays linear in the members; how many rows stood in such buckets is noted.
    """

    parts: int
    all_pairs: int = 8 * ALL_PAIRS  # 2,016 comparisons at most a bucket, then a star: linear in large buckets
    contract: ClassVar[Contract] = Contract.ASIDE
    VERSION: ClassVar[int] = 2

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text_hash", "bands", "spare"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return PAIR

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        bands = batch.column("bands")
        owners = pc.list_parent_indices(bands)
        keys = pc.list_flatten(bands)
        texts = packed_bytes(pack_ids(batch.column("text_hash"))).view(np.uint64)[::2]  # half the hash tells texts apart
        columns = [pack_ids(batch.column("id")), pa.array(texts), batch.column("spare")]
        names = ["_key", "row", "text", "spare"]  # not `id`: the rows come in its order, and keep it
        rows = pa.record_batch([keys, *(column.take(owners) for column in columns)], names)
        return rows, (keys.to_numpy(zero_copy_only=False) >> np.uint64(40)).astype(np.int64) % self.parts

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        if tables[0] is None:
            return
        bounds = runs(tables[0]["_key"].to_numpy())
        shared = np.repeat(np.diff(bounds) > 1, np.diff(bounds))  # most buckets hold one row: forget those first
        rows = tables[0].filter(pa.array(shared))
        if rows.num_rows:
            yield self._pairs(rows)

    def _pairs(self, rows: pa.Table) -> Rows:
        keys, texts = rows["_key"].to_numpy(), rows["text"].to_numpy()
        order = np.lexsort((texts, keys))
        first = np.ones(len(keys), bool)
        first[1:] = (keys[order][1:] != keys[order][:-1]) | (texts[order][1:] != texts[order][:-1])
        members = np.sort(order[first])  # per bucket and text the smallest id
        bounds = runs(keys[members])
        large = members[np.repeat(np.diff(bounds) > self.all_pairs, np.diff(bounds))]
        edges = np.concatenate([bucket_edges(bounds, members, all_pairs=self.all_pairs), *self._cut(rows, keys, large)])
        ids, places = rank_ids(rows["row"])
        a, b = np.divmod(distinct(places[edges[:, 0]] * len(ids) + places[edges[:, 1]]), len(ids))
        pairs = pa.table([unpack_ids(ids.take(pa.array(end))) for end in (a, b)], schema=PAIR)
        return Rows(pairs, notes={"rows_in_large_buckets": len(large)} if len(large) else None)

    def _cut(self, rows: pa.Table, keys: np.ndarray, large: np.ndarray) -> Iterator[np.ndarray]:
        """Edges in the large buckets, cut by the one and by the other spare value."""
        spare, keys = rows["spare"].to_numpy()[large], keys[large]
        for values in (spare >> np.uint64(32), spare & np.uint64(0xFFFFFFFF)):
            order = np.lexsort((values, keys))  # stable: ids stay ascending
            fresh = (np.diff(keys[order]) != 0) | (np.diff(values[order]) != 0)
            groups = np.concatenate([[0], np.cumsum(fresh)])[: len(large)]
            yield bucket_edges(runs(groups), large[order], all_pairs=self.all_pairs)


@dataclass(frozen=True)
class Carry(Keyed):
    """Inputs: pairs, and the documents (local). For each `a`: its shingle hashes, to every part that holds a partner."""

    parts: int
    spec: MinHashSpec = field(default_factory=MinHashSpec)
    contract: ClassVar[Contract] = Contract.ASIDE
    VERSION: ClassVar[int] = 2

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("a", "b"), ("id", "text"))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return CARRY

    def local(self) -> Sequence[int]:
        return (1,)

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        packed = pa.record_batch([pack_ids(batch.column("a")), pack_ids(batch.column("b"))], ["a", "b"])
        return packed, part_of(batch.column("a"), self.parts)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        """Each pair once, grouped by `a` and the part of `b`. Pairs are numbers until they leave: some 100 bytes each."""
        if tables[0] is None:
            return
        ids, a, b = _unique_pairs(tables[0])
        part = part_of(unpack_ids(ids), self.parts)
        order = np.lexsort((part[b], a))  # stable: the partners of a group stay ascending
        a, b = a[order], b[order]
        bounds = runs(a * self.parts + part[b])
        owners, parts = a[bounds[:-1]], part[b[bounds[:-1]]]
        partners = pa.ListArray.from_arrays(pa.array(bounds.astype(np.int32)), pa.array(b))
        wanted = unpack_ids(ids.take(pa.array(distinct(a))))
        for found, offsets, hashes in shingles_for(tables[1], wanted, self.spec):
            places = pc.index_in(unpack_ids(ids), value_set=found)
            here = pc.is_valid(places).to_numpy(zero_copy_only=False)
            rows = np.flatnonzero(here[owners])
            lists = partners.take(pa.array(rows))
            named = pa.ListArray.from_arrays(lists.offsets, unpack_ids(ids.take(lists.values)))
            shingles = as_bytes(offsets, hashes).take(pa.array(pc.fill_null(places, 0).to_numpy()[owners[rows]]))
            columns = [unpack_ids(ids.take(pa.array(owners[rows]))), pa.array(parts[rows]), named, shingles]
            yield Rows(pa.table(columns, schema=CARRY))


def distinct(values: np.ndarray) -> np.ndarray:
    """`np.unique` of numbers, by sorting: its hash table takes 25 times as long once it leaves the cache."""
    ordered = np.sort(values)
    fresh = np.ones(len(ordered), bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    return ordered[fresh]


def _unique_pairs(pairs: pa.Table) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """(the ids that occur, packed and in order; a, b: each pair once, by their places, in order)."""
    ends = pa.concat_arrays([pairs["a"].combine_chunks(), pairs["b"].combine_chunks()])
    ids, places = rank_ids(ends)
    n = len(places) // 2
    a, b = np.divmod(distinct(places[:n] * len(ids) + places[n:]), len(ids))
    return ids, a, b


@dataclass(frozen=True)
class Verify(Keyed):
    """Inputs: what `Carry` gives, and the documents (local). Gives EDGE rows of pairs with Jaccard >= threshold."""

    parts: int
    threshold: float = 0.8
    spec: MinHashSpec = field(default_factory=MinHashSpec)
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, ("id", "text"))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return EDGE

    def local(self) -> Sequence[int]:
        return (1,)

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        return batch, batch.column("part").to_numpy()

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        if tables[0] is None:
            return
        carried = tables[0].sort_by("a").combine_chunks()
        owners = pc.list_parent_indices(carried["partners"]).to_numpy()
        partners = pc.list_flatten(carried["partners"]).combine_chunks()
        left = of_bytes(carried["shingles"].combine_chunks())
        counted = np.zeros((len(partners), 2), np.int64)
        for ids, offsets, hashes in shingles_for(tables[1], pc.unique(partners), self.spec):
            places = pc.index_in(partners, value_set=ids)
            here = np.flatnonzero(pc.is_valid(places).to_numpy(zero_copy_only=False))
            pairs = np.stack([owners[here], pc.drop_null(places).to_numpy().astype(np.int64)], axis=1)
            counted[here] = np.stack(overlaps(left, (offsets, hashes), pairs), axis=1)
        yield Rows(self._edges(carried["a"].combine_chunks().take(pa.array(owners)), partners, counted))

    def _edges(self, a: pa.Array, b: pa.Array, counted: np.ndarray) -> pa.Table:
        good = pa.array(at_least(counted[:, 0], counted[:, 1], self.threshold))
        kind = pa.repeat(pa.scalar("near", pa.string()), len(a))
        table = pa.table([a, b, kind, pa.array(counted[:, 0]), pa.array(counted[:, 1])], schema=EDGE).filter(good)
        return table.sort_by([("a", "ascending"), ("b", "ascending")])


def shingles_for(documents: Any, wanted: pa.Array, spec: MinHashSpec) -> Iterator[tuple[pa.Array, np.ndarray, np.ndarray]]:
    """(ids, offsets, hashes) of the wanted documents of a local part, one row group after another."""
    for batch in documents.read(["id", "text"]):
        found = batch.filter(pc.is_in(batch.column("id"), value_set=wanted))
        if found.num_rows:
            yield (found.column("id"), *shingle_hashes(found.column("text"), spec))


def as_bytes(offsets: np.ndarray, values: np.ndarray) -> pa.Array:
    """large_binary[n] of a ragged array of uint64: beside a list a fifth of the time to write and to read."""
    ends = (offsets - offsets[0]) * 8
    return pa.Array.from_buffers(pa.large_binary(), len(ends) - 1, [None, pa.py_buffer(ends), pa.py_buffer(values)])


def of_bytes(rows: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of `as_bytes`: (offsets int64[n + 1], values uint64)."""
    _, offsets, data = rows.buffers()
    ends = np.frombuffer(offsets, np.int64)[rows.offset : rows.offset + len(rows) + 1]
    values = np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]].view(np.uint64)
    return (ends - ends[0]) // 8, values
