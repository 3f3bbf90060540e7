"""Rows that share a value → star edges to the smallest id: equal text (`exact`), or one conversation (`family`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from dataforge.identity import part_of
from dataforge.kernels.bands import runs
from dataforge.operator import Contract, Keyed, Rows
from dataforge.schemas.edge import EDGE

EMPTY_HASH = xxhash.xxh3_128_hexdigest(b"")  # rows without text are no twins of each other


@dataclass(frozen=True)
class SameValue(Keyed):
    """`column` holds 32 hex digits: a text hash, or the id of what the rows came from; or a list of such, of which one in
    common is enough. Gives EDGE rows of `kind`.
    """

    parts: int
    column: str = "text_hash"
    kind: str = "exact"
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", self.column),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return EDGE

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        ids, values = batch.column("id"), batch.column(self.column)
        if pa.types.is_list(values.type):
            ids, values = ids.take(pc.list_parent_indices(values)), pc.list_flatten(values)
        rows = pa.record_batch([ids, values], ["id", "_key"])
        rows = rows.filter(pc.and_(pc.is_valid(values), pc.not_equal(values, EMPTY_HASH)))
        return rows, part_of(rows.column("_key"), self.parts)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        if tables[0] is None:
            return
        keys = tables[0]["_key"].combine_chunks()
        bounds = runs(hex_runs(keys))
        heads = np.repeat(bounds[:-1], np.diff(bounds))  # sorted by (key, id): the first of a run is the smallest id
        rest = np.flatnonzero(heads != np.arange(len(keys)))
        ids = tables[0]["id"].combine_chunks()
        yield Rows(star(ids.take(pa.array(heads[rest])), ids.take(pa.array(rest)), self.kind))


def hex_runs(keys: pa.Array) -> np.ndarray:
    """int64[n]: a number that changes exactly where neighbouring strings differ."""
    if len(keys) == 0:
        return np.zeros(0, np.int64)
    differs = pc.not_equal(keys.slice(1), keys.slice(0, len(keys) - 1)).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(differs)]).astype(np.int64)


def star(heads: pa.Array, rest: pa.Array, kind: str) -> pa.Table:
    """EDGE rows head → member."""
    none = pa.nulls(len(rest), pa.int64())
    return pa.table([heads, rest, pa.repeat(pa.scalar(kind, pa.string()), len(rest)), none, none], schema=EDGE)
